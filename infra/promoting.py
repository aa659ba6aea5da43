"""What one stack serves of a service, deployed to another stack: the same digest, and not what a tag means by now."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import boto3

from catalogue.loading import Catalogue
from infra import deploying, hosts
from infra.deploying import Deployment
from infra.errors import InfraError
from infra.foreign import one_line
from infra.move.steps.images import login, registry
from infra.remote import ask
from infra.skopeo import Copier

# What builders say of an image (OCI image spec, annotations), in the words of a report
LABELS = {
    "org.opencontainers.image.revision": "commit",
    "org.opencontainers.image.version": "version",
    "org.opencontainers.image.created": "built",
    "org.opencontainers.image.source": "source",
    "org.opencontainers.image.url": "run",
}
TAG = "promoted-"  # of a copy, until the release has tags of its own for it
SHORT = deploying.SHORT


@dataclass(frozen=True)
class Promotion:
    """`images` are by repository the digest that the first stack serves, of those that are promoted; `before` what the
    other one serves, where it serves any; `left` are repositories that the other stack's catalogue decides about."""

    service: str
    source: Catalogue
    deployment: Deployment
    images: Mapping[str, str]
    before: Mapping[str, str]
    left_out: Sequence[str] = ()


def plan_promotion(
    source: Catalogue, target: Catalogue, service: str, source_host: str | None, host: str | None
) -> Promotion:
    """Asks the hosts of both. Raises InfraError."""
    if source.stack.name == target.stack.name:
        raise InfraError(f"--from {source.stack.name} --to {target.stack.name}: two stacks")
    first, _ = deploying.host_of(source, [service], source_host)
    place, services_by_name = deploying.host_of(target, [service], host, "infra promote")
    serves = _serves(source, first, service)
    if not serves:
        raise InfraError(f"{first} of stack {source.stack.name} serves no {service}: infra status says why")
    own = {
        image.name: serves[image.repository]
        for image in deploying.tagged_images(services_by_name[service])
        if image.repository in serves
    }
    if not own:
        raise InfraError(
            f"stack {target.stack.name} has {service} from other repositories than {', '.join(sorted(serves))}: "
            "the catalogues of both stacks must name the same"
        )
    followed = [image.repository for image in deploying.tagged_images(services_by_name[service]) if image.name in own]
    followed_digests = {repository: serves[repository] for repository in followed}
    left_out = sorted({*serves} - {*followed_digests})
    return Promotion(
        service, source, Deployment(place, {service: own}), followed_digests, _serves(target, place, service), left_out
    )


def _serves(catalogue: Catalogue, host: str, service: str) -> dict[str, str]:
    """Repository → digest of what a host's service has now."""
    answer = ask(hosts.targets(catalogue.stack, host)[host], "releases")
    images = answer.get("services", {}).get(answer["current"] or "", {}).get(service, [])
    return deploying.by_repository(images, service)


def lines(promotion: Promotion, target: Catalogue) -> Iterator[str]:
    """What differs between the two, image by image: digests, and what the labels of both say. Raises InfraError."""
    stack, target_stack = promotion.source.stack, target.stack
    if promotion.left_out:
        names = ", ".join(promotion.left_out)
        yield f"not promoted, as the catalogue of {target_stack.name} has them by a digest, or not at all: {names}"
    for repository, digest in promotion.images.items():
        old = promotion.before.get(repository)
        if old == digest:
            yield f"{repository}: {digest[:SHORT]} serves in {target_stack.name} already"
            continue
        had = old[:SHORT] if old else "none"
        yield f"{repository}: {had} in {target_stack.name} → {digest[:SHORT]} of {stack.name}"
        before = _labels(target_stack.accountId, target_stack.region, repository, old) if old else {}
        after = _labels(stack.accountId, stack.region, repository, digest)
        for label, word in LABELS.items():
            if before.get(label) != after.get(label):
                yield f"  {word}: {before.get(label, '-')} → {after.get(label, '-')}"


class ContainerConfiguration(TypedDict, total=False):
    """What an image says of its containers, as far as it is read here (OCI image spec, configuration)."""

    Labels: dict[str, str] | None


class ImageConfiguration(TypedDict, total=False):
    config: ContainerConfiguration | None


def _labels(account: str, region: str, repository: str, digest: str) -> dict[str, str]:
    """None where they cannot be read: they are a help, and no reason not to go on."""
    host = registry(account, region)
    try:
        with tempfile.TemporaryDirectory() as folder:
            copier = Copier(Path(folder), {host: {"auth": login(boto3.Session(), account, region)}}, {})
            image: ImageConfiguration = json.loads(copier.configuration(f"docker://{host}/{repository}@{digest}"))
            config: ContainerConfiguration = image.get("config") or {}
            labels = config.get("Labels") or {}
            return {label: one_line(str(labels[label])) for label in LABELS if label in labels}
    except (InfraError, ValueError, AttributeError):
        return {}


def bring_images(promotion: Promotion, target: Catalogue) -> Iterator[str]:
    """Copies into the other stack's registry what it lacks; a line for each copy. Raises InfraError."""
    stack, target_stack = promotion.source.stack, target.stack
    there, here = registry(target_stack.accountId, target_stack.region), registry(stack.accountId, stack.region)
    if there == here:
        return
    session = boto3.Session()
    auths = {
        host: {"auth": login(session, account, region)}
        for host, account, region in (
            (here, stack.accountId, stack.region),
            (there, target_stack.accountId, target_stack.region),
        )
    }
    with tempfile.TemporaryDirectory() as folder:
        copier = Copier(Path(folder), auths, {})
        for repository, digest in promotion.images.items():
            if copier.digest(f"docker://{there}/{repository}@{digest}") == digest:
                continue
            tag = f"{TAG}{digest.removeprefix('sha256:')[:12]}"
            copier.copy(f"docker://{here}/{repository}@{digest}", f"docker://{there}/{repository}:{tag}")
            if copier.digest(f"docker://{there}/{repository}:{tag}") != digest:
                raise InfraError(
                    f"the copy of {repository}@{digest[:SHORT]} in {target_stack.region} has another digest. Run again"
                )
            yield f"copied {repository}@{digest[:SHORT]} into the registry of stack {target_stack.name}"
