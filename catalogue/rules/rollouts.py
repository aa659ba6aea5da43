"""What a rollout without a gap needs, and several of a service at a time."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.proxies import abilities, remedy
from catalogue.rules.each import compose_services, services
from catalogue.rules.places import PORTS
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService

PROXYS_OWN = 60  # seconds: Nginx' own proxy_read_timeout


def blue_green(catalogue: Catalogue) -> Iterator[Problem]:
    """A second container needs a place of its own, a proxy that is switched, and a service that may run twice."""
    used_ports = {port for _, _, service in compose_services(catalogue) for port in service.ports}
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        spare = [service.spare_port, service.spare_address]
        if not service.is_blue_green:
            if any(spare):
                yield Problem(
                    file,
                    where,
                    "has spare_port or spare_address, but no rollout: blue-green",
                    "must have both, or neither",
                )
            continue
        free = next(port for port in PORTS[service.role] if port not in used_ports)
        if service.address and not all(spare):
            rule = f"must have both, such as spare_port: {free}, and a free spare_address of the subnet"
            yield Problem(file, where, "has rollout: blue-green, but not both spare_port and spare_address", rule)
        elif not service.address and (service.spare_address or not service.spare_port):
            rule = f"must have spare_port alone, such as {free}: a service without an address gets both from Docker"
            yield Problem(file, where, "has rollout: blue-green, but no address", rule)


def parallel_containers(catalogue: Catalogue) -> Iterator[Problem]:
    """Of which several run, it needs a proxy that chooses between them, and may run more than once."""
    for file, system, service in compose_services(catalogue):
        if service.is_blue_green:
            what, instead = "rollout: blue-green", "the default rollout"
        elif service.is_balanced:
            what, instead = f"replicas: {service.replicas}", "one replica"
        else:
            if service.replica_ports:
                yield Problem(
                    file, f"service {service.name}", "has replica_ports, but no replicas", "must have both, or neither"
                )
            continue
        where = f"service {service.name}"
        for name, host in catalogue.stack.hosts.items():
            if system in catalogue.systems_on(name) and not abilities(host.proxy).leads_between:
                fault = f"has {what}, but the proxy of host {name} is {host.proxy}"
                proxy = remedy(lambda can: can.leads_between)
                rule = f"must have {instead}, or {proxy} on that host, which can switch between containers"
                yield Problem(file, where, fault, rule)
        if service.check in ("image", "running") or not service.port:
            rule = "must have a port, and health as a path, tcp or a command: the proxy uses only healthy containers"
            yield Problem(file, where, f"has {what} with health {service.check}", rule)
        if service.data_mounts:
            rule = f"must have {instead}, or its mounts read-only: two containers would write at once"
            yield Problem(file, where, f"has {what}, but keeps data ({service.data_mounts[0].target})", rule)
        if not service.routes:
            yield Problem(file, where, f"has {what}, but no route", f"must have a route, or {instead}")
        if service.single:
            yield Problem(
                file,
                where,
                f"has {what} with single: true",
                f"must have {instead}: only one instance may run at a time",
            )
        if sum(other.directory == service.directory for other in system.compose_services) > 1:
            yield Problem(
                file, where, f"has {what} in a shared compose project", "must have its own directory and unit"
            )


def held_requests(catalogue: Catalogue) -> Iterator[Problem]:
    """How long requests wait, and those under way get to end, is said where either happens."""
    default = Service.model_fields["hold"].default
    for file, system, service in services(catalogue):
        settings = {"hold": service.hold not in (0, default), "drain": service.drain is not None}
        options = [name for name, is_said in settings.items() if is_said]
        if not options:
            continue
        where, what = f"service {service.name}", " and ".join(options)
        takes_turns = isinstance(service, ComposeService) and (service.is_blue_green or service.is_balanced)
        if service not in system.proxied_services:
            yield Problem(
                file, where, f"has {what}, but no route", "add a route, or remove it: the proxy sends it no requests"
            )
        elif takes_turns and "hold" in options:
            rule = "remove it: another container answers in the meantime"
            yield Problem(file, where, "has hold, but several containers", rule)
        elif service.hold and service.hold + (service.drain or 0) > (allowed := _proxy_timeout(system, service)):
            fault = f"hold: {service.hold} is longer than the timeout of a request ({allowed} s)"
            yield Problem(file, where, fault, "must be at most the timeout of its routes", "warning")
        elif service.hold == 0 and not takes_turns:
            rule = "set hold, or remove drain: without hold its requests are cut when it stops"
            yield Problem(file, where, "has drain with hold: 0", rule)
        elif isinstance(service, NativeService) and service.socket:
            yield Problem(
                file,
                where,
                f"has {what} with socket: true",
                "must have one of the two: with socket: true requests already wait at the port",
            )
        for name, host in catalogue.stack.hosts.items():
            if system in catalogue.systems_on(name) and not abilities(host.proxy).leads_between and not takes_turns:
                proxy = remedy(lambda can: can.leads_between)
                rule = f"must have {proxy} on that host, which can hold requests; or remove it"
                yield Problem(file, where, f"has {what}, but the proxy of host {name} is {host.proxy}", rule)


def _proxy_timeout(system: System, service: Service) -> int:
    """For how many seconds the proxy waits for an answer, of the route that allows least."""
    return min((system.serving(route).reading_limit or PROXYS_OWN for route in service.routes), default=PROXYS_OWN)


def replicas(catalogue: Catalogue) -> Iterator[Problem]:
    """What only one of several containers can have."""
    for file, _, service in compose_services(catalogue):
        if not service.is_balanced:
            continue
        where, what = f"service {service.name}", f"replicas: {service.replicas}"
        options = {
            "rollout: blue-green": service.is_blue_green, "an address": service.address, "publish": service.publish,
            "network_mode: host": service.is_on_host_network, "hostname": service.hostname,
        }  # fmt: skip
        for name in [name for name, value in options.items() if value]:
            yield Problem(
                file,
                where,
                f"has {what} with {name}",
                f"remove it or the replicas: {name} belongs to a single container",
            )
        if len(service.replica_ports) != service.replicas - 1 and service.port:
            fault = f"has {what} with {len(service.replica_ports)} replica_ports"
            rule = f"must be {service.replicas - 1} of them, besides port; or none, then they are assigned"
            yield Problem(file, where, fault, rule)
