"""Where each container of a system runs: its project, directory, unit, port and health check."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import groupby

from catalogue.compose.names import project_name
from catalogue.environment import unwritable
from catalogue.models import System
from catalogue.services import ComposeService


@dataclass(frozen=True)
class Place:
    """Where one container of a service lives: its compose file's directory, its unit, and what must not be shared."""

    directory: str
    unit: str
    container: str
    port: int | None
    address: IPv4Address | None
    project: str
    slot: str | None = None


def places(service: ComposeService) -> list[Place]:
    """One place; with `rollout: blue-green` two that take turns, or one for each replica, each with a directory and a
    project of its own. The first replica has what a service without others has."""
    if not service.is_blue_green:
        project = _own_project(service.unit)
        first = Place(service.directory, service.unit, service.container, service.port, service.address, project)
        return [first, *_beside(service, {str(number): (port, None) for number, port in _replica_ports(service)})]
    assert service.spare_port, "the checks have seen to it"
    ways = {"blue": (service.port, service.address), "green": (service.spare_port, service.spare_address)}
    return _beside(service, ways)


def _replica_ports(service: ComposeService) -> list[tuple[int, int]]:
    return list(enumerate(service.replica_ports[: service.replicas - 1], 2))


def _beside(service: ComposeService, ways: Mapping[str, tuple[int | None, IPv4Address | None]]) -> list[Place]:
    """Places below the service's own directory, one for each of these names."""
    stem, kind = service.unit.rsplit(".", 1)
    last = service.directory.rsplit("/", 1)[1]
    return [
        Place(
            f"{service.directory}/{last}-{slot}", f"{stem}-{slot}.{kind}", f"{service.container}-{slot}", port, address,
            project_name(f"{last}-{slot}"), slot,
        )
        for slot, (port, address) in ways.items()
    ]  # fmt: skip


def _own_project(unit: str) -> str:
    """The project of a unit: what its name loses as a project's is made up for."""
    whole = f"infra-{unit.rsplit('.', 1)[0]}"
    name = project_name(whole)
    return name if name == whole else f"{name}-{hashlib.sha256(unit.encode()).hexdigest()[:8]}"


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


def in_order(system: System) -> list[ComposeService]:
    """The compose services, each after those that it depends on: the order in which they start. They stop in the
    other one."""
    by_name = {service.name: service for service in system.compose_services}
    ordered: dict[str, ComposeService] = {}
    for name in by_name:
        _after_its_needs(name, by_name, ordered, {})
    return list(ordered.values())


def _after_its_needs(
    name: str, by_name: dict[str, ComposeService], ordered: dict[str, ComposeService], on_the_way: dict[str, None]
) -> None:
    for prerequisite in by_name[name].depends_on:
        if prerequisite in by_name and prerequisite not in on_the_way:
            _after_its_needs(prerequisite, by_name, ordered, {**on_the_way, name: None})
    ordered.setdefault(name, by_name[name])


def needs(system: System, service: ComposeService) -> list[str]:
    """The services that one depends on, and those that they do, the nearest first."""
    by_name = {other.name: other for other in system.compose_services}
    needed_names: dict[str, None] = {}
    ways = list(service.depends_on)
    while ways:
        name = ways.pop(0)
        if name not in needed_names and name != service.name:
            needed_names[name] = None
            ways += by_name[name].depends_on if name in by_name else []
    return list(needed_names)


def projects(system: System) -> list[Project]:
    """The compose services grouped by the project they share, in the order in which the first of each starts."""
    members = [(service, place) for service in in_order(system) for place in places(service)]
    order = {place.directory: index for index, (_, place) in reversed(list(enumerate(members)))}
    ordered = sorted(members, key=lambda member: order[member[1].directory])
    return [Project(list(group)) for _, group in groupby(ordered, key=lambda member: member[1].directory)]


def own_url(service: ComposeService, place: Place) -> str:
    """How the host asks for its health: over HTTP or TCP at its port, or of Docker, which runs its check
    (container://NAME/health) or knows how long it has been up (container://NAME)."""
    where = f"127.0.0.1:{place.port}"
    return {
        "http": f"http://{where}{service.health_path}",
        "tcp": f"tcp://{where}",
        "command": f"container://{place.container}/health",
        "image": f"container://{place.container}/health",
        "running": f"container://{place.container}",
    }[service.check]


def file_path(service: ComposeService, path: str) -> str:
    """Where a file that a container sees at `path` lies on the host: services that share a directory share no file."""
    return f"{service.directory}/files/{service.name}{path}"


def secret_path(service: ComposeService, path: str) -> str:
    """Where a secret that a container reads from a file lies on the host."""
    return f"{secrets_directory(service)}/{service.name}{path}"


def secrets_directory(service: ComposeService) -> str:
    """What only root enters: the files in it can be read by every account of a container."""
    return f"{service.directory}/secrets"


def plain_variables(service: ComposeService) -> dict[str, str]:
    """The plain variables that its environment file holds."""
    return {name: value for name, value in service.environment.items() if not unwritable(value)}


def environment_path(service: ComposeService) -> str | None:
    """Where the service's environment file lies, or None when it has no environment."""
    if not plain_variables(service) and not service.secrets:
        return None
    return f"{service.directory}/{service.name}.env"
