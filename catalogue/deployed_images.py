"""Images that were deployed for one service alone (`infra deploy`): they stand, whatever their tags point to since."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NotRequired, TypedDict, TypeVar

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.service import Image, Service
from catalogue.services import ComposeService, NativeService
from catalogue.spread import SpreadService

# Host → service → image as the catalogue names it (repository:tag) → digest
Deployed = Mapping[str, Mapping[str, Mapping[str, str]]]


class DeployRequest(TypedDict):
    """What `infra deploy` and `infra secret rotate` ask of an update: services of a host alone, with the images that
    are deployed after it. It was worked out from the images of `basis` and the host's `release`; `versions` are
    secrets that change (`SERVICE/NAME` → digest of the value that is running)."""

    host: str
    services: list[str]
    deployed: Deployed
    basis: NotRequired[Deployed]
    release: NotRequired[str | None]
    versions: NotRequired[dict[str, str]]


DIGEST = re.compile("sha256:[0-9a-f]{64}")
Named = TypeVar("Named", bound=Image)


def standing(catalogue: Catalogue, deployed: Deployed) -> dict[str, dict[str, dict[str, str]]]:
    """What of it still means something: a service that is there, an image under the tag that it was deployed for."""
    by_host: dict[str, dict[str, dict[str, str]]] = {}
    for host in catalogue.stack.hosts:
        for service in [service for system in catalogue.systems_on(host) for service in system.active]:
            names = {image.name for image in service.images if image.digest is None}
            digests = deployed.get(host, {}).get(service.name, {})
            current = {name: digests[name] for name in sorted(names & {*digests})}
            if own := {name: digest for name, digest in current.items() if DIGEST.fullmatch(digest)}:
                by_host.setdefault(host, {})[service.name] = own
    return by_host


def pin_images(catalogue: Catalogue, deployed: Deployed) -> Catalogue:
    """The catalogue with these services' images by digest."""
    systems = dict(catalogue.systems)
    for host, services in standing(catalogue, deployed).items():
        for system in catalogue.systems_on(host):
            systems[system.system] = _of_system(system, services)
    return replace(catalogue, systems=systems)


def _of_system(system: System, services: Mapping[str, Mapping[str, str]]) -> System:
    pinned_services = [
        _of_service(service, services[service.name])
        if isinstance(service, Service) and service.name in services
        else service
        for service in system.services
    ]
    return system.model_copy(update={"services": pinned_services})


def _of_service(service: Service, digests: Mapping[str, str]) -> Service:
    def of(image: Named) -> Named:
        digest = digests.get(image.name)
        return image.model_copy(update={"tag": None, "digest": digest}) if digest else image

    if isinstance(service, ComposeService):
        steps = [step.model_copy(update={"image": of(step.image)}) if step.image else step for step in service.release]
        return service.model_copy(update={"image": of(service.image), "release": steps})
    if isinstance(service, SpreadService):
        return service.model_copy(update={"container": _of_service(service.container, digests)})
    if isinstance(service, NativeService):
        return service.model_copy(update={"artefact": [of(artefact) for artefact in service.artefact]})
    return service
