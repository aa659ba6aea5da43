"""How the sites of a host listen: what its proxy has for all of them at once cannot differ between them."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.proxies import abilities, remedy
from catalogue.sites import Site


def _own_sites(catalogue: Catalogue, host: str) -> list[tuple[System, Site]]:
    """The sites of a host but for other names of them, which listen as these do."""
    return [(system, site) for system in catalogue.systems_on(host) for site in system.sites if site.alias_of is None]


def http_versions(catalogue: Catalogue) -> Iterator[Problem]:
    """Whether connections speak HTTP/2 is decided where they come in: once for all sites of a host."""
    for name, host in catalogue.stack.hosts.items():
        can, proxy = abilities(host.proxy), host.proxy.capitalize()
        sites = _own_sites(catalogue, name)
        having = next((site.name for _, site in sites if site.http2), None)
        for system, site in [(system, site) for system, site in sites if not site.http2]:
            file, where = catalogue.file_of(system), f"site {site.name}"
            if not can.http1_alone:
                fault = f"http2: false on host {name}, whose proxy {proxy} does not support that"
                instead = remedy(lambda can: can.http1_alone)
                yield Problem(file, where, fault, f"{instead} of infra:hosts.{name}, or a site without http2: false")
            elif having:
                fault = f"http2: false, but site {having} of host {name} has HTTP/2 at the same address and port"
                yield Problem(file, where, fault, "must be the same for all sites of a host, or be on another host")


def address_families(catalogue: Catalogue) -> Iterator[Problem]:
    """Not every proxy can leave out one site alone at addresses of IPv6."""
    for name, host in catalogue.stack.hosts.items():
        if abilities(host.proxy).families_by_site:
            continue
        for system, site in [(system, site) for system, site in _own_sites(catalogue, name) if site.ip != "both"]:
            fault = f"ip: {site.ip} on host {name}, whose proxy {host.proxy.capitalize()} does not support that"
            instead = remedy(lambda can: can.families_by_site)
            rule = f"{instead} of infra:hosts.{name}, or a site without ip"
            yield Problem(catalogue.file_of(system), f"site {site.name}", fault, rule)
