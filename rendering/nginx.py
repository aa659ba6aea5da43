"""The Nginx site of a public name: two layers of paths, one location per route."""

from catalogue.models import Service, Site, System
from catalogue.stack import Stack
from rendering.files import File, Link
from rendering.templates import fill


def routed(system: System, site: Site) -> list[Service]:
    """The services on a site, in catalogue order: Nginx takes the longest path whatever the order."""
    return [service for service in system.active if service.route and system.site_of(service.route) == site]


def site_file(system: System, site: Site, stack: Stack, source: str) -> File:
    name = stack.public_name(site.name)
    content = fill("site.conf.j2", source, name=name, services=routed(system, site))
    return File(f"/etc/nginx/sites-available/{name}", content)


def site_link(site: Site, stack: Stack) -> Link:
    name = stack.public_name(site.name)
    return Link(f"/etc/nginx/sites-enabled/{name}", f"/etc/nginx/sites-available/{name}")
