"""The images of a release, each named by its digest: pulled while the present release serves."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agent import ecr, registry
from agent.outcome import Refused
from agent.store import Release
from agent.world import Ran, World

ABSENT = ("manifest unknown", "not found", "does not exist")
LOGIN = "/run/infra/docker"
UNPACKED = 3  # times the compressed size: the download itself, and the files that come out of it
SPARE = 256 * 1024**2


def missing(world: World, images: list[str]) -> list[str]:
    """The images that are not on this host."""
    with ThreadPoolExecutor(4) as pool:
        here = pool.map(lambda image: world.run("docker", "image", "inspect", "-f", "{{.Id}}", image).code, images)
        return [image for image, code in zip(images, here, strict=True) if code != 0]


def needed(world: World, target: Release, absent: list[str], environment: dict[str, str]) -> int:
    """Bytes of disk that pulling takes, as far as the registry says, with something to spare."""
    config = login(world, target)
    with ThreadPoolExecutor(4) as pool:
        sizes = list(pool.map(lambda image: registry.size(world, image, config, environment), absent))
    return SPARE + UNPACKED * sum(size or 0 for size in sizes)


def login(world: World, target: Release) -> dict[str, Any]:
    """Docker's configuration as the release is going to have it: pulling needs it before it is in place.

    Raises Refused when AWS gives no login.
    """
    content = next((file.content for file in target.files if file.path == ecr.CONFIG), b"{}")
    return json.loads(content) | {"auths": ecr.auths(world, target.manifest["logins"])}


def pull(world: World, target: Release, environment: dict[str, str], say: Callable[[str], None]) -> None:
    """Brings what is not here. Raises Refused naming every image that cannot be had."""
    absent = missing(world, target.images)
    unknown = [image for image in absent if "@" not in image]
    if unknown:
        raise Refused(_told(unknown, {}))
    if not absent:
        return
    say(f"pulling {len(absent)} images")
    world.write(f"{LOGIN}/config.json", json.dumps(login(world, target)).encode(), 0o600, "root", "root")
    failed = {image: ran for image, ran in _pull_all(world, absent, environment).items() if ran.code != 0}
    world.remove_tree(LOGIN)
    if failed:
        raise Refused(_told(list(failed), failed))


def _pull_all(world: World, images: list[str], environment: dict[str, str]) -> dict[str, Ran]:
    def pull_one(image: str) -> Ran:
        return world.run("docker", "--config", LOGIN, "pull", "-q", image, timeout=1800, environment=environment)

    # The first fetches the registry's token for the others; asked for by all at once, some get none
    first = {image: pull_one(image) for image in images[:1]}
    with ThreadPoolExecutor(4) as pool:
        pulled = {**first, **dict(zip(images[1:], pool.map(pull_one, images[1:]), strict=True))}
    return {image: ran if ran.code == 0 else pull_one(image) for image, ran in pulled.items()}


def _told(images: list[str], pulled: dict[str, Ran]) -> str:
    absent = [image for image in images if image not in pulled or any(sign in pulled[image].output for sign in ABSENT)]
    failed = [image for image in images if image not in absent]
    lines = []
    if absent:
        push = "; ".join(f"docker push {image.split('@')[0]}" for image in absent)
        lines.append(f"{len(absent)} image(s) are not in the registry. Push, or correct the tag, and run again: {push}")
    if failed:
        reason = pulled[failed[0]].last_lines(1)
        lines.append(f"{len(failed)} image(s) cannot be pulled, {failed[0]} first: {reason}. Mend that and run again")
    return "; ".join(lines)
