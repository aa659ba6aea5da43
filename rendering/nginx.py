"""The Nginx site of a public name: two layers of paths, one location per route."""

from catalogue.models import ComposeService, Service, Site, System
from catalogue.stack import Stack
from rendering.compose import Place, places
from rendering.files import Choice, File, Link, Slots
from rendering.templates import fill


def routed(system: System, site: Site) -> list[Service]:
    """The services on a site, in catalogue order: Nginx takes the longest path whatever the order."""
    return [service for service in system.active if service.route and system.site_of(service.route) == site]


def site_file(system: System, site: Site, stack: Stack, source: str) -> File:
    name = stack.public_name(site.name)
    content = fill("site.conf.j2", source, name=name, services=routed(system, site), upstream=upstream)
    return File(f"/etc/nginx/sites-available/{name}", content)


def site_link(site: Site, stack: Stack) -> Link:
    name = stack.public_name(site.name)
    return Link(f"/etc/nginx/sites-enabled/{name}", f"/etc/nginx/sites-available/{name}")


def upstream(service: Service) -> str:
    """What the site passes a service's requests to: its port, or the upstream that its slots take turns in."""
    if isinstance(service, ComposeService) and service.is_blue_green:
        return f"slot_{service.name}"
    return f"127.0.0.1:{service.port}"


def slot_path(service: ComposeService, place: Place) -> str:
    return f"/etc/nginx/slots/{service.name}-{place.slot}.conf"


def slot_files(service: ComposeService) -> list[File]:
    """The upstream as it is for each slot; a link chooses one of them."""
    return [
        File(slot_path(service, place), f"upstream {upstream(service)} {{ server 127.0.0.1:{place.port}; }}\n".encode())
        for place in places(service)
    ]


def slots(service: ComposeService) -> Slots:
    choices = [
        Choice(place.unit, place.port, f"http://127.0.0.1:{place.port}{service.health}", slot_path(service, place))
        for place in places(service)
    ]
    return Slots(service.name, f"/etc/nginx/conf.d/slot-{service.name}.conf", choices)
