"""Compose projects and the units that run them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import groupby
from typing import Any

import yaml

from catalogue.loading import Catalogue
from catalogue.models import ContainerNetwork, System
from catalogue.services import ComposeService
from catalogue.stack import Stack
from rendering.environment import Secrets, secret_file
from rendering.files import Container, EnvironmentFile, File, HostFiles, Network, Unit
from rendering.templates import BANNER, fill, literal

UNITS = "/etc/systemd/system"
# Of a network that a unit of a release created
NETWORK_LABEL = "infra.network"
POST = "curl --silent --show-error --output /dev/null --unix-socket /run/docker.sock --request POST http://localhost"
WAIT = f"{POST}/containers"
PRUNE = f"/usr/bin/{POST}/containers/prune?filters="
# `repository:tag` → the digest that the registry has under it
Digests = Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """Where one container of a service lives: its compose file's directory, its unit, and what must not be shared."""

    directory: str
    unit: str
    container: str
    port: int
    address: IPv4Address | None
    project: str
    slot: str | None = None


def places(service: ComposeService) -> list[Place]:
    """One place, or with `rollout: blue-green` two that take turns, each with a directory and a project of its own."""
    if not service.is_blue_green:
        project = _own_project(service.unit)
        return [Place(service.directory, service.unit, service.container, service.port, service.address, project)]
    assert service.spare_port, "the checks have seen to it"
    ways = {"blue": (service.port, service.address), "green": (service.spare_port, service.spare_address)}
    stem, kind = service.unit.rsplit(".", 1)
    last = service.directory.rsplit("/", 1)[1]
    return [
        Place(
            f"{service.directory}/{last}-{slot}", f"{stem}-{slot}.{kind}", f"{service.container}-{slot}", *where,
            _project_name(f"{last}-{slot}"), slot,
        )
        for slot, where in ways.items()
    ]  # fmt: skip


def _own_project(unit: str) -> str:
    """The project of a unit: what its name loses as a project's is made up for."""
    whole = f"infra-{unit.rsplit('.', 1)[0]}"
    name = _project_name(whole)
    return name if name == whole else f"{name}-{hashlib.sha256(unit.encode()).hexdigest()[:8]}"


def _project_name(text: str) -> str:
    """What Compose of either generation takes for a project's name, as it would make it of a directory's."""
    return re.sub(r"[^-_a-z0-9]", "", text.lower())


@dataclass(frozen=True)
class Project:
    """A compose file and the unit that runs it: the services that share it, each in its place. Its `name` is one that
    nothing but our units gives: a container of another project is not ours, whatever file it came from."""

    members: list[tuple[ComposeService, Place]]

    @property
    def services(self) -> list[ComposeService]:
        return [service for service, _ in self.members]

    @property
    def directory(self) -> str:
        return self.members[0][1].directory

    @property
    def unit(self) -> str:
        return self.members[0][1].unit

    @property
    def name(self) -> str:
        return self.members[0][1].project

    @property
    def path(self) -> str:
        return f"{self.directory}/{self.members[0][0].compose_file}"


def projects(system: System) -> list[Project]:
    """The compose services grouped by the project they share, in catalogue order of the first."""
    members = [(service, place) for service in system.compose_services for place in places(service)]
    order = {place.directory: index for index, (_, place) in reversed(list(enumerate(members)))}
    ordered = sorted(members, key=lambda member: order[member[1].directory])
    return [Project(list(group)) for _, group in groupby(ordered, key=lambda member: member[1].directory)]


def environment_path(service: ComposeService) -> str | None:
    """Where the service's environment file lies, or None when it has no environment."""
    if not service.environment and not service.secrets:
        return None
    return f"{service.directory}/{service.name}.env"


def image(service: ComposeService, stack: Stack, digests: Digests) -> str:
    """The image's full name: by its digest where that is known, so that a release always means the same bytes."""
    digest = digests.get(f"{service.image.repository}{service.image.suffix}")
    return f"{stack.registry}/{service.image.repository}{f'@{digest}' if digest else service.image.suffix}"


