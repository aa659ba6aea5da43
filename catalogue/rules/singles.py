"""What a service needs of which only one may run in the world."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.rules.each import services
from catalogue.services import NativeService, TimerService


def singles(catalogue: Catalogue) -> Iterator[Problem]:
    """It runs where a public name of ours points, so it has one; and it is started and stopped alone."""
    stack = catalogue.stack
    for file, system, service in services(catalogue):
        if not service.single:
            continue
        where = f"service {service.name}"
        sites = [site for route in service.routes if (site := system.site_of(route))] or system.sites
        if not any(stack.in_zone(stack.public_name(site.name)) for site in sites[:1]):
            rule = f"a site in {stack.zone}: only one may run in the world, which is where that name points"
            yield Problem(file, where, "single: true without a public name of ours", rule)
        shared = [other.name for other in system.active if other is not service and other.unit == service.unit]
        if shared:
            rule = "a unit and a directory of its own: it is started and stopped alone"
            yield Problem(file, where, f"single: true in the unit of {', '.join(shared)}", rule)
        if isinstance(service, TimerService) or (
            isinstance(service, NativeService) and (service.account or service.instances)
        ):
            rule = "one unit of the host's own systemd, which can be bound to another"
            yield Problem(file, where, "single: true of an account's unit, a template or a timer", rule)
