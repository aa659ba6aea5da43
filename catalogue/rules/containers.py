"""What a container waits for, keeps and sees of its host."""

import re
from collections import Counter
from collections.abc import Iterator

from catalogue.compose.keeping import covers, data_paths
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem, nearest
from catalogue.rules.contents import ROOTS, plain
from catalogue.rules.each import absent, compose_services
from catalogue.rules.hosts_own import OF_THE_HOST
from catalogue.service import Service
from catalogue.services import ComposeService
from catalogue.sizes import to_bytes

# Where products live; and what of a host's own a container may read
PRODUCTS = re.compile(r"/(?:srv|opt|mnt|media|data)/[^/]+")
READABLE = re.compile(
    r"/etc/(?:localtime|timezone|ssl/certs(?:/.+)?)|/usr/share/(?:zoneinfo|ca-certificates|fonts)(?:/.+)?"
)
APART = 4  # pairs that a line names
# Docker and Compose mark by these whose a container is
OUR_LABELS = ("com.docker.compose.", "object_systemd_unit", "infra.")


def health(catalogue: Catalogue) -> Iterator[Problem]:
    """How a container's health is asked, it can be asked."""
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        if service.container_port and not service.port:
            fault = f"container_port {service.container_port} with neither a port nor a route"
            rule = (
                "port: if a program of the host uses it; routes: then a port is assigned; or leave it out: other "
                "containers reach each of its ports by its name"
            )
            yield Problem(file, where, fault, rule)
        if service.check in ("http", "tcp") and not service.port:
            rule = "give it a port, or use health: {command: …}, image or running"
            yield Problem(file, where, f"health {service.health!r} of a container without a port", rule)


def dependencies(catalogue: Catalogue) -> Iterator[Problem]:
    """What a container waits for is there, can be waited for, and does not wait for it."""
    for file, system, service in compose_services(catalogue):
        by_name = {other.name: other for other in system.active}
        for name, need in service.depends_on.items():
            where, other = f"service {service.name}", by_name.get(name)
            if other is None or other is service:
                others = sorted(set(by_name) - {service.name})
                yield Problem(
                    file, where, f"depends_on {name!r}", nearest(name, others, "other services of the system")
                )
                continue
            if need.condition == "service_healthy" and (why := _wait_obstacle(service, other)):
                yield Problem(file, where, f"depends_on {name} with service_healthy, but {why[0]}", why[1])
        if circle := _circle(service, system):
            fault = f"depends_on itself through {' → '.join(circle)}"
            yield Problem(file, f"service {service.name}", fault, "remove one of these dependencies")


def apart(catalogue: Catalogue) -> Iterator[Problem]:
    """Containers that a compose file holds apart are known to reach each other."""
    for name, system in catalogue.running.items():
        source = system.compose
        if source and source.apart:
            pairs, more = ", ".join(source.apart[:APART]), len(source.apart) - APART
            others = f" and {more} more pairs" if more > 0 else ""
            fault = f"{pairs}{others} share no network in {source.file}, but can reach each other here"
            rule = "put them into systems of their own, or accept it: compose: {without: [networks]}"
            yield Problem(catalogue.file_of(catalogue.running[name]), "compose", fault, rule, "warning")


def _wait_obstacle(service: ComposeService, other: Service) -> tuple[str, str] | None:
    """Why it cannot be waited for, and what helps; None where it can."""
    if not isinstance(other, ComposeService):
        return None if other.listens else (f"{other.name} has no port", "use service_started, which waits for its unit")
    if other.is_blue_green:
        return f"{other.name} alternates between two containers", "use service_started: the proxy waits for its health"
    if other.directory == service.directory and other.check not in ("command", "image"):
        rule = "give it health: {command: …}, or its own directory and unit"
        return f"{other.name} is in the same compose file, where only Docker's own health check counts", rule
    return None


def _circle(service: ComposeService, system: System) -> list[str]:
    """The names on the way from a service back to itself; none where there is no such way."""
    needs = {other.name: list(other.depends_on) for other in system.compose_services}
    ways = [[service.name]]
    visited: set[str] = set()
    while ways:
        way = ways.pop()
        for name in needs.get(way[-1], []):
            if name == service.name and len(way) > 1:
                return [*way, name]
            if name not in visited:
                visited.add(name)
                ways.append([*way, name])
    return []


def mounts(catalogue: Catalogue) -> Iterator[Problem]:
    """A container sees what is its product's, and one thing at a place: by what is the host's own it could become root
    there. A list of what is allowed, since no list of what is dangerous is whole."""
    for file, system, service in compose_services(catalogue):
        where = f"service {service.name}"
        for mount in service.volumes:
            source = plain(mount.source or "/")
            if mount.type == "bind" and not mount.is_docker and not (mount.read_only and READABLE.fullmatch(source)):
                if not is_the_products(source, system):
                    if mount.read_only:
                        # With a reason it may: see openings.py
                        continue
                    rule = (
                        "must be below /srv/NAME, /opt/NAME or /mnt/NAME, or one of its directories or data: with "
                        "other paths it could become root on the host"
                    )
                    yield Problem(file, where, f"volumes: {mount.source} does not belong to the product", rule)
                elif content := _released_content(source, catalogue, system):
                    rule = "must be a directory below it that no release writes"
                    yield Problem(
                        file, where, f"volumes: {mount.source} has {content}, which systemd starts as root", rule
                    )
        places = sorted(plain(path) for path in service.covered_paths)
        for target, count in Counter(places).items():
            if count > 1:
                yield Problem(file, where, f"{target} is mounted {count} times", "must be mounted once")
        for path in map(plain, [*(own.path for own in service.files), *service.secret_files]):
            if above := [other for other in places if other != path and path.startswith(f"{other}/")]:
                yield Problem(
                    file, where, f"file {path} is below {above[0]}, which is also mounted", "must be one of the two"
                )