def document(project: Project, network: ContainerNetwork, stack: Stack, digests: Digests) -> dict[str, Any]:
    """The compose file's content: ports on loopback only, the network external, as the document demands. Compose of
    either generation takes it; without the document's `version`, which v2 warns of at each start and v1 from 1.27 on
    does not ask for. A name is given to each container, and none to the project: v1 takes none from the file."""

    def entry(service: ComposeService, place: Place) -> dict[str, Any]:
        # Other containers know a service by its container's name, whichever slot it is in
        aliases = {"aliases": [service.container]} if place.slot else {}
        fixed = {"ipv4_address": str(place.address)} if place.address else {}
        body: dict[str, Any] = {
            "image": image(service, stack, digests),
            "container_name": place.container,
            "ports": [f"127.0.0.1:{place.port}:{service.port}"],
            "networks": {network.name: {**fixed, **aliases}},
            "mem_limit": service.memory.limit,
            # Docker writes to the journal under the unit's name: `journalctl -u` shows it
            "labels": {"object_systemd_unit": place.unit},
            "logging": {"driver": "journald", "options": {"labels": "object_systemd_unit", "tag": "{{.Name}}"}},
        }
        if path := environment_path(service):
            body["env_file"] = [f"{'..' if place.slot else '.'}/{path.rsplit('/', 1)[1]}"]
        return body

    return {
        "services": {service.compose_key: entry(service, place) for service, place in project.members},
        "networks": {network.name: {"external": True}},
    }


def compose_file(project: Project, network: ContainerNetwork, stack: Stack, digests: Digests, source: str) -> File:
    text = yaml.safe_dump(document(project, network, stack, digests), sort_keys=False, allow_unicode=True)
    return File(project.path, f"{BANNER.format(source=source)}\n{text}".encode())


def unit_file(project: Project, network: ContainerNetwork, source: str) -> File:
    content = fill(
        "compose.service.j2",
        source,
        description=literal("; ".join(service.purpose for service in project.services)),
        network=network,
        project=project.name,
        compose_file=project.path,
        containers=[place.container for _, place in project.members],
        wait=WAIT,
        prune=PRUNE,
    )
    return File(f"{UNITS}/{project.unit}", content)


def network_unit_file(network: ContainerNetwork, source: str) -> File:
    return File(f"{UNITS}/{network.unit}", fill("network.service.j2", source, network=network, label=NETWORK_LABEL))


def environment_files(services: Iterable[ComposeService], secrets: Secrets, stack: Stack) -> list[EnvironmentFile]:
    def of(service: ComposeService, path: str) -> EnvironmentFile:
        return secret_file(path, service.name, service.secrets, secrets, stack, service.environment)

    return [of(service, path) for service in services if (path := environment_path(service))]


def unit(project: Project, network: ContainerNetwork, stack: Stack, digests: Digests) -> Unit:
    """The project's unit, with all that a change of must restart it: the network's unit takes it down with it."""
    environment = [path for service in project.services if (path := environment_path(service))]
    files = [f"{UNITS}/{project.unit}", project.path, *environment, f"{UNITS}/{network.unit}"]
    return Unit(project.unit, files, [image(service, stack, digests) for service in project.services])


def containers(catalogue: Catalogue, system: System, owner: str, digests: Digests, secrets: Secrets) -> HostFiles:
    """All that a system's containers put on a host. `owner` has their directories."""
    services, network = system.compose_services, system.network
    if network is None:
        return HostFiles("")
    stack, source = catalogue.stack, catalogue.file_of(system)
    files, units, directories = [network_unit_file(network, source)], [], []
    units.append(Unit(network.unit, [files[0].path]))
    for project in projects(system):
        files += [compose_file(project, network, stack, digests, source), unit_file(project, network, source)]
        units.append(unit(project, network, stack, digests))
        directories.append({"path": project.directory, "mode": 0o755, "owner": owner, "group": owner})
    return HostFiles(
        host="",
        files=files,
        units=units,
        directories=directories,
        environment_files=environment_files(services, secrets, stack),
        commands=["docker", "docker-compose"],
        networks=[Network(network.name, str(network.subnet), str(network.gateway), network.unit)],
        containers=[container(service, place, network) for service in services for place in places(service)],
    )


def container(service: ComposeService, place: Place, network: ContainerNetwork) -> Container:
    """What the host's monitor holds a container against."""
    aliases = [service.compose_key, *([service.container] if place.slot else [])]
    return Container(
        place.container,
        service.name,
        place.unit,
        network.name,
        str(place.address or ""),
        aliases,
        service.limit,
        place.project,
    )
