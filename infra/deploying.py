"""One service deployed alone: an update of its host's release, in which everything else stays by the digest that it was
brought with. The stack's state records what was deployed, and later updates keep it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from catalogue.deployed import standing
from catalogue.loading import Catalogue
from catalogue.problems import nearest
from catalogue.service import Image, Service
from catalogue.services import ComposeService
from catalogue.stack import APPROVED_IMAGES, DEPLOYED, DEPLOYING_ONLY
from infra import aws, hosts
from infra.errors import InfraError
from infra.move import run
from infra.remote import ask

Say = Callable[[str], None]
Records = dict[str, dict[str, dict[str, str]]]
SHORT = 19  # of a digest: its kind, and twelve characters


@dataclass(frozen=True)
class Deployment:
    """What is to be deployed on a host: service → image as the catalogue names it → digest. `follow` are services that
    follow their tags again from then on."""

    host: str
    images: Mapping[str, Mapping[str, str]]
    follow: bool = False

    def records(self, before: Records) -> Records:
        """What is deployed once it is done."""
        made = {host: dict(services) for host, services in before.items()}
        own = made.setdefault(self.host, {})
        for service, images in self.images.items():
            own.pop(service, None)
            if not self.follow:
                own[service] = dict(images)
        return made


def host_of(catalogue: Catalogue, services: Sequence[str], host: str | None) -> tuple[str, dict[str, Service]]:
    """The one host that has all of these services, and the services. Raises InfraError."""
    if host is not None and host not in catalogue.stack.hosts:
        raise InfraError(f"--host {host}: {nearest(host, sorted(catalogue.stack.hosts), 'hosts')}")
    on = {
        name: {service.name: service for system in catalogue.systems_on(name) for service in system.active}
        for name in catalogue.stack.hosts
        if host in (None, name)
    }
    known = sorted({name for found in on.values() for name in found})
    for name in services:
        if name not in known:
            where = f" on host {host}" if host else ""
            raise InfraError(f"no service {name!r} runs{where}; {nearest(name, known, 'services')}")
    found = [name for name, own in on.items() if all(service in own for service in services)]
    if not found:
        raise InfraError(f"{', '.join(services)} are on several hosts: deploy those of each host by themselves")
    if len(found) > 1:
        raise InfraError(f"{', '.join(services)} runs on several hosts: name one with --host: {', '.join(found)}")
    return found[0], {name: on[found[0]][name] for name in services}


def chosen(service: Service, given: str | None, region: str, account: str) -> dict[str, str]:
    """Image as the catalogue names it → the digest that is to be deployed: of its tag now, or of the `given` tag or
    digest. Raises InfraError."""
    own = [image for image in service.images if image.digest is None and not image.is_foreign]
    if not own:
        has = ", ".join(image.name for image in service.images) or "none"
        raise InfraError(
            f"{service.name} has no image of the stack's own that a tag names (it has: {has}): change it in the "
            "catalogue, and run pulumi up"
        )
    main = _main(service, own)
    if given is None:
        return {image.name: _digest(image.repository, image.suffix, region, account) for image in own}
    if len({image.name for image in main}) > 1:
        names = ", ".join(image.name for image in main)
        raise InfraError(f"{service.name} has several images ({names}), and --image says which build of one")
    suffix = f"@{given}" if given.startswith("sha256:") else f":{given}"
    digest = _digest(main[0].repository, suffix, region, account)
    # Its release steps run from the same build
    return {image.name: digest for image in own if image.repository == main[0].repository}


def _main(service: Service, own: list[Image]) -> list[Image]:
    return own[:1] if isinstance(service, ComposeService) else own


def _digest(repository: str, suffix: str, region: str, account: str) -> str:
    """The digest of an image in a region's registry. Raises InfraError."""
    named = {"imageDigest": suffix[1:]} if suffix[0] == "@" else {"imageTag": suffix[1:]}
    client = aws.client("ecr", region)
    try:
        (found,) = client.describe_images(registryId=account, repositoryName=repository, imageIds=[named])[
            "imageDetails"
        ]
        return found["imageDigest"]
    except (BotoCoreError, ClientError, ValueError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code in ("ImageNotFoundException", "InvalidParameterException") or isinstance(error, ValueError):
            raise InfraError(
                f"{region} has no {repository}{suffix}{_newest(client, account, repository)}: push it (infra push), or "
                "name another with --image"
            ) from None
        raise InfraError(f"ECR in {region}, {repository}{suffix}: {error}") from None


def _newest(client: Any, account: str, repository: str) -> str:
    """The tags that were pushed last, for a message."""
    try:
        pages = client.get_paginator("describe_images").paginate(registryId=account, repositoryName=repository)
        found = [entry for page in pages for entry in page["imageDetails"] if entry.get("imageTags")]
    except (BotoCoreError, ClientError):
        return ""
    last = sorted(found, key=lambda entry: str(entry.get("imagePushedAt", "")), reverse=True)
    tags = [tag for entry in last for tag in entry["imageTags"] if not tag.startswith("infra-")][:5]
    return f" (pushed last: {', '.join(tags)})" if tags else ""


def former(answer: dict[str, Any], service: str) -> str:
    """The image that a host's service had before the one that serves, by its digest, of the releases that it keeps.
    Raises InfraError."""
    by_release = answer["services"]
    serving = by_release.get(answer["current"] or "", {}).get(service)
    order = [job["release"] for job in reversed(answer["history"]) if job["code"] == 0]
    for release in dict.fromkeys(order):
        image = by_release.get(release, {}).get(service)
        if image and image != serving and "@" in image:
            return image.partition("@")[2]
    raise InfraError(f"no kept release has another image of {service}: infra deploy {service} --image TAG brings any")


def roll_back(catalogue: Catalogue, services: Sequence[str], host: str | None, say: Say, ask_lock: run.Ask) -> str:
    """Deploys the images that services had before. Raises InfraError."""
    place, found = host_of(catalogue, services, host)
    target = hosts.targets(catalogue.stack, place)[place]
    answer = ask(target, "releases")
    images = {}
    for name, service in found.items():
        own = [image for image in service.images if image.digest is None and not image.is_foreign]
        if not own:
            raise InfraError(f"{name} has no image of the stack's own that a tag names: infra rollback goes back whole")
        digest = former(answer, name)
        images[name] = {image.name: digest for image in own if image.repository == _main(service, own)[0].repository}
    return deploy(catalogue, Deployment(place, images), say, ask_lock)


def deploy(catalogue: Catalogue, wanted: Deployment, say: Say, ask_lock: run.Ask) -> str:
    """Brings it to its host and records it; what to say of it. Raises InfraError."""
    stack = catalogue.stack
    outputs = hosts.outputs(stack)
    if "images" not in outputs:
        raise InfraError(f"stack {stack.name} has not been brought up as a whole yet: pulumi up --stack {stack.name}")
    if outputs["region"] != stack.region:
        raise InfraError(
            f"stack {stack.name} serves from {outputs['region']} and is to be in {stack.region}: finish that move first"
        )
    before = standing(catalogue, outputs.get("deployed", {}))
    after = wanted.records(before)
    named = ", ".join(wanted.images)
    if not changes(wanted, before, outputs["images"]) and standing(catalogue, after) == before:
        return f"{named}: {_shown(wanted)} serves on {wanted.host} already: nothing to do"
    run.settle(stack.name, say, ask_lock)
    images, words = outputs["images"], _targets(catalogue, wanted.host)
    # Of everything else what was brought last, whatever was pushed since
    brought = _variables(_others(catalogue, wanted, images), after, wanted.images)
    progress = run.up(stack.name, [], say, ask_lock, words, brought)
    if progress.reasons:
        reason = progress.reasons[0].strip()
        if any(f"{end} on {wanted.host}" in reason for end in ("rolled back", "refused")):
            # The engine has noted what it was to bring: noted back, the next update has nothing to do
            as_before = _variables(images, before, wanted.images)
            run.up(stack.name, [], lambda _: None, lambda _: False, words, as_before)
        raise InfraError(reason)
    later = "follows its tag from now on" if wanted.follow else "pulumi up keeps it"
    standby = f"; {', '.join(stack.standbyRegions)} gets it by the next pulumi up" if stack.standbyRegions else ""
    return f"{named}: {_shown(wanted)} serves on {wanted.host}; {later}{standby}"


def _variables(images: Mapping[str, str], deployed: Records, services: Iterable[str]) -> dict[str, str]:
    """What an update for some services alone gets"""
    return {
        APPROVED_IMAGES: json.dumps(images),
        # No record is one too
        DEPLOYED: json.dumps(deployed),
        DEPLOYING_ONLY: json.dumps([*services]),
    }


def changes(wanted: Deployment, before: Records, served: Mapping[str, str]) -> bool:
    """Does a service get another image than it has."""
    for service, images in wanted.images.items():
        had = before.get(wanted.host, {}).get(service, {})
        if any(had.get(name, served.get(name)) != digest for name, digest in images.items()):
            return True
    return False


def _others(catalogue: Catalogue, wanted: Deployment, served: Mapping[str, str]) -> dict[str, str]:
    """The images of all other services, as they were brought last."""
    if not wanted.follow:
        return dict(served)
    # A service that follows its tag again is rendered by that
    own = {name: digest for images in wanted.images.values() for name, digest in images.items()}
    return {**served, **own}


def _targets(catalogue: Catalogue, host: str) -> list[str]:
    stack = catalogue.stack
    name = f"{host}-{stack.region}" if host in stack.ec2_hosts else host
    return [
        word
        for end in ("release", "release-apply")
        for word in ("--target", f"urn:pulumi:{stack.name}::**::{name}-{end}")
    ]


def _shown(wanted: Deployment) -> str:
    digests: Iterable[str] = dict.fromkeys(d for images in wanted.images.values() for d in images.values())
    return ", ".join(digest[:SHORT] for digest in digests)
