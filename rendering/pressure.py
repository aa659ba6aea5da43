"""Services that are stopped under memory pressure: what keeps their units stopped meanwhile, and the watch that stops
them (agent/pressure.py)."""

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.service import Service
from catalogue.services import ComposeService
from rendering import watches
from rendering.files import HostFiles

UNIT = "infra-memory.service"
CONFIG = "/etc/infra/memory.json"
FLAGS = "/run/infra/stopped"
PARTS = ["pressure", "singletons", "world", "places", "lock", "health", "monitor/history"]


def services_to_stop(catalogue: Catalogue, host: str) -> list[Service]:
    """The services of a host that are stopped under memory pressure, in the order in which they are stopped."""
    services = [service for system in catalogue.systems_on(host) for service in system.active if service.stop_priority]
    return sorted(services, key=lambda service: (service.stop_priority or 0, service.name))


def bar_units(files: HostFiles, catalogue: Catalogue, system: System) -> HostFiles:
    """A system's files, with a condition in the units of such services: they do not start while their flag exists."""
    source = catalogue.file_of(system)
    for service in system.active:
        if service.stop_priority:
            flag = f"{FLAGS}/{service.name}"
            lines = ["# Gone while memory is wanted", "[Unit]", f"ConditionPathExists=!{flag}"]
            files = watches.bind_unit(files, source, service, "infra-memory", lines, bar=flag)
    return files


def watch(catalogue: Catalogue, host: str) -> HostFiles:
    """The watch of memory, for a host with services that can be stopped."""
    services = services_to_stop(catalogue, host)
    if not services:
        return HostFiles("")
    entries = [
        {
            "service": service.name,
            "unit": service.unit,
            "container": service.container if isinstance(service, ComposeService) else "",
            "needs": service.limit or service.observed_memory,
        }
        for service in services
    ]
    return watches.watch(f"Pulumi.{catalogue.stack.name}.yaml", UNIT, CONFIG, entries, PARTS)
