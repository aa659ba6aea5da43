"""The rules that span services. Each rule is a small generator of problems; `check` runs them all.

Every rule has an example that fails in `tests/catalogue/test_checks.py`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Network
from typing import Any

from catalogue.loading import Catalogue
from catalogue.models import ComposeService, RetiredService, Service, System, repository_of
from catalogue.problems import CatalogueError, Problem, errors
from catalogue.sizes import INSTANCE_TYPES, MiB, to_bytes

PORTS = {"api": range(8000, 8100), "admin": range(9000, 10000)}
REPOSITORY = re.compile(r"[a-z0-9]+(?:[_-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[_-]+[a-z0-9]+)*)*")
UNWRITABLE = ("\n", "'", "\\", "${")
DOCUMENTATION_NETWORKS = [IPv4Network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


def check(catalogue: Catalogue) -> list[Problem]:
    """Every problem of the catalogue, errors first."""
    found = [problem for rule in RULES for problem in rule(catalogue)]
    return sorted(found, key=lambda problem: problem.level)


def checked(catalogue: Catalogue, warn: Callable[[Problem], None] = lambda _: None) -> Catalogue:
    """The catalogue, its warnings told to `warn`. Raises CatalogueError with every problem when one is an error."""
    found = check(catalogue)
    if errors(found):
        raise CatalogueError(found)
    for problem in found:
        warn(problem)
    return catalogue


def _services(catalogue: Catalogue) -> Iterator[tuple[str, System, Service]]:
    for system in catalogue.running.values():
        for service in system.active:
            yield catalogue.file_of(system), system, service


def _compose_services(catalogue: Catalogue) -> Iterator[tuple[str, System, ComposeService]]:
    for file, system, service in _services(catalogue):
        if isinstance(service, ComposeService):
            yield file, system, service


def _twice(catalogue: Catalogue, what: str, value: Callable[[System, Any], object], allowed: str) -> Iterator[Problem]:
    """A problem for each value that two services of one host share. None values do not count."""
    for host in catalogue.stack.hosts:
        owners: dict[object, list[tuple[str, str]]] = defaultdict(list)
        for system in catalogue.systems_on(host):
            for service in system.active:
                if (key := value(system, service)) is not None:
                    owners[key].append((catalogue.file_of(system), service.name))
        for key, services in owners.items():
            for file, name in services[1:]:
                yield Problem(file, f"service {name}", f"{what} {key} is {services[0][1]}'s already", allowed)


def unique_names(catalogue: Catalogue) -> Iterator[Problem]:
    for system in catalogue.running.values():
        names = [service.name for service in system.services]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Problem(catalogue.file_of(system), f"service {name}", "stands twice", "each service has its own name")


def unique_ports(catalogue: Catalogue) -> Iterator[Problem]:
    yield from _twice(catalogue, "port", lambda _, service: service.port, "each service has a port of its own")
    for system in catalogue.running.values():
        kept = {service.port: service.name for service in system.services if isinstance(service, RetiredService)}
        for service in system.active:
            if service.port in kept:
                found = f"port {service.port} belonged to the retired {kept[service.port]}"
                yield Problem(
                    catalogue.file_of(system), f"service {service.name}", found, "take a port never used before"
                )


def unique_containers(catalogue: Catalogue) -> Iterator[Problem]:
    yield from _twice(
        catalogue, "container", lambda _, service: getattr(service, "container", None), "each has a name of its own"
    )


def unique_addresses(catalogue: Catalogue) -> Iterator[Problem]:
    yield from _twice(
        catalogue, "address", lambda _, service: getattr(service, "address", None), "each has an address of its own"
    )


def unique_paths(catalogue: Catalogue) -> Iterator[Problem]:
    def public(system: System, service: Service) -> object:
        if service.route is None:
            return None
        site = system.site_of(service.route)
        return f"{site.name if site else ''}{service.route.public}"

    yield from _twice(catalogue, "public path", public, "each route has a path of its own")


def directories(catalogue: Catalogue) -> Iterator[Problem]:
    """A directory is one compose project's; services that share it must share its file and unit too."""
    for host in catalogue.stack.hosts:
        projects: dict[str, ComposeService] = {}
        keys: dict[tuple[str, str], str] = {}
        names: dict[str, str] = {}
        for system in catalogue.systems_on(host):
            for service in system.compose_services:
                first = projects.setdefault(service.directory, service)
                where = (catalogue.file_of(system), f"service {service.name}")
                if (first.compose_file, first.unit) != (service.compose_file, service.unit):
                    found = (
                        f"directory {service.directory} is {first.name}'s, with {first.compose_file} and {first.unit}"
                    )
                    yield Problem(*where, found, "share the compose file and the unit too, or take another directory")
                same_name = names.setdefault(service.directory.rsplit("/", 1)[1], service.directory)
                if same_name != service.directory:
                    found = f"directory {service.directory} ends as {same_name} does"
                    yield Problem(
                        *where, found, "compose names a project after its directory: let each end differently"
                    )
                owner = keys.setdefault((service.directory, service.compose_key), service.name)
                if owner != service.name:
                    found = f"compose_key {service.compose_key!r} is {owner}'s in the same compose file"
                    yield Problem(*where, found, "each service of a compose file has a key of its own")


