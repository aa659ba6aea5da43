"""Where a service can be reached: ports, addresses, paths, sites."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from catalogue.host import Ec2Host, SshHost
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.rules.each import compose_services, services
from catalogue.service import Service

PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
OWN_PAGE = "/status/"  # of each host, written by its monitor
RESERVED = {22: "SSH", 80: "the proxy", 443: "the proxy"}
PORTS = {"api": range(8000, 8100), "admin": range(9000, 10000)}


def port_policy(catalogue: Catalogue) -> Iterator[Problem]:
    """8000–8099 are for APIs, 9000s for admin tools (WatchMe's "サーバー設定リポジトリ", best practices 5)."""
    for file, _, service in services(catalogue):
        allowed = PORTS[service.role]
        # Of one of the host's own it is said that no reason makes it free
        outside = [port for port in service.ports if port not in allowed and port not in RESERVED]
        for port in outside if not service.port_exception else []:
            numbers = f"{allowed.start}–{allowed.stop - 1}"
            rule = f"{service.role} ports are {numbers}; else give the reason in port_exception"
            yield Problem(file, f"service {service.name}", f"port {port}", rule)


def reserved_ports(catalogue: Catalogue) -> Iterator[Problem]:
    """A service on one of these would take a host's SSH or its proxy away."""
    ports_of = {system: own_ports(spec) for spec in catalogue.stack.hosts.values() for system in spec.runs}
    for file, system, service in services(catalogue):
        own = ports_of.get(system.system, RESERVED)
        for port in [port for port in service.ports if port in own]:
            rule = "must be another port: the proxy listens on 80 and 443 and leads to the service's port"
            yield Problem(file, f"service {service.name}", f"port {port} is used by the host ({own[port]})", rule)


def own_ports(spec: Ec2Host | SshHost) -> dict[int, str]:
    """A host's own ports: an existing host's SSH can be elsewhere."""
    return RESERVED | ({spec.port: "SSH"} if isinstance(spec, SshHost) else {})


def has_foreign_subnet(system: System) -> bool:
    """Whether no address of its containers is in its network: then the subnet is wrong, and not each address."""
    own_addresses = [address for service in system.compose_services for address in service.addresses]
    return (
        system.network is not None
        and len(own_addresses) > 1
        and not any(address in system.network.subnet for address in own_addresses)
    )


def misplaced_subnets(catalogue: Catalogue) -> Iterator[Problem]:
    systems = {system.system: (file, system) for file, system, _ in compose_services(catalogue)}
    for file, system in systems.values():
        if system.network and has_foreign_subnet(system):
            subnet = system.network.subnet
            first, *others = [address for service in system.compose_services for address in service.addresses]
            around = IPv4Network((first, subnet.prefixlen), strict=False)
            fault = f"its subnet {subnet} has none of the addresses of its services ({first} and {len(others)} more)"
            yield Problem(file, f"network {system.network.name}", fault, f"a subnet with all of them, such as {around}")


def addresses(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in compose_services(catalogue):
        where = f"service {service.name}"
        assert system.network, "one is assigned where none is written"
        if has_foreign_subnet(system):
            continue  # misplaced_subnets says it once for all
        subnet, other = system.network.subnet, "another address of the subnet"
        for address in service.addresses:
            if address not in subnet:
                yield Problem(file, where, f"address {address}", f"must be inside {subnet}")
            elif address in (subnet.network_address, subnet.broadcast_address):
                yield Problem(file, where, f"address {address} is the network address", other)
            elif address == system.network.gateway:
                yield Problem(file, where, f"address {address} is the gateway", other)


def paths(catalogue: Catalogue) -> Iterator[Problem]:
    """Both paths of a route begin with `/`, and both or neither end with it: else Nginx joins them wrongly
    (WatchMe's "サーバー設定リポジトリ", section 1)."""
    for file, _, service in services(catalogue):
        where = f"service {service.name}"
        for route in service.routes:
            for kind, path in (("public", route.public), ("internal", route.inside)):
                if not PATH.fullmatch(path):
                    yield Problem(
                        file,
                        where,
                        f"{kind} path {path!r}",
                        "must be a path that begins with /, such as /api/scheduler/",
                    )
            if f"{route.public}/".startswith(OWN_PAGE):
                yield Problem(
                    file, where, f"public path {route.public!r} is the host's own page", "must be another path"
                )
            if route.is_prefix != route.inside.endswith("/"):
                fault = f"public path {route.public!r} with internal path {route.inside!r}"
                yield Problem(file, where, fault, "must both end with / (all below it), or neither (that page only)")
        if service.routes and service.listens is None:
            rule = "must have port; or container_port alone, then one is assigned"
            yield Problem(file, where, "has routes but no port", rule)


def health_paths(catalogue: Catalogue) -> Iterator[Problem]:
    """A health path lies behind one of the routes, or the public name could not ask for it. Without one nothing asks
    there."""
    for file, system, service in services(catalogue):
        path, where = service.health_path, f"service {service.name}"
        for route in [route for route in service.routes if route.look]:
            place = f"{where}: route {route.public}"
            below = (route.look or "").startswith(route.public) if route.is_prefix else route.look == route.public
            site = system.site_of(route)
            if not below:
                yield Problem(
                    file, place, f"look: {route.look}", f"must be a public path of the route, such as {route.public}"
                )
            elif system.serving(route).is_guarded or (site and site.client_ca):
                yield Problem(
                    file, place, f"look: {route.look}, which is not open to every client", "must be an open path"
                )
        if path is None and service.routes and not any(route.look for route in service.routes):
            fault = "has routes, but no health path: neither releases nor the monitor check what its users get"
            rule = f"must have health: a path that answers 200, or look: {service.routes[0].public} at the route"
            yield Problem(file, where, fault, rule, "warning")
        yield from _missing_inner_path(file, service)
        if path and service.routes and service.health_route is None:
            behind = " or ".join(
                f"health: {route.inside}health" if route.is_prefix else f"health: {route.inside}"
                for route in service.routes
            )
            fault = f"health path {path!r} lies behind none of its routes, so that no release can ask it from outside"
            look = f"look: {service.routes[0].public} at a route, a public path to check instead"
            yield Problem(
                file,
                f"service {service.name}",
                fault,
                f"must be a path that a route leads to, such as {behind}; or {look}",
            )


def _missing_inner_path(file: str, service: Service) -> Iterator[Problem]:
    """A route without its inner path, while the health path names one that ends as the route does: every request
    but the health check got 404 in an outage at WatchMe."""
    for route in service.routes:
        below = (service.health_path or "").rpartition("/")[0] + "/"
        if route.internal is None and below != route.public and below.endswith(route.public) and route.public != "/":
            fault = f"route {route.public} is passed on as /, but the health path is below {below}"
            rule = f"must be internal: {below} at the route, or internal: / if the program does serve / itself"
            yield Problem(file, f"service {service.name}", fault, rule, "warning")


def _in_zone(site: str, zone: str) -> str:
    return f"{site.partition('.')[0]}.{zone}"


def sites(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in services(catalogue):
        for route in [route for route in service.routes if system.site_of(route) is None]:
            names = ", ".join(site.name for site in system.sites) or "sites: defines none"
            fault = f"route {route.public!r} " + (f"names the site {route.site!r}" if route.site else "has no site")
            yield Problem(file, f"service {service.name}", fault, f"sites: {names}")
    stack = catalogue.stack
    for system in catalogue.running.values():
        for site in system.sites:
            name = stack.public_name(site.name)
            if site.is_proved_by_dns and not stack.in_zone(name):
                mapped = site.name in stack.names
                own = (catalogue.file_of(system), f"site {site.name}")
                fault = f"{name} is not in the zone {stack.zone} (infra:zone), so no record there can prove it"
                renamed = (
                    "another value there"
                    if mapped
                    else f"infra:names: {{{site.name}: {_in_zone(site.name, stack.zone)}}}"
                )
                rule = (
                    f"must be a name in the zone, such as {_in_zone(site.name, stack.zone)}: {renamed} "
                    "(of an instance its names); or challenge: http-01 at the site"
                )
                yield Problem(*((stack.file, f"infra:names.{site.name}") if mapped else own), fault, rule)
            if site.is_proved_by_http and stack.in_zone(name) and stack.dns.is_ours:
                # Its record is written once the release is applied, and by HTTP there is no certificate before that
                fault = f"{name} is in infra:zone, but proved by HTTP"
                yield Problem(catalogue.file_of(system), f"site {site.name}", fault, "must be challenge: dns-01")
