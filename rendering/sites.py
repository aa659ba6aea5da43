"""A public name and its routes, as any proxy serves them: one location per route, everything worked out."""

from dataclasses import dataclass

from catalogue.loading import Catalogue
from catalogue.models import Site, System
from catalogue.service import FileKey, Route, Service
from catalogue.services import ComposeService
from rendering.files import Certificate

WEBROOT = "/var/www/html"


@dataclass(frozen=True)
class Location:
    """`upstream` is what requests go to; `methods` are those CORS allows (none: no CORS); `max_body` is as the proxy
    writes sizes; `host` is the Host that the service gets (None: the one that was asked for)."""

    purpose: str
    public: str
    inside: str
    is_prefix: bool
    upstream: str
    methods: list[str]
    max_body: str | None
    timeout: int | None
    host: str | None


@dataclass(frozen=True)
class SiteView:
    """A site under its name in this stack. `headers` go with every answer; `is_open` when a route takes all paths;
    `status` are the networks that may see the host's own page; `ipv6` whether the host can listen there."""

    name: str
    challenge: str
    headers: dict[str, str]
    cors: bool
    locations: list[Location]
    status: list[str]
    ipv6: bool

    @property
    def is_open(self) -> bool:
        return any(location.public == "/" for location in self.locations)


def upstream(service: Service) -> str:
    """What the proxy passes a service's requests to: its port, or the upstream of its slots or replicas."""
    if isinstance(service, ComposeService) and service.is_blue_green:
        return f"slot_{service.name}"
    if isinstance(service, ComposeService) and service.is_balanced:
        return f"replicas_{service.name}"
    return f"127.0.0.1:{service.listens}"


def view(catalogue: Catalogue, system: System, site: Site, ipv6: bool = True) -> SiteView:
    """The services on a site, in catalogue order: a proxy takes the longest path whatever the order."""
    routes = [
        (service, route) for service in system.active for route in service.routes if system.site_of(route) == site
    ]
    return SiteView(
        catalogue.stack.public_name(site.name),
        site.challenge,
        site.all_headers,
        bool(site.cors),
        [
            Location(
                service.purpose, route.public, route.inside, route.is_prefix, upstream(service),
                list(site.methods(route)), _max_body(catalogue, system, route), route.timeout, route.host,
            )
            for service, route in routes
        ],
        [str(network) for network in catalogue.stack.statusCidrs or catalogue.stack.adminCidrs],
        ipv6,
    )  # fmt: skip


def _max_body(catalogue: Catalogue, system: System, route: Route) -> str | None:
    """The proxy's limit; derived from a service's own, the two cannot disagree."""
    if isinstance(route.max_body, FileKey):
        return str(catalogue.value_of(system, route.max_body))
    return route.max_body


def public_url(catalogue: Catalogue, system: System, service: Service) -> str | None:
    """Where a service's health can be asked from outside."""
    route = service.health_route
    site = system.site_of(route) if route else None
    path = service.health_path
    if route is None or site is None or path is None:
        return None
    rest = path.removeprefix(route.inside) if route.is_prefix else ""
    return f"https://{catalogue.stack.public_name(site.name)}{route.public}{rest}"


def certificate(catalogue: Catalogue, site: Site, group: str = "root") -> Certificate:
    stack = catalogue.stack
    return Certificate(stack.public_name(site.name), site.challenge, stack.acmeDirectory, stack.acmeEmail, group)
