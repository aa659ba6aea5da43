"""What a CDN in front of a site may be: what it says of its clients is believed, so it is no part of the world."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.networks import too_wide
from catalogue.problems import Problem
from catalogue.proxied import deciding_site, proxied_sites
from catalogue.proxies import abilities, remedy
from catalogue.sites import Site


def ranges(catalogue: Catalogue) -> Iterator[Problem]:
    for system in catalogue.running.values():
        for site in system.sites:
            if site.cdn and (width := too_wide(site.cdn.networks)):
                rule = "must be the CDN's own networks: who asks from there says which client it is"
                yield Problem(catalogue.file_of(system), f"site {site.name}: cdn", f"its ranges are {width}", rule)


def behind_cloudflare(catalogue: Catalogue) -> Iterator[Problem]:
    """Names whose records are proxied: the stack writes these, and what it needs of a name works without it."""
    stack = catalogue.stack
    for system, site, name in proxied_sites(catalogue):
        file, where = catalogue.file_of(system), f"site {site.name}"
        if stack.dns.provider != "cloudflare":
            fault = f"cdn is proxied, but the stack writes no records at Cloudflare (infra:dns: {stack.dns.provider})"
            rule = "must be infra:dns {provider: cloudflare}; or remove proxied: who keeps the zone switches it on"
            yield Problem(file, where, fault, rule)
        elif not stack.in_zone(name):
            if site.alias_of is None:
                fault = f"cdn is proxied, but {name} is not in infra:zone ({stack.zone})"
                yield Problem(file, where, fault, "remove proxied: who keeps that name's zone switches it on")
            continue
        elif name.removesuffix(stack.zone).count(".") > 1:
            fault = f"{name} is proxied, and Cloudflare's universal certificate has no name so deep"
            rule = f"must be one level below {stack.zone}, or have an advanced certificate at Cloudflare"
            yield Problem(file, where, fault, rule, "warning")
        if site.is_proved_by_http:
            fault = "cdn is proxied, with a proof by HTTP, which Cloudflare may answer or send on itself"
            yield Problem(file, where, fault, "must be challenge: dns-01, which is the default for names of infra:zone")
        if site.client_ca:
            fault = "cdn is proxied, with client_ca: clients show certificates to Cloudflare, which passes none on"
            yield Problem(file, where, fault, "must be without one of the two")
    proxied = {site.name for _, site, _ in proxied_sites(catalogue)}
    for system in catalogue.running.values():
        for service in [service for service in system.active if service.single and system.sites]:
            if (name := deciding_site(system, service).name) in proxied:
                fault = f"single, and {name} is proxied: no name server says which host that leads to"
                rule = "must have its first route on a site without proxied"
                yield Problem(catalogue.file_of(system), f"service {service.name}", fault, rule)


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