def is_the_products(source: str, system: System) -> bool:
    if OF_THE_HOST.match(source) or ROOTS.fullmatch(source):
        return False
    own = [directory.path for directory in system.directories] + system.data
    own += [service.directory for service in system.compose_services]
    return bool(PRODUCTS.match(source)) or any(is_below(source, plain(path)) for path in own)


def _released_content(source: str, catalogue: Catalogue, system: System) -> str:
    """What a release writes at a place of the host or below it; "" where that is nothing."""
    for host in catalogue.stack.hosts:
        if system not in catalogue.systems_on(host):
            continue
        for service in [service for other in catalogue.systems_on(host) for service in other.compose_services]:
            folder = plain(service.directory)
            own = [f"{folder}/files", f"{folder}/{service.compose_file}", f"{folder}/{service.name}.env"]
            if is_below(folder, source) or any(is_below(source, path) for path in own):
                return f"the compose file of {service.name}"
    return ""


def is_below(path: str, place: str) -> bool:
    """Is a path another one, or below it."""
    return path == place or path.startswith(f"{place.rstrip('/')}/")


def nested_mounts(catalogue: Catalogue) -> Iterator[Problem]:
    """Below a place that one container may write to it could lay a link, and Docker would follow it for another."""
    for host in catalogue.stack.hosts:
        bind_mounts = [
            (catalogue.file_of(system), service, plain(mount.source or "/"), mount.read_only)
            for system in catalogue.systems_on(host)
            for service in system.compose_services
            for mount in service.volumes
            if mount.type == "bind"
        ]
        for file, service, source, _ in bind_mounts:
            for _, other, above, is_fixed in bind_mounts:
                if not is_fixed and source != above and is_below(source, above):
                    text = f"volumes: {source} is below {above}, to which {other.name} may write"
                    yield Problem(
                        file, f"service {service.name}", text, "must be separate directories, or the whole of it"
                    )


def names(catalogue: Catalogue) -> Iterator[Problem]:
    """No container answers to another one's name: it would get its connections, with their passwords."""
    for file, system, service in compose_services(catalogue):
        others = [other for other in system.compose_services if other is not service]
        owners = {name: other.name for other in others for name in (other.name, other.container, other.compose_key)}
        owners |= {name: other.name for other in others for name in other.aliases}
        for kind, own_names in (
            ("aliases", service.aliases),
            ("hostname", [service.hostname] if service.hostname else []),
        ):
            for name in own_names:
                if name in owners:
                    fault = f"{kind}: {name} is already used by {owners[name]}"
                    yield Problem(file, f"service {service.name}", fault, "must be a name of its own")


def reservations(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in compose_services(catalogue):
        if service.mem_reservation and to_bytes(service.mem_reservation) > service.limit:
            fault = f"mem_reservation {service.mem_reservation} is above its limit {service.memory.limit}"
            yield Problem(file, f"service {service.name}", fault, "must be at most the limit")


def volume_owners(catalogue: Catalogue) -> Iterator[Problem]:
    """A volume is one system's: another one would write into its data."""
    for host in catalogue.stack.hosts:
        owners: dict[str, str] = {}
        for system in catalogue.systems_on(host):
            for service in system.compose_services:
                for name in service.volume_names:
                    if (owner := owners.setdefault(name, system.system)) != system.system:
                        fault = f"volume {name} is already used by {owner} on host {host}"
                        rule = f"must be another name, such as {system.system}-{name}"
                        yield Problem(catalogue.file_of(system), f"service {service.name}", fault, rule)


def database_volumes(catalogue: Catalogue) -> Iterator[Problem]:
    """What a known database writes outlives its container, unless it is said that it need not."""
    for file, _, service in compose_services(catalogue):
        paths = data_paths(service.image.repository)
        if paths and not any(covers(path, service.covered_paths) for path in paths):
            volume = f"{service.container}-data"
            fault = f"its image keeps data in {paths[0]}, which is lost with the container"
            rule = f"volumes: [{volume}:{paths[0]}]; if it may be lost, tmpfs: [{paths[0]}]"
            yield Problem(file, f"service {service.name}", fault, rule)


def labels(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in compose_services(catalogue):
        for name in service.labels:
            if name.startswith(OUR_LABELS):
                yield Problem(
                    file,
                    f"service {service.name}",
                    f"label {name} is reserved for Compose or this program",
                    "must be another one",
                )


def files(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in compose_services(catalogue):
        for source in service.sources:
            if source not in catalogue.sources:
                yield Problem(file, f"service {service.name}", *absent(catalogue, source))
