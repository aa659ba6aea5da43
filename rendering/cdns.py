"""A CDN in front of a site, as a proxy needs it: whom to believe, and whom to let through."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from catalogue.cdns import Cdn
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.sites import Site


@dataclass(frozen=True)
class Fronting:
    """The `ranges` that a CDN asks from, and the `header` in which it names the client. Where the site is for the CDN
    `only`, `insiders` are let through too; `variable` is what Nginx knows all others by."""

    ranges: list[str]
    header: str
    only: bool
    insiders: list[str]
    variable: str


def fronting(catalogue: Catalogue, system: System, site: Site) -> Fronting | None:
    """Of a site's other names the CDN is the site's own."""
    stack, cdn = catalogue.stack, ((site.alias_of and system.site(site.alias_of)) or site).cdn
    if cdn is None:
        return None
    key = hashlib.sha256(stack.public_name(site.name).encode()).hexdigest()[:8]
    insiders = [str(network) for network in dict.fromkeys([*stack.adminCidrs, *stack.statusCidrs])]
    return Fronting(cdn.networks, cdn.client_header, cdn.only, insiders, f"infra_direct_{key}")


def cdns_of(catalogue: Catalogue, host: str) -> Iterator[Cdn]:
    """Those in front of a host's sites."""
    return (site.cdn for system in catalogue.systems_on(host) for site in system.sites if site.cdn)
