"""What a rollout without a gap needs, and several of a service at a time."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.proxies import abilities
from catalogue.rules.each import compose_services, services
from catalogue.rules.places import PORTS
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService

PROXYS_OWN = 60  # seconds: Nginx' own proxy_read_timeout


def blue_green(catalogue: Catalogue) -> Iterator[Problem]:
    """A second container needs a place of its own, a proxy that is switched, and a service that may run twice."""
    taken = {port for _, _, service in compose_services(catalogue) for port in service.ports}
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        spare = [service.spare_port, service.spare_address]
        if not service.is_blue_green:
            if any(spare):
                yield Problem(
                    file, where, "spare_port or spare_address, but no rollout: blue-green", "both, or neither"
                )
            continue
        free = next(port for port in PORTS[service.role] if port not in taken)
        if service.address and not all(spare):
            rule = f"set both, such as spare_port: {free}, and a free spare_address of the subnet"
            yield Problem(file, where, "rollout: blue-green without spare_port and spare_address", rule)
        elif not service.address and (service.spare_address or not service.spare_port):
            rule = f"spare_port alone, such as {free}: a service without an address gets both from Docker"
            yield Problem(file, where, "rollout: blue-green without an address", rule)


def several(catalogue: Catalogue) -> Iterator[Problem]:
    """Of which several run, it needs a proxy that chooses between them, and may run more than once."""
    for file, system, service in compose_services(catalogue):
        if service.is_blue_green:
            what, instead = "rollout: blue-green", "the default rollout"
        elif service.is_balanced:
            what, instead = f"replicas: {service.replicas}", "one of it"
        else:
            if service.replica_ports:
                yield Problem(file, f"service {service.name}", "replica_ports, but no replicas", "both, or neither")
            continue
        where = f"service {service.name}"
        for name, host in catalogue.stack.hosts.items():
            if system in catalogue.systems_on(name) and not abilities(host.proxy).leads_between:
                fault = f"{what} on {name}, whose proxy is {host.proxy}"
                yield Problem(file, where, fault, f"proxy: nginx, which can switch between the two, or {instead}")
        if service.check in ("image", "running") or not service.port:
            rule = "a path, tcp or a command, and a port: the proxy leads to a container only when it is healthy"
            yield Problem(file, where, f"{what} with health {service.check}", rule)
        if service.data_mounts:
            rule = f"{instead}, or what it needs mounted read-only: two containers would write at once"
            yield Problem(file, where, f"{what} of a service with data ({service.data_mounts[0].target})", rule)
        if not service.routes:
            yield Problem(file, where, f"{what} without a route", f"{instead}: the proxy needs one")
        if service.single:
            yield Problem(file, where, f"{what} of a single service", f"{instead}: only one instance may run at a time")
        if sum(other.directory == service.directory for other in system.compose_services) > 1:
            yield Problem(file, where, f"{what} in a shared compose project", "its own directory and unit")


def waiting(catalogue: Catalogue) -> Iterator[Problem]:
    """How long requests wait, and those under way get to end, is said where either happens."""
    default = Service.model_fields["hold"].default
    for file, system, service in services(catalogue):
        settings = {"hold": service.hold not in (0, default), "drain": service.drain is not None}
        given = [name for name, is_said in settings.items() if is_said]
        if not given:
            continue
        where, what = f"service {service.name}", " and ".join(given)
        takes_turns = isinstance(service, ComposeService) and (service.is_blue_green or service.is_balanced)
        if service not in system.led_to:
            yield Problem(
                file, where, f"{what} without a route", "a route, or leave it out: the proxy sends it no requests"
            )
        elif takes_turns and "hold" in given:
            rule = "leave it out: another container answers meanwhile"
            yield Problem(file, where, "hold of a service with several containers", rule)
        elif service.hold and service.hold + (service.drain or 0) > (allowed := _proxy_timeout(system, service)):
            fault = f"hold: {service.hold} is longer than the timeout of a request ({allowed} s)"
            yield Problem(file, where, fault, "a timeout of its routes of at least this length", "warning")
        elif service.hold == 0 and not takes_turns:
            rule = "a hold, or leave it out: without hold its requests are cut when it stops"
            yield Problem(file, where, "drain with hold: 0", rule)
        elif isinstance(service, NativeService) and service.socket:
            yield Problem(
                file,
                where,
                f"{what} with socket: true",
                "one of the two: with socket, requests already wait at the port",
            )
        for name, host in catalogue.stack.hosts.items():
            if system in catalogue.systems_on(name) and not abilities(host.proxy).leads_between and not takes_turns:
                rule = "proxy: nginx, which can hold requests; or leave it out"
                yield Problem(file, where, f"{what} on {name}, whose proxy is {host.proxy}", rule)


def _proxy_timeout(system: System, service: Service) -> int:
    """For how many seconds the proxy waits for an answer, of the route that allows least."""
    return min((system.serving(route).timeout or PROXYS_OWN for route in service.routes), default=PROXYS_OWN)


def replicas(catalogue: Catalogue) -> Iterator[Problem]:
    """What only one of several containers can have."""
    for file, _, service in compose_services(catalogue):
        if not service.is_balanced:
            continue
        where, what = f"service {service.name}", f"replicas: {service.replicas}"
        given = {
            "rollout: blue-green": service.is_blue_green, "an address": service.address, "publish": service.publish,
            "network_mode: host": service.is_on_host_network, "hostname": service.hostname,
        }  # fmt: skip
        for name in [name for name, value in given.items() if value]:
            yield Problem(
                file,
                where,
                f"{what} with {name}",
                f"leave it out, or the replicas: {name} belongs to a single container",
            )
        if len(service.replica_ports) != service.replicas - 1 and service.port:
            fault = f"{what} with {len(service.replica_ports)} replica_ports"
            rule = f"{service.replicas - 1} of them, besides port; or none, then they are assigned"
            yield Problem(file, where, fault, rule)
