"""What a service needs that a watch of the host stops and starts: of which at most one instance runs anywhere, or that
makes room in memory."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.rules.each import services
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService, TimerService
from catalogue.systemd.directives import TIES, texts


def singletons(catalogue: Catalogue) -> Iterator[Problem]:
    """It runs where a public name of ours points, so it has one; and it is started and stopped alone."""
    stack = catalogue.stack
    for file, system, service in services(catalogue):
        if not service.single:
            continue
        where = f"service {service.name}"
        sites = [site for route in service.routes if (site := system.site_of(route))] or system.sites
        if not any(stack.in_zone(stack.public_name(site.name)) for site in sites[:1]):
            rule = f"must have a site in {stack.zone}: the only instance runs where that name points"
            yield Problem(file, where, "has single: true, but no public name in the stack's zone", rule)


def alone(catalogue: Catalogue) -> Iterator[Problem]:
    """A watch stops a service by its unit, and nothing else along with it."""
    for file, system, service in services(catalogue):
        settings = {"single: true": service.single, f"stop_priority: {service.stop_priority}": service.stop_priority}
        for name in [name for name, value in settings.items() if value]:
            for fault, rule in _not_alone(system, service):
                yield Problem(file, f"service {service.name}", f"has {name} {fault}", rule)


def _not_alone(system: System, service: Service) -> Iterator[tuple[str, str]]:
    shared = [other.name for other in system.active if other is not service and other.unit == service.unit]
    if shared:
        yield (
            f"in the unit of {', '.join(shared)}",
            "must have its own unit and directory: it is started and stopped alone",
        )
    if isinstance(service, TimerService) or (
        isinstance(service, NativeService) and (service.account or service.instances)
    ):
        rule = "must be a unit of the system manager, which can be bound to another unit"
        yield "on a unit of an account, a template or a timer", rule
    if isinstance(service, NativeService) and service.socket:
        yield "on a unit behind a socket", "must have no socket: the next request would start it again"
    dependents = [
        other.name
        for other in system.native_services
        if other is not service and service.unit in _required_units(other)
    ]
    if dependents:
        yield f"on a unit that {', '.join(dependents)} needs", "must be a unit that no other unit depends on"


def _required_units(service: NativeService) -> set[str]:
    """The units whose stop is this one's too."""
    unit = service.program_sections.get("Unit", {})
    return {name for tie in TIES for line in texts(unit.get(tie, [])) for name in line.split()}


def stop_priorities(catalogue: Catalogue) -> Iterator[Problem]:
    """What makes room has one place, and memory that is known."""
    for file, _, service in services(catalogue):
        where = f"service {service.name}"
        if service.stop_priority and isinstance(service, ComposeService) and service.at_once > 1:
            what = "rollout: blue-green" if service.is_blue_green else f"replicas: {service.replicas}"
            rule = "must be a single container with rollout: recreate: a service without a gap must not be stopped"
            yield Problem(file, where, f"has stop_priority: {service.stop_priority} with {what}", rule)
        if service.stop_priority and not (service.limit or service.observed_memory):
            rule = "must have memory: {limit: …}, so that it starts again only when enough memory is available"
            yield Problem(file, where, f"has stop_priority: {service.stop_priority}, but no memory limit", rule)
