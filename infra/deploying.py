"""One service deployed alone: an update of its host's release, in which everything else stays by the digest that it was
brought with. The stack's state records what was deployed, and later updates keep it."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent.documents.answers import Releases
from catalogue.deployed_images import DIGEST, DeployRequest, standing
from catalogue.groups import hosts_of_services
from catalogue.loading import Catalogue
from catalogue.problems import nearest
from catalogue.service import Image, Service
from catalogue.services import ComposeService
from catalogue.updates import APPROVED_IMAGES, DEPLOYING
from infra import aws, bringing, hosts
from infra.errors import InfraError
from infra.move import run
from infra.remote import ask
from rendering.images import PREFIX

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
        """What is deployed once it is done; that of other hosts and services as it was."""
        updated = {host: dict(services) for host, services in before.items()}
        own = updated.setdefault(self.host, {})
        for service, images in self.images.items():
            previous = own.pop(service, {})
            if not self.follow:
                own[service] = {**previous, **images}
        return {host: services for host, services in updated.items() if services}


def host_of(
    catalogue: Catalogue, services: Sequence[str], host: str | None, command: str = "infra deploy"
) -> tuple[str, dict[str, Service]]:
    """The one host that has all of these services, and the services; `command` is what they are named to. Raises
    InfraError."""
    if host is not None and host not in catalogue.stack.hosts:
        raise InfraError(f"--host {host}: {nearest(host, sorted(catalogue.stack.hosts), 'hosts')}")
    on = {
        name: {service.name: service for system in catalogue.systems_on(name) for service in system.active}
        for name in catalogue.stack.hosts
        if host in (None, name)
    }
    service_names = sorted({name for candidates in on.values() for name in candidates})
    for name in services:
        if name not in service_names:
            where = f" on host {host}" if host else ""
            raise InfraError(f"no service {name!r} runs{where}; {nearest(name, service_names, 'services')}")
    candidates = [name for name, own in on.items() if all(service in own for service in services)]
    if not candidates:
        raise InfraError(f"{', '.join(services)} are on several hosts: name those of each host by themselves")
    if len(candidates) > 1:
        raise InfraError(f"{', '.join(services)} runs on several hosts: name one with --host: {', '.join(candidates)}")
    _whole_units(catalogue, candidates[0], services, command)
    return candidates[0], {name: on[candidates[0]][name] for name in services}


def _whole_units(catalogue: Catalogue, host: str, services: Sequence[str], command: str) -> None:
    """Services of one compose file are restarted together. Raises InfraError unless all of them are named."""
    everything = [service for system in catalogue.systems_on(host) for service in system.compose_services]
    units = {service.unit for service in everything if service.name in services}
    if beside := [service.name for service in everything if service.unit in units and service.name not in services]:
        all_of_them = " ".join([*services, *beside])
        raise InfraError(f"{', '.join(beside)} shares a compose file and restarts too: {command} {all_of_them}")


def digests_to_deploy(service: Service, build: str | None, region: str, account: str) -> dict[str, str]:
    """Image as the catalogue names it → the digest that is to be deployed: of its tag now, or of `build`, a tag
    or a digest. Raises InfraError."""
    own = tagged_images(service)
    if not own:
        has = ", ".join(image.name for image in service.images) or "none"
        raise InfraError(
            f"{service.name} has no image of the stack's own that a tag names (it has: {has}): change it in the "
            "catalogue, and run pulumi up"
        )
    main = _main(service, own)
    if build is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}", build):
        raise InfraError(
            f"--image {build!r}: a tag alone, such as 2026-11-29, or a whole digest (sha256: and 64 digits)"
        )
    if build is None:
        return {image.name: _digest(image.repository, image.suffix, region, account) for image in own}
    if len({image.name for image in main}) > 1:
        names = ", ".join(image.name for image in main)
        raise InfraError(f"{service.name} has several images ({names}), and --image says which build of one")
    suffix = f"@{build}" if build.startswith("sha256:") else f":{build}"
    digest = _digest(main[0].repository, suffix, region, account)
    # Its release steps run from the same build
    return {image.name: digest for image in own if image.name == main[0].name}


def tagged_images(service: Service) -> list[Image]:
    """The images of the stack's own registry that a tag names."""
    return [image for image in service.images if image.digest is None and not image.is_foreign]


def _main(service: Service, own: list[Image]) -> list[Image]:
    return own[:1] if isinstance(service, ComposeService) else own


def _digest(repository: str, suffix: str, region: str, account: str) -> str:
    """The digest of an image in a region's registry. Raises InfraError."""
    image_id = {"imageDigest": suffix[1:]} if suffix[0] == "@" else {"imageTag": suffix[1:]}
    client = aws.client("ecr", region)
    try:
        details = client.describe_images(registryId=account, repositoryName=repository, imageIds=[image_id])[
            "imageDetails"
        ]
        (digest,) = {entry["imageDigest"] for entry in details}
        return digest
    except (BotoCoreError, ClientError, ValueError) as error:
        code = aws.error_code(error) if isinstance(error, ClientError) else ""
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
        details = [entry for page in pages for entry in page["imageDetails"] if entry.get("imageTags")]
    except (BotoCoreError, ClientError):
        return ""
    last = sorted(details, key=lambda entry: str(entry.get("imagePushedAt", "")), reverse=True)
    tags = [tag for entry in last for tag in entry["imageTags"] if not tag.startswith((PREFIX, "released-"))][:5]
    return f" (pushed last: {', '.join(tags)})" if tags else ""


