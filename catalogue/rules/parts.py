"""Services that run on another host than their system."""

from collections.abc import Iterator

from catalogue.host import SshHost
from catalogue.instances import Instance
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.networks import BETWEEN_HOSTS, is_between_hosts
from catalogue.parts import calls, concerns, host_of, mount_sources, parts, serving_hosts
from catalogue.problems import Problem, nearest
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService

SSH, WEB = 22, (80, 443)


def parts_of_systems(catalogue: Catalogue) -> Iterator[Problem]:
    """Each is of a system that another host runs, and only what can be reached from there over the network."""
    stack = catalogue.stack
    places: dict[str, str] = {}
    for host, entry in parts(stack):
        where = f"infra:hosts.{host}.systems.{entry.own_name}"
        for fault, rule in _faults(catalogue, host, entry):
            yield Problem(stack.file, where, fault, rule)
        for name in entry.services:
            if (other := places.setdefault(name, host)) != host or entry.services.count(name) > 1:
                fault = f"service {name} is already placed on host {other}"
                yield Problem(stack.file, where, fault, "a service runs on one host: remove it from one of the two")


def _faults(catalogue: Catalogue, host: str, entry: Instance) -> Iterator[tuple[str, str]]:
    stack = catalogue.stack
    origin = catalogue.systems.get(entry.system)
    if origin is None:
        yield f"system {entry.system!r}", nearest(entry.system, sorted(catalogue.systems), "systems")
        return
    of_whole = {"variant": entry.variant, "names": entry.names, "ports": entry.ports}
    if others := [key for key, value in of_whole.items() if value]:
        rule = "write it where the rest of the system is: only services, as and subnet can be written here"
        yield f"{', '.join(others)} beside services", rule
    caller = host_of(stack, entry.system)
    if not caller:
        rule = f"add {entry.system} to systems: of the host that runs the rest of it"
        yield f"no host runs the rest of system {entry.system}", rule
        return
    if caller == host:
        yield f"host {host} runs all of {entry.system}", "remove this entry, or put it under another host"
        return
    part = catalogue.systems.get(entry.own_name)
    if part is None or entry.own_name not in catalogue.origins:
        names = sorted(service.name for service in origin.active)
        for name in [name for name in entry.services if name not in names]:
            yield f"{entry.system} has no running service {name}", nearest(name, names, "its services")
        return
    if entry.own_name == entry.system or [s for s in stack.hosts if entry.own_name in stack.hosts[s].runs] != [host]:
        yield f"as: {entry.own_name} is another system's name", "write as: with a name that no other system has"
    yield from _of_network(catalogue, caller, host)
    whole = catalogue.origins[entry.own_name]
    for name in entry.services:
        service = _as_written(whole, name)
        yield from _of_service(whole, entry, service) if isinstance(service, ComposeService) else _no_container(service)


def _as_written(whole: System, name: str) -> Service:
    """A service before it was placed apart."""
    return next(service for service in whole.active if service.name == name)


def _no_container(service: Service) -> Iterator[tuple[str, str]]:
    rule = f"leave {service.name} where its system is, or make it a system of its own"
    yield f"service {service.name} is a unit of systemd: only containers can be placed apart", rule


def _of_network(catalogue: Catalogue, caller: str, host: str) -> Iterator[tuple[str, str]]:
    """Both are in a network that is no one else's: a region's, or one that the machines' owner has."""
    for one in (caller, host):
        spec = catalogue.stack.hosts[one]
        if isinstance(spec, SshHost) and spec.privateAddress is None:
            rule = (
                f"write privateAddress: 10.0.0.5 (its own) under infra:hosts.{one} if a private network connects the "
                "two; connections are not encrypted, so over the internet there is none"
            )
            yield f"{caller} would reach it over the network, and host {one} of kind ssh has no privateAddress", rule
        elif isinstance(spec, SshHost) and spec.privateAddress and not is_between_hosts(spec.privateAddress):
            rule = f"must be an address of a private network: {', '.join(map(str, BETWEEN_HOSTS))}"
            yield f"privateAddress {spec.privateAddress} of host {one} is a public one", rule


