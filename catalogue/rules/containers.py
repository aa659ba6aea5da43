"""What a container waits for, keeps and sees of its host."""

from collections import Counter
from collections.abc import Iterator

from catalogue.compose.keeping import covers, data_paths
from catalogue.loading import STATIC, Catalogue
from catalogue.models import System
from catalogue.problems import Problem, nearest
from catalogue.rules.contents import OF_THE_HOST, ROOTS, plain
from catalogue.rules.each import compose_services
from catalogue.service import Service
from catalogue.services import ComposeService

# Docker and Compose mark by these whose a container is
OUR_LABELS = ("com.docker.compose.", "object_systemd_unit", "infra.")


def health(catalogue: Catalogue) -> Iterator[Problem]:
    """How a container's health is asked, it can be asked."""
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        if service.container_port and not service.port:
            found = f"container_port {service.container_port} without a port"
            yield Problem(file, where, found, "the port of the host on which it is published, under port")
        if service.check in ("http", "tcp") and not service.port:
            rule = "give it a port, or ask its health by {command: …}, image or running"
            yield Problem(file, where, f"health {service.health!r} of a container without a port", rule)


def dependencies(catalogue: Catalogue) -> Iterator[Problem]:
    """What a container waits for is there, can be waited for, and does not wait for it."""
    for file, system, service in compose_services(catalogue):
        known = {other.name: other for other in system.active}
        for name, needed in service.depends_on.items():
            where, other = f"service {service.name}", known.get(name)
            if other is None or other is service:
                others = sorted(set(known) - {service.name})
                yield Problem(
                    file, where, f"depends_on {name!r}", nearest(name, others, "other services of the system")
                )
                continue
            if needed.condition == "service_healthy" and (why := _unanswered(service, other)):
                yield Problem(file, where, f"depends_on {name} with service_healthy, and {why[0]}", why[1])
        if circle := _circle(service, system):
            found = f"depends_on itself, by way of {' → '.join(circle)}"
            yield Problem(file, f"service {service.name}", found, "let one of them start without the others")


def _unanswered(service: ComposeService, other: Service) -> tuple[str, str] | None:
    """Why it cannot be waited for, and what helps; None where it can."""
    if not isinstance(other, ComposeService):
        return None if other.listens else (f"{other.name} has no port", "service_started, which waits for its unit")
    if other.is_blue_green:
        return f"{other.name} takes turns between two containers", "service_started: the proxy waits for its health"
    if other.directory == service.directory and other.check not in ("command", "image"):
        rule = "give it health: {command: …}, or a directory and unit of its own"
        return f"{other.name} is in the same compose file, where only Docker asks for health", rule
    return None


def _circle(service: ComposeService, system: System) -> list[str]:
    """The names on the way from a service back to itself; none where there is no such way."""
    needs = {other.name: list(other.depends_on) for other in system.compose_services}
    ways = [[service.name]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for name in needs.get(way[-1], []):
            if name == service.name and len(way) > 1:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def mounts(catalogue: Catalogue) -> Iterator[Problem]:
    """A container sees nothing that is the host's own, and one thing at a place."""
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        for mount in service.volumes:
            source = plain(mount.source or "/nothing")
            if mount.type == "bind" and (OF_THE_HOST.match(source) or ROOTS.fullmatch(source)):
                rule = (
                    "a directory of the service's own, such as /srv/NAME: from there it could become root on the host"
                )
                yield Problem(file, where, f"volumes: {mount.source} is the host's or the agent's own", rule)
        for target, count in Counter(plain(path) for path in service.covered).items():
            if count > 1:
                yield Problem(file, where, f"{target} is mounted {count} times", "each place in a container once")


def one_owner(catalogue: Catalogue) -> Iterator[Problem]:
    """A volume is one system's: another one would write into its data."""
    for host in catalogue.stack.hosts:
        owners: dict[str, str] = {}
        for system in catalogue.systems_on(host):
            for service in system.compose_services:
                for name in service.volume_names:
                    if (owner := owners.setdefault(name, system.system)) != system.system:
                        found = f"volume {name} is {owner}'s already on host {host}"
                        rule = f"a name of its own, such as {system.system}-{name}"
                        yield Problem(catalogue.file_of(system), f"service {service.name}", found, rule)


def kept(catalogue: Catalogue) -> Iterator[Problem]:
    """What a known database writes outlives its container, unless it is said that it need not."""
    for file, _, service in compose_services(catalogue):
        paths = data_paths(service.image.repository)
        if paths and not any(covers(path, service.covered) for path in paths):
            volume = f"{service.container}-data"
            found = f"its image keeps data in {paths[0]}, and nothing there outlives the container"
            rule = f"volumes: [{volume}:{paths[0]}]; where it may be lost, tmpfs: [{paths[0]}]"
            yield Problem(file, f"service {service.name}", found, rule)


def labels(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in compose_services(catalogue):
        for name in service.labels:
            if name.startswith(OUR_LABELS):
                yield Problem(
                    file, f"service {service.name}", f"label {name} is Compose's or this program's", "another one"
                )


def files(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in compose_services(catalogue):
        for source in service.sources:
            if source not in catalogue.sources:
                rule = nearest(source, sorted(catalogue.static), f"files below {STATIC}/")
                found = f"source {source!r}: there is no {STATIC}/{source}"
                yield Problem(file, f"service {service.name}", found, rule)
