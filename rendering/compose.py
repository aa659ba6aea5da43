"""Compose projects and the units that run them."""

import hmac
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import yaml

from catalogue.models import ComposeService, ContainerNetwork, System
from catalogue.stack import Stack
from rendering.files import EnvironmentFile, File, Unit
from rendering.templates import BANNER, fill

UNITS = "/etc/systemd/system"
WAIT = "curl --silent --show-error --output /dev/null --unix-socket /run/docker.sock --request POST http://localhost/containers"
# `repository:tag` → the digest that the registry has under it
Digests = Mapping[str, str]


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


def image(service: ComposeService, stack: Stack, digests: Digests) -> str:
    """The image's full name: by its digest where that is known, so that a release always means the same bytes."""
    digest = digests.get(f"{service.image.repository}{service.image.suffix}")
    return f"{stack.registry}/{service.image.repository}{f'@{digest}' if digest else service.image.suffix}"


def document(
    project: list[ComposeService], network: ContainerNetwork, stack: Stack, digests: Digests
) -> dict[str, Any]:
    """The compose file's content: ports on loopback only, the network external, as the document demands."""

    def entry(service: ComposeService) -> dict[str, Any]:
        body: dict[str, Any] = {
            "image": image(service, stack, digests),
            "container_name": service.container,
            "ports": [f"127.0.0.1:{service.port}:{service.port}"],
            "networks": {network.name: {"ipv4_address": str(service.address)}},
            "mem_limit": service.memory.limit,
            # Docker writes to the journal under the unit's name: `journalctl -u` shows it
            "labels": {"object_systemd_unit": service.unit},
            "logging": {"driver": "journald", "options": {"labels": "object_systemd_unit", "tag": "{{.Name}}"}},
        }
        if path := environment_path(service):
            body["env_file"] = [f"./{path.rsplit('/', 1)[1]}"]
        return body

    return {
        "version": "3.8",
        "services": {service.compose_key: entry(service) for service in project},
        "networks": {network.name: {"external": True}},
    }


def compose_file(
    project: list[ComposeService], network: ContainerNetwork, stack: Stack, digests: Digests, source: str
) -> File:
    text = yaml.safe_dump(document(project, network, stack, digests), sort_keys=False, allow_unicode=True)
    return File(compose_path(project[0]), f"{BANNER.format(source=source)}\n{text}".encode())


def unit_file(project: list[ComposeService], network: ContainerNetwork, source: str) -> File:
    description = "; ".join(service.purpose for service in project)
    content = fill(
        "compose.service.j2",
        source,
        description=description,
        network=network,
        compose_file=compose_path(project[0]),
        containers=[service.container for service in project],
        wait=WAIT,
    )
    return File(f"{UNITS}/{project[0].unit}", content)


def network_unit_file(network: ContainerNetwork, source: str) -> File:
    return File(f"{UNITS}/{network.unit}", fill("network.service.j2", source, network=network))


def environment_files(services: Iterable[ComposeService], stack: Stack) -> list[EnvironmentFile]:
    def of(service: ComposeService, path: str) -> EnvironmentFile:
        names = {name: f"{service.name}/{name}" for name in service.secrets}
        given = stack.secrets.get(service.name, {})
        versions = {place: secret_version(stack, place, given[name]) for name, place in names.items() if name in given}
        return EnvironmentFile(path, service.environment, names, versions)

    return [of(service, path) for service in services if (path := environment_path(service))]


def secret_version(stack: Stack, place: str, value: str) -> str:
    """Tells one value of a secret from another; without the stack's own key nobody can try values against it."""
    return hmac.new((stack.sshPrivateKey or "").encode(), f"{place}\0{value}".encode(), "sha256").hexdigest()[:16]


def unit(project: list[ComposeService], stack: Stack, digests: Digests) -> Unit:
    """The project's unit, with all that a change of must restart it."""
    environment = [path for service in project if (path := environment_path(service))]
    name = project[0].unit
    files = [f"{UNITS}/{name}", compose_path(project[0]), *environment]
    return Unit(name, files, [image(service, stack, digests) for service in project])