def _of_service(whole: System, entry: Instance, service: ComposeService) -> Iterator[tuple[str, str]]:
    name = service.name
    if service.single:
        rule = "leave it where its system is, or remove single: true: on the other host no public name points to it"
        yield f"service {name} is single", rule
    if service.is_on_host_network:
        yield f"service {name} has network_mode: host", "leave it where its system is"
    if service.publish:
        yield f"service {name} publishes ports to the world", "leave it where its system is"
    if service.is_balanced:
        rule = (
            "leave it where its system is, or write replicas: 1: only a proxy of its own host chooses between several"
        )
        yield f"service {name} has {service.replicas} replicas", rule
    if service.container_port and not service.port:
        yield (
            f"service {name} has a container_port and no port",
            f"write a port for {name}, at which the other host can reach it",
        )
    if service.port and service.check != "http":
        rule = f"write health: /PATH for {name}: the other host asks for it over the network"
        yield f"the health of service {name} is not asked by HTTP", rule
    names = {*entry.services}
    originals = {other.name: other for other in whole.compose_services}
    for other in [other for other in originals.values() if other.name not in names]:
        if other.unit == service.unit:
            yield f"service {name} is in one unit with {other.name}, {service.unit}", f"add {other.name} to services:"
        shared = sorted({*service.volume_names} & {*other.volume_names})
        shared += [str(path) for path in mount_sources([service]) if concerns(str(path), mount_sources([other]))]
        if shared:
            yield f"service {name} shares {', '.join(shared)} with {other.name}", f"add {other.name} to services:"
    for dependency in [other for other in service.depends_on if other in originals and other not in names]:
        rule = f"add {dependency} to services:, or leave {name} where its system is: it cannot reach the other host"
        yield f"service {name} depends on {dependency}, which stays on the other host", rule


def lost_rollouts(catalogue: Catalogue) -> Iterator[Problem]:
    """What a rollout loses on a host without the proxy."""
    for host, entry in parts(catalogue.stack):
        for name in entry.services if entry.own_name in catalogue.origins else []:
            service = _as_written(catalogue.origins[entry.own_name], name)
            if isinstance(service, ComposeService) and service.is_blue_green:
                where = f"infra:hosts.{host}.systems.{entry.own_name}"
                fault = f"rollout: blue-green of {name} has no effect there: a release restarts it"
                rule = "no proxy on that host switches between two; callers must try again"
                yield Problem(catalogue.stack.file, where, fault, rule, "warning")


def private_ports(catalogue: Catalogue) -> Iterator[Problem]:
    """At a host's private address each port is one service's: the one that its program has in the container."""
    stack, hosts = catalogue.stack, serving_hosts(catalogue.stack)
    owners: dict[tuple[str, int], str] = {}
    for host in stack.hosts:
        systems = catalogue.systems_on(host)
        reserved = {SSH, *(WEB if any(system.sites for system in systems) else ())}
        spec = stack.hosts[host]
        reserved |= {spec.port} if isinstance(spec, SshHost) else set()
        everywhere = _ports_at_all_addresses(systems)
        for service in [service for system in systems for service in system.compose_services]:
            port = service.listens_inside
            if hosts.get(service.name) != host or port is None:
                continue
            where, rule = f"infra:hosts.{host}", "write another port or container_port for one of them"
            if (other := owners.setdefault((host, port), service.name)) != service.name:
                fault = (
                    f"{service.name} and {other} both listen on port {port} in their containers, and so at the host's"
                )
                yield Problem(stack.file, where, f"{fault} private address", rule)
            elif (open_to_all := everywhere.get(port, "")) not in ("", service.name):
                fault = f"{service.name} listens on port {port} in its container, and so at the host's private address"
                yield Problem(stack.file, where, f"{fault}: {open_to_all} has that port at all addresses", rule)
            elif port in reserved:
                fault = f"{service.name} listens on port {port} in its container: the host's SSH or proxy has it"
                yield Problem(stack.file, where, fault, "write another port or container_port for it")


def _ports_at_all_addresses(systems: list[System]) -> dict[int, str]:
    """Port → the service that has it at each address of the host, the private one included."""
    owners: dict[int, str] = {}
    for service in [service for system in systems for service in system.active]:
        if isinstance(service, NativeService):
            # A socket that systemd holds is at 127.0.0.1 alone, whatever its program does
            ports = [] if service.socket else service.ports
        elif isinstance(service, ComposeService):
            ports = service.ports if service.is_on_host_network else []
            ports += [n for one in service.publish if one.protocol == "tcp" for n in one.numbers]
        else:
            ports = []
        owners |= dict.fromkeys(ports, service.name)
    return owners


def circles(catalogue: Catalogue) -> Iterator[Problem]:
    """Of two hosts one is released first."""
    own_calls = calls(catalogue.stack)

    def reachable_hosts(host: str) -> set[str]:
        hosts, new = set[str](), {host}
        while new:
            new = {server for one in new for server in own_calls.get(one, [])} - hosts
            hosts |= new
        return hosts

    for host in sorted(own_calls):
        if host in reachable_hosts(host):
            fault = f"{host} and {', '.join(own_calls[host])} each run services of the other's systems"
            rule = "of two hosts one only serves the other: move the services in one direction"
            yield Problem(catalogue.stack.file, f"infra:hosts.{host}", fault, rule)
