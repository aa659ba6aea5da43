"""Where a service can be reached: ports, addresses, paths, sites."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.rules.each import compose_services, services

PORTS = {"api": range(8000, 8100), "admin": range(9000, 10000)}


def port_policy(catalogue: Catalogue) -> Iterator[Problem]:
    """8000–8099 are for APIs, 9000s for admin tools (004_b5add429c3fef2cf.txt, best practices 5)."""
    for file, _, service in services(catalogue):
        allowed = PORTS[service.role]
        for port in [port for port in service.ports if port not in allowed and not service.port_exception]:
            numbers = f"{allowed.start}–{allowed.stop - 1}"
            rule = f"{service.role} ports are {numbers}; else name the reason in port_exception"
            yield Problem(file, f"service {service.name}", f"port {port}", rule)


def addresses(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in compose_services(catalogue):
        where = f"service {service.name}"
        if system.network is None:
            yield Problem(file, where, "has an address but the system has no network", "describe it under network:")
            continue
        subnet, other = system.network.subnet, "any other of the subnet"
        for address in service.addresses:
            if address not in subnet:
                yield Problem(file, where, f"address {address}", f"an address inside {subnet}")
            elif address in (subnet.network_address, subnet.broadcast_address):
                yield Problem(file, where, f"address {address} is the network's own", other)
            elif address == system.network.gateway:
                yield Problem(file, where, f"address {address} is the gateway's", other)


def paths(catalogue: Catalogue) -> Iterator[Problem]:
    """Both paths of a route begin and end with `/`: without that, Nginx joins them wrongly (section 1)."""
    for file, _, service in services(catalogue):
        for kind in ("public", "internal") if service.route else ():
            path = getattr(service.route, kind)
            if not (path.startswith("/") and path.endswith("/")):
                rule = "a path that begins and ends with /, such as /api/scheduler/"
                yield Problem(file, f"service {service.name}", f"{kind} path {path!r}", rule)


def health_paths(catalogue: Catalogue) -> Iterator[Problem]:
    """A health path lies under the route's internal path, or the public name could not ask for it."""
    for file, _, service in services(catalogue):
        inside = service.route.internal if service.route else "/"
        if not service.health.startswith(inside if inside.startswith("/") else "/"):
            yield Problem(
                file, f"service {service.name}", f"health path {service.health!r}", f"a path under {inside!r}"
            )


def sites(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in services(catalogue):
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
