"""The images of a release, each named by its digest: pulled while the present release serves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from agent import ecr, registry
from agent.documents.docker import ClientConfig
from agent.outcome import Refused
from agent.quoting import count
from agent.store import Release
from agent.world import CommandResult, World

ABSENT = ("manifest unknown", "not found", "does not exist")
# What a registry says of itself, and not of the image; of a new role its rights are not known everywhere at once
PASSING = re.compile(
    r"toomanyrequests|too many requests|Throttl|RequestLimitExceeded|AccessDenied|no basic auth credentials|timeout|"
    r"connection reset|\b50[0234]\b",
    re.IGNORECASE,
)
PAUSES = (2, 4, 8)  # seconds
LOGIN = "/run/infra/docker"
UNPACKED = 3  # times the compressed size: the download itself, and the files that come out of it
SPARE = 256 * 1024**2


@dataclass(frozen=True)
class MissingImages:
    """The images of a release that are not on its host, and what fetching them takes: Docker's configuration as the
    release is going to have it, and the environment for programs that talk to AWS."""

    images: list[str]
    config: ClientConfig
    environment: dict[str, str]


def absent(world: World, target: Release, environment: dict[str, str]) -> MissingImages:
    """Asks this host. Raises Refused for an image of another architecture, and when AWS gives no login."""
    here = _architectures(world, target.images)
    _fitting(world, {image: {architecture} for image, architecture in here.items() if architecture is not None})
    images = [image for image, architecture in here.items() if architecture is None]
    return MissingImages(images, _config(world, target) if images else {}, environment)


def _architectures(world: World, images: list[str]) -> dict[str, str | None]:
    """Image → its architecture, None where it is not here."""

    def one(image: str) -> str | None:
        ran = world.run("docker", "image", "inspect", "-f", "{{.Architecture}}", image)
        return None if ran.code else ran.output.strip()

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(images, pool.map(one, images)))


def _fitting(world: World, offered: dict[str, set[str]]) -> None:
    """Raises Refused naming every image that is known to have nothing for this host's architecture."""
    ours = registry.architecture(world)
    others = {
        image: sorted(architectures - {""})
        for image, architectures in offered.items()
        if ours not in architectures and architectures - {""}
    }
    if others:
        misfits = "; ".join(f"{image} is for {', '.join(architectures)}" for image, architectures in others.items())
        raise Refused(
            f"this host is {ours}, unlike {count(len(others), 'image')}: {misfits}. Build and push them for {ours} too "
            f"(docker buildx build --platform linux/{ours} …), or choose a machine of their architecture, and run again"
        )


def _config(world: World, target: Release) -> ClientConfig:
    content = next((file.content for file in target.files if file.path == ecr.CONFIG), b"{}")
    return json.loads(content) | {"auths": ecr.auths(world, target.manifest["logins"])}


def bytes_needed(world: World, absent: MissingImages) -> int:
    """Bytes of disk that pulling takes, as far as the registry says, with something to spare. Raises Refused for an
    image that the registry does not have for this host's architecture."""
    ours = registry.architecture(world)

    def ask_offer(image: str) -> registry.Offer:
        return registry.offer(world, image, ours, absent.config, absent.environment)

    images = [image for image in absent.images if "@" in image]
    with ThreadPoolExecutor(4) as pool:
        offers = dict(zip(images, pool.map(ask_offer, images)))
    _fitting(world, {image: set(offer.architectures) for image, offer in offers.items()})
    return SPARE + UNPACKED * sum(offer.size or 0 for offer in offers.values())


def pull(world: World, absent: MissingImages, say: Callable[[str], None]) -> None:
    """Brings what is not here. Raises Refused naming every image that cannot be had, or is of another architecture."""
    unknown = [image for image in absent.images if "@" not in image]
    if unknown:
        raise Refused(_describe_failures(unknown, {}))
    if not absent.images:
        return
    say(f"pulling {count(len(absent.images), 'image')}")
    world.write(f"{LOGIN}/config.json", json.dumps(absent.config).encode(), 0o600, "root", "root")
    failed = {image: ran for image, ran in _pull_all(world, absent.images, absent.environment).items() if ran.code != 0}
    world.remove_tree(LOGIN)
    if failed:
        raise Refused(_describe_failures(list(failed), failed))
    _fitting(
        world,
        {image: {architecture} for image, architecture in _architectures(world, absent.images).items() if architecture},
    )


def _pull_all(world: World, images: list[str], environment: dict[str, str]) -> dict[str, CommandResult]:
    def pull_one(image: str) -> CommandResult:
        return world.run("docker", "--config", LOGIN, "pull", "-q", image, timeout=1800, environment=environment)

    # The first fetches the registry's token for the others; asked for by all at once, some get none
    first = {image: pull_one(image) for image in images[:1]}
    with ThreadPoolExecutor(4) as pool:
        pulled = {**first, **dict(zip(images[1:], pool.map(pull_one, images[1:])))}
    pulled = {image: ran if ran.code == 0 else pull_one(image) for image, ran in pulled.items()}
    for pause in PAUSES:
        passing = [image for image, ran in pulled.items() if ran.code != 0 and PASSING.search(ran.output)]
        if passing:
            world.sleep(pause)
            pulled.update({image: pull_one(image) for image in passing})
    return pulled


def _describe_failures(images: list[str], pulled: dict[str, CommandResult]) -> str:
    absent = [image for image in images if image not in pulled or any(sign in pulled[image].output for sign in ABSENT)]
    failed = [image for image in images if image not in absent]
    lines: list[str] = []
    if absent:
        push = "; ".join(f"docker push {image.split('@')[0]}" for image in absent)
        lines.append(
            f"{count(len(absent), 'image')} missing in the registry. Push them or correct the tag, and run again: "
            f"{push}"
        )
    if failed:
        reason = pulled[failed[0]].last_lines(1)
        lines.append(
            f"{count(len(failed), 'image')} cannot be pulled, the first is {failed[0]}: {reason}. Fix that and run "
            "again"
        )
    return "; ".join(lines)