def former(answer: Releases, service: str) -> dict[str, str]:
    """Repository → digest of the images that a host's service had before those that serve, of the releases that it
    keeps: back along the way that led here, and not to what was rolled back from. Raises InfraError."""
    by_release = answer.get("services", {})
    way: list[str] = []
    for release in [job["release"] for job in answer["history"] if job["code"] == 0]:
        # A release that serves again is the one that served before, whatever came between
        way = [*way[: way.index(release)], release] if release in way else [*way, release]
    current = by_release.get(answer["current"] or "", {}).get(service)
    for release in reversed(way):
        images = by_release.get(release, {}).get(service)
        if images and images != current:
            return by_repository(images, service)
    raise InfraError(f"no kept release has another image of {service}: infra deploy {service} --image TAG brings any")


def by_repository(images: Iterable[str], service: str) -> dict[str, str]:
    """Repository → digest. Raises InfraError for what is no image by its digest, and where one repository has
    several."""
    digests: dict[str, str] = {}
    for image in images:
        repository, _, digest = image.partition("/")[2].partition("@")
        if not DIGEST.fullmatch(digest) or digests.setdefault(repository, digest) != digest:
            raise InfraError(f"it is not clear which image {service} has or had: infra deploy {service} --image TAG")
    return digests


def roll_back(catalogue: Catalogue, services: Sequence[str], host: str | None, say: Say, ask_lock: run.Ask) -> str:
    """Deploys the images that services had before. Raises InfraError."""
    place, services_by_name = host_of(catalogue, services, host)
    answer = ask(hosts.targets(catalogue.stack, place)[place], "releases")
    images: dict[str, dict[str, str]] = {}
    for name, service in services_by_name.items():
        had = former(answer, name)
        own = {image.name: had[image.repository] for image in tagged_images(service) if image.repository in had}
        if not own:
            raise InfraError(
                f"{name} has no image with a tag in the stack's registry: roll back its host with infra rollback"
            )
        images[name] = own
    return deploy(catalogue, Deployment(place, images), say, ask_lock)


def deploy(catalogue: Catalogue, deployment: Deployment, say: Say, ask_lock: run.Ask) -> str:
    """Brings it to its host and records it; what to say of it. Raises InfraError."""
    stack = catalogue.stack
    outputs = hosts.outputs(stack)
    # All hosts of a group have the images of its spread services
    affected = hosts_of_services(stack, catalogue.systems, deployment.host, deployment.images)
    bringing.ensure_whole(catalogue, outputs, deployment.host)
    before, served = outputs.get("deployed", {}), outputs.get("images", {})
    records = {**before, **standing(catalogue, {deployment.host: before.get(deployment.host, {})})}
    after = deployment.records(records)
    command = _command(stack.name, deployment)
    answers = {host: bringing.ask_settled(stack, outputs, host, command) for host in affected}
    if serves(deployment, answers[deployment.host]) and after == records and not deployment.follow:
        return f"{_service_digests(deployment)} serves on {deployment.host} already: nothing to do"
    if deployment.follow:
        _alone_with_its_tag(deployment, served)
    run.settle(stack.name, say, ask_lock)
    own = {name: digest for images in deployment.images.values() for name, digest in images.items()}
    # Of everything else what was brought last, whatever was pushed since
    images = {**served, **own} if deployment.follow else dict(served)
    basis = before, hosts.release_of(outputs, deployment.host)
    update = bringing.Update(
        command, bringing.targets(stack, affected), _variables(images, deployment, after, basis),
        _variables(images, deployment, before),
    )  # fmt: skip
    bringing.bring(stack.name, update, say, ask_lock)
    later = "follows its tag from now on" if deployment.follow else "pulumi up keeps it"
    standby = f"; {', '.join(stack.standbyRegions)} gets it by the next pulumi up" if stack.standbyRegions else ""
    return f"{_service_digests(deployment)} serves on {deployment.host}; {later}{standby}"


def _command(stack: str, deployment: Deployment) -> str:
    """The command that asks for the same again, whatever tags mean by then."""
    words = ["infra deploy", *deployment.images, "--host", deployment.host, "--stack", stack]
    digests = {digest for images in deployment.images.values() for digest in images.values()}
    if len(deployment.images) == len(digests) == 1 and not deployment.follow:
        words += ["--image", *digests]
    return " ".join([*words, *(["--follow"] if deployment.follow else [])])


def _alone_with_its_tag(deployment: Deployment, served: Mapping[str, str]) -> None:
    """Raises InfraError where another service has the same tag, and serves another image of it."""
    for service, images in deployment.images.items():
        for name, digest in images.items():
            if served.get(name, digest) != digest:
                raise InfraError(
                    f"other services follow tag {name} too and serve {served[name][:SHORT]}: run pulumi up, which "
                    f"deploys its current image to them, then infra deploy {service} --follow"
                )


def _variables(
    images: Mapping[str, str],
    deployment: Deployment,
    deployed: Records,
    basis: tuple[Records, str | None] | None = None,
) -> dict[str, str]:
    """What an update for some services alone is given; `basis` is what it was worked out from."""
    deploying: DeployRequest = {"host": deployment.host, "services": [*deployment.images], "deployed": deployed}
    if basis:
        deploying["basis"], deploying["release"] = basis
    return {APPROVED_IMAGES: json.dumps(images), DEPLOYING: json.dumps(deploying)}


def serves(deployment: Deployment, answer: Releases) -> bool:
    """Has each service what it is to get, by what its host says."""
    now = answer.get("services", {}).get(answer["current"] or "", {})
    return all(
        any(image.endswith(f"/{name.partition(':')[0]}@{digest}") for image in now.get(service, []))
        for service, images in deployment.images.items()
        for name, digest in images.items()
    )


def _service_digests(deployment: Deployment) -> str:
    """Each service with what it gets."""
    return ", ".join(f"{service}: {_short_digests(images)}" for service, images in deployment.images.items())


def _short_digests(images: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(digest[:SHORT] for digest in images.values()))
