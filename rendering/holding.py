"""Where requests wait while their service restarts (agent/holding.py): behind a proxy that is led between places, of
services of which one runs."""

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.relays import Relay
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService
from rendering import units
from rendering.files import File, HostFiles, Link, RequestHold
from rendering.proxy import Leading
from rendering.sites import upstream
from rendering.templates import fill

WAITING = "/run/infra-waiting"  # as in agent/holding.py
UNIT = "infra-waiting@"
DRAIN = 10  # seconds: meanwhile others wait
LONGEST = 80  # characters of a name: a socket's path has 107


def held_services(system: System) -> list[Service]:
    """The services behind a proxy that run once, without slots, replicas or a socket unit that holds their port; and
    relays."""
    return [service for service in system.proxied_services if can_wait(service)]


def can_wait(service: Service) -> bool:
    """Whether requests may wait for a service: it runs once, at a port of its own, or a relay leads to it."""
    if not service.hold or not service.listens or len(own_name(service)) > LONGEST:
        return False
    if isinstance(service, Relay):
        return True
    if isinstance(service, ComposeService):
        return not (service.is_blue_green or service.is_balanced)
    return isinstance(service, NativeService) and not service.socket and not service.instances


def own_name(service: Service) -> str:
    """The service that requests wait for: a relay and the service itself have one place where they do."""
    return service.origin if isinstance(service, Relay) else service.name


def leads_to(service: Service) -> str:
    """What such a proxy passes a service's requests to."""
    return upstream_name(service) if can_wait(service) else upstream(service)


def held_upstreams(system: System, leading: Leading | None) -> HostFiles:
    """The upstream of each such service: a link selects its port, or the socket at which requests wait. None behind a
    proxy that is not led."""
    if not leading:
        return HostFiles("")
    files, links, entries = list[File](), list[Link](), list[RequestHold]()
    for service in held_services(system):
        name, own = upstream_name(service), own_name(service)
        serving, waiting = (f"{leading.place}/upstreams/{own}.{kind}" for kind in ("serving", "waiting"))
        socket = f"unix:{WAITING}/{own}.sock"
        files.append(File(serving, leading.to_one(name, f"127.0.0.1:{service.listens}").encode()))
        files.append(File(waiting, leading.to_one(name, socket).encode()))
        link = leading.read_file(f"service-{own}")
        links.append(Link(link, serving))
        unit = units.qualified_name(service, service.units[0]) if isinstance(service, NativeService) else service.unit
        drain = DRAIN if service.drain is None else service.drain
        entries.append(
            RequestHold(
                own, unit, service.listens or 0, link, serving, waiting, f"{UNIT}{own}.socket",
                service.hold, drain,
            )
        )  # fmt: skip
    return HostFiles("", files=files, links=links, held=entries)


def upstream_name(service: Service) -> str:
    return f"service_{own_name(service)}"


def waiting_place(catalogue: Catalogue, host: str, account: str) -> list[File]:
    """The units of the socket at which requests wait; `account` is that of the proxy's workers."""
    if not any(held_services(system) for system in catalogue.systems_on(host)):
        return []
    source = f"Pulumi.{catalogue.stack.name}.yaml"
    values = {"waiting": WAITING, "account": account}
    kinds = ("socket", "service")
    return [
        File(f"/etc/systemd/system/{UNIT}.{kind}", fill(f"infra-waiting.{kind}.j2", source, **values)) for kind in kinds
    ]
