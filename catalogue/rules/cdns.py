"""What a CDN in front of a site may be: what it says of its clients is believed, so it is no part of the world."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.networks import too_wide
from catalogue.problems import Problem
from catalogue.proxies import abilities, remedy
from catalogue.sites import Site


def ranges(catalogue: Catalogue) -> Iterator[Problem]:
    for system in catalogue.running.values():
        for site in system.sites:
            if site.cdn and (width := too_wide(site.cdn.networks)):
                rule = "must be the CDN's own networks: who asks from there says which client it is"
                yield Problem(catalogue.file_of(system), f"site {site.name}: cdn", f"its ranges are {width}", rule)


def one_for_a_proxy(catalogue: Catalogue) -> Iterator[Problem]:
    """Not every proxy believes a list of its own for each site: then all sites of a host have one."""
    proxy_for_it = remedy(lambda can: can.trusts_by_site)
    for name, host in catalogue.stack.hosts.items():
        if abilities(host.proxy).trusts_by_site:
            continue
        fronted = [(system, site) for system in catalogue.systems_on(name) for site in system.sites if site.cdn]
        for system, site in fronted[1:]:
            if _trusted_sources(site) != _trusted_sources(fronted[0][1]):
                first, proxy = fronted[0][1].name, host.proxy.capitalize()
                fault = f"another cdn than site {first} of host {name}, whose proxy is {proxy}"
                rule = f"must have the same ranges and header, or {proxy_for_it} of infra:hosts.{name}"
                yield Problem(catalogue.file_of(system), f"site {site.name}", fault, rule)


def _trusted_sources(site: Site) -> tuple[list[str], str]:
    assert site.cdn
    return site.cdn.networks, site.cdn.client_header
