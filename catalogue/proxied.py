"""Names whose record at Cloudflare leads to Cloudflare's own proxy, and not to their host (`cdn: {proxied: true}`)."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.service import Service
from catalogue.sites import Site


def proxied_sites(catalogue: Catalogue) -> Iterator[tuple[System, Site, str]]:
    """Each site that is served so, its other names too, with its public name."""
    for system in catalogue.running.values():
        for site in system.sites:
            served = (site.alias_of and system.site(site.alias_of)) or site
            if served.cdn and served.cdn.proxied:
                yield system, site, catalogue.stack.public_name(site.name)


def proxied_names(catalogue: Catalogue) -> set[str]:
    """The names whose records the stack writes so."""
    stack = catalogue.stack
    if stack.dns.provider != "cloudflare":
        return set()
    return {name for _, _, name in proxied_sites(catalogue) if stack.in_zone(name)}


def deciding_site(system: System, service: Service) -> Site:
    """The site whose name decides where a single service runs: that of its first route, else the system's first one."""
    return next((site for route in service.routes if (site := system.site_of(route))), None) or system.sites[0]