def unique_units(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in _compose_services(catalogue):
        where = f"service {service.name}"
        for _, _, other in _compose_services(catalogue):
            if other.unit == service.unit and other.directory != service.directory and other.name < service.name:
                found = f"unit {service.unit} is {other.name}'s, which lies in {other.directory}"
                yield Problem(file, where, found, "a unit runs one compose project")
        taken = {"nginx.service", "docker.service", *([system.network.unit] if system.network else [])}
        if service.unit in taken:
            yield Problem(
                file, where, f"unit {service.unit} is another program's", f"not one of {', '.join(sorted(taken))}"
            )


def port_policy(catalogue: Catalogue) -> Iterator[Problem]:
    """8000–8099 are for APIs, 9000s for admin tools (004_b5add429c3fef2cf.txt, best practices 5)."""
    for file, _, service in _services(catalogue):
        allowed = PORTS[service.role]
        if service.port not in allowed and not service.port_exception:
            rule = (
                f"{service.role} ports are {allowed.start}–{allowed.stop - 1}; else name the reason in port_exception"
            )
            yield Problem(file, f"service {service.name}", f"port {service.port}", rule)


def addresses(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in _compose_services(catalogue):
        where = f"service {service.name}"
        if system.network is None:
            yield Problem(file, where, "has an address but the system has no network", "describe it under network:")
        elif service.address not in system.network.subnet:
            yield Problem(file, where, f"address {service.address}", f"an address inside {system.network.subnet}")
        elif service.address in (system.network.subnet.network_address, system.network.subnet.broadcast_address):
            yield Problem(file, where, f"address {service.address} is the network's own", "any other of the subnet")
        elif service.address == system.network.gateway:
            yield Problem(file, where, f"address {service.address} is the gateway's", "any other of the subnet")


def paths(catalogue: Catalogue) -> Iterator[Problem]:
    """Both paths of a route begin and end with `/`: without that, Nginx joins them wrongly (section 1)."""
    for file, _, service in _services(catalogue):
        for kind in ("public", "internal") if service.route else ():
            path = getattr(service.route, kind)
            if not (path.startswith("/") and path.endswith("/")):
                rule = "a path that begins and ends with /, such as /api/scheduler/"
                yield Problem(file, f"service {service.name}", f"{kind} path {path!r}", rule)


def health_paths(catalogue: Catalogue) -> Iterator[Problem]:
    """A health path lies under the route's internal path, or the public name could not ask for it."""
    for file, _, service in _services(catalogue):
        inside = service.route.internal if service.route else "/"
        if not service.health.startswith(inside if inside.startswith("/") else "/"):
            yield Problem(
                file, f"service {service.name}", f"health path {service.health!r}", f"a path under {inside!r}"
            )


def sites(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in _services(catalogue):
        if service.route and system.site_of(service.route) is None:
            names = ", ".join(site.name for site in system.sites) or "none is described under sites:"
            found = f"route {service.route.public!r} names the site {service.route.site!r}"
            yield Problem(file, f"service {service.name}", found, f"sites: {names}")
    stack = catalogue.stack
    for system in catalogue.running.values():
        for site in system.sites:
            name = stack.public_name(site.name)
            if name != stack.zone and not name.endswith(f".{stack.zone}"):
                rule = f"a name in infra:zone, {stack.zone}; map it with infra:names"
                yield Problem(catalogue.file_of(system), f"site {site.name}", f"its name here is {name}", rule)


def images(catalogue: Catalogue) -> Iterator[Problem]:
    """An image's account and region are the stack's; a registry here would survive a region move."""
    rule = "the repository's name alone, such as watchme-api-ast"
    for system in catalogue.running.values():
        for service in system.services:
            repository = repository_of(service)
            if repository is not None and not REPOSITORY.fullmatch(repository):
                where = f"service {service.name}"
                yield Problem(catalogue.file_of(system), where, f"image repository {repository!r}", rule)
    for file, _, service in _compose_services(catalogue):
        if service.image.tag and service.image.digest:
            yield Problem(file, f"service {service.name}", "image has a tag and a digest", "one of the two")


def retired(catalogue: Catalogue) -> Iterator[Problem]:
    for system in catalogue.running.values():
        names = {service.name for service in system.active}
        for service in system.services:
            if isinstance(service, RetiredService) and service.replaced_by not in names:
                found = f"replaced_by {service.replaced_by!r}"
                yield Problem(catalogue.file_of(system), f"service {service.name}", found, "a running service's name")


def environment(catalogue: Catalogue) -> Iterator[Problem]:
    """Every secret that a service names is set, and every value can stand in an environment file."""
    stack = catalogue.stack
    for file, _, service in _services(catalogue):
        where = f"service {service.name}"
        given = stack.secrets.get(service.name, {})
        for secret in service.secrets:
            if secret not in given:
                rule = f"set it: pulumi config set --secret --path infra:secrets.{service.name}.{secret}"
                yield Problem(f"Pulumi.{stack.name}.yaml", where, f"secret {secret} is missing", rule)
        for name, value in {**service.environment, **given}.items():
            if any(sign in value for sign in UNWRITABLE):
                rule = "an environment file cannot hold line breaks, ', \\ or ${; encode it, for example as base64"
                yield Problem(file, where, f"the value of {name} cannot be written", rule)
        for secret in sorted(set(given) - set(service.secrets)):
            rule = f"name it under secrets: in {file}, or remove it"
            yield Problem(f"Pulumi.{stack.name}.yaml", where, f"secret {secret} is used by nothing", rule, "warning")
    services = {service.name for _, _, service in _services(catalogue)}
    for name in sorted(set(stack.secrets) - services):
        rule = f"services: {', '.join(sorted(services))}"
        yield Problem(f"Pulumi.{stack.name}.yaml", f"infra:secrets.{name}", "no running service has this name", rule)


def hosts(catalogue: Catalogue) -> Iterator[Problem]:
    file = f"Pulumi.{catalogue.stack.name}.yaml"
    for name, host in catalogue.stack.hosts.items():
        where = f"infra:hosts.{name}"
        if host.instanceType not in INSTANCE_TYPES:
            known = ", ".join(INSTANCE_TYPES)
            yield Problem(file, where, f"instanceType {host.instanceType!r}", f"known types: {known}")
        for system in host.systems:
            if system not in catalogue.systems:
                yield Problem(file, where, f"system {system!r}", f"systems: {', '.join(sorted(catalogue.systems))}")
    placed = [system for host in catalogue.stack.hosts.values() for system in host.systems]
    for system in sorted({system for system in placed if placed.count(system) > 1}):
        yield Problem(file, "infra:hosts", f"system {system} is on two hosts", "each system runs on one host")


def memory(catalogue: Catalogue) -> Iterator[Problem]:
    """The limits fit on the machine, and no limit is below what the service was seen to use."""
    for file, _, service in _services(catalogue):
        if service.memory.observed and to_bytes(service.memory.observed) > to_bytes(service.memory.limit):
            found = f"memory limit {service.memory.limit} is below the {service.memory.observed} it was seen to use"
            yield Problem(
                file, f"service {service.name}", found, "raise the limit, or the kernel will kill it", "warning"
            )
    for name, host in catalogue.stack.hosts.items():
        if host.instanceType not in INSTANCE_TYPES:
            continue
        limits = sum(to_bytes(s.memory.limit) for system in catalogue.systems_on(name) for s in system.active) // MiB
        room = INSTANCE_TYPES[host.instanceType].memory - to_bytes(host.reserve) // MiB
        if limits > room:
            found = f"the services' memory limits add up to {limits} MiB"
            rule = f"at most {room} MiB on {host.instanceType} less the reserve of {host.reserve}"
            yield Problem(f"Pulumi.{catalogue.stack.name}.yaml", f"infra:hosts.{name}", found, rule)


def admin_networks(catalogue: Catalogue) -> Iterator[Problem]:
    """SSH is never open to the world."""
    file = f"Pulumi.{catalogue.stack.name}.yaml"
    for network in catalogue.stack.adminCidrs:
        if network.prefixlen < 8:
            rule = "the networks that administrators come from, such as 203.0.113.10/32"
            yield Problem(file, "infra:adminCidrs", f"{network} is the whole world, or near it", rule)
        elif any(network.subnet_of(net) for net in DOCUMENTATION_NETWORKS):
            found = f"{network} is an example address of RFC 5737: nobody can connect from there"
            yield Problem(
                file, "infra:adminCidrs", found, "put in your own networks before the first update", "warning"
            )


RULES: Iterable[Callable[[Catalogue], Iterator[Problem]]] = (
    unique_names,
    unique_ports,
    unique_containers,
    unique_addresses,
    unique_paths,
    unique_units,
    directories,
    port_policy,
    addresses,
    paths,
    health_paths,
    sites,
    images,
    retired,
    environment,
    hosts,
    memory,
    admin_networks,
)
