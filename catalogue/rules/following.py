"""What a service needs whose host follows a tag by itself, out of what it has there."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.rules.each import compose_services
from catalogue.services import ComposeService


def following(catalogue: Catalogue) -> Iterator[Problem]:
    """Its host makes the new release out of the one that serves, by putting one digest in another's place."""
    for file, _, service in compose_services(catalogue):
        if service.deploy:
            where, fault = f"service {service.name}", f"deploy: {{watch: {service.followed_tag}}}"
            for what, rule in _faults(catalogue, service):
                yield Problem(file, where, f"{fault} {what}", rule)
    yield from _of_one_image(catalogue)


def _faults(catalogue: Catalogue, service: ComposeService) -> Iterator[tuple[str, str]]:
    image = service.image
    if image.is_foreign:
        yield (
            "for an image of another registry",
            "must be an image of the stack's own registry: others are copied by pulumi up",
        )
    # A digest may be what `infra deploy` pinned
    elif not image.digest and (image.tag or "latest") != service.followed_tag:
        yield f"for image {image.name}", f"must be the same tag: image: {{tag: {service.followed_tag}}}"
    if service.release:
        yield "for a service with release steps", "must have no release steps: only pulumi up and infra deploy run them"
    if catalogue.stack.standbyRegions:
        rule = "must have no infra:standbyRegions: a standby region gets its images from pulumi up alone"
        yield "in a stack with standby regions", rule


def _of_one_image(catalogue: Catalogue) -> Iterator[Problem]:
    """What has the same image on a host changes with it."""
    for host in catalogue.stack.hosts:
        services = [(system, service) for system in catalogue.systems_on(host) for service in system.active]
        followed = {s.image.repository: s for _, s in services if isinstance(s, ComposeService) and s.deploy}
        for system, service in services:
            for repository in {image.repository for image in service.images} & {*followed}:
                other = followed[repository]
                own = service.followed_tag if isinstance(service, ComposeService) else ""
                if own != other.followed_tag:
                    fault = f"image {repository}, of which {other.name} follows tag {other.followed_tag}"
                    rule = f"must have deploy: {{watch: {other.followed_tag}}} too, or a repository of its own"
                    yield Problem(catalogue.file_of(system), f"service {service.name}", fault, rule)
