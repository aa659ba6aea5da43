"""Compose projects and the units that run them."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import yaml

from catalogue.models import ComposeService, ContainerNetwork, System
from catalogue.stack import Stack
from rendering.files import EnvironmentFile, File, Unit
from rendering.templates import BANNER, fill

UNITS = "/etc/systemd/system"


def projects(system: System) -> list[list[ComposeService]]:
    """The compose services grouped by the project they share, in catalogue order of the first."""
    services = system.compose_services
    order = {service.directory: index for index, service in reversed(list(enumerate(services)))}
    ordered = sorted(services, key=lambda service: order[service.directory])
    return [list(group) for _, group in groupby(ordered, key=lambda service: service.directory)]


def compose_path(service: ComposeService) -> str:
    return f"{service.directory}/{service.compose_file}"


def environment_path(service: ComposeService) -> str | None:
    """Where the service's environment file lies, or None when it has no environment."""
    if not service.environment and not service.secrets:
        return None
    return f"{service.directory}/{service.name}.env"


def image(service: ComposeService, stack: Stack) -> str:
    return f"{stack.registry}/{service.image.repository}{service.image.suffix}"


def document(project: list[ComposeService], network: ContainerNetwork, stack: Stack) -> dict[str, Any]:
    """The compose file's content: ports on loopback only, the network external, as the document demands."""

    def entry(service: ComposeService) -> dict[str, Any]:
        body: dict[str, Any] = {
            "image": image(service, stack),
            "container_name": service.container,
            "ports": [f"127.0.0.1:{service.port}:{service.port}"],
            "networks": {network.name: {"ipv4_address": str(service.address)}},
            "mem_limit": service.memory.limit,
        }
        if path := environment_path(service):
            body["env_file"] = [f"./{path.rsplit('/', 1)[1]}"]
        return body

    return {
        "version": "3.8",
        "services": {service.compose_key: entry(service) for service in project},
        "networks": {network.name: {"external": True}},
    }


def compose_file(project: list[ComposeService], network: ContainerNetwork, stack: Stack, source: str) -> File:
    text = yaml.safe_dump(document(project, network, stack), sort_keys=False, allow_unicode=True)
    return File(compose_path(project[0]), f"{BANNER.format(source=source)}\n{text}".encode())


def unit_file(project: list[ComposeService], network: ContainerNetwork, source: str) -> File:
    description = "; ".join(service.purpose for service in project)
    content = fill(
        "compose.service.j2",
        source,
        description=description,
        network=network,
        compose_file=compose_path(project[0]),
        shared=len(project) > 1,
    )
    return File(f"{UNITS}/{project[0].unit}", content)


def network_unit_file(network: ContainerNetwork, source: str) -> File:
    return File(f"{UNITS}/{network.unit}", fill("network.service.j2", source, network=network))


def environment_files(services: Iterable[ComposeService]) -> list[EnvironmentFile]:
    return [
        EnvironmentFile(path, service.environment, {name: f"{service.name}/{name}" for name in service.secrets})
        for service in services
        if (path := environment_path(service))
    ]


def unit(project: list[ComposeService], stack: Stack) -> Unit:
    """The project's unit, with all that a change of must restart it."""
    environment = [path for service in project if (path := environment_path(service))]
    name = project[0].unit
    files = [f"{UNITS}/{name}", compose_path(project[0]), *environment]
    return Unit(name, files, [image(service, stack) for service in project])
