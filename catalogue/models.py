"""A system as its owner describes it: the shape of `files/systems/*.yaml`.

The kinds of its services are in `services.py`. Rules that span services are in `rules/`.
"""

from typing import Annotated, Literal

from pydantic import Field

from catalogue.fields import (
    AbsolutePath,
    AccountName,
    Address,
    EnvironmentName,
    HeaderName,
    HeaderValue,
    HostName,
    Method,
    Model,
    Name,
    Network,
    OwnerName,
    PackageName,
    PathBelow,
    Permissions,
    UnitName,
)
from catalogue.service import Route, Service
from catalogue.services import AnyService, ComposeService, NativeService, repositories_of
from catalogue.systemd.directives import Sections

HSTS = "max-age=63072000"


class ContainerNetwork(Model):
    """The Docker network that all containers of a system share; `unit` creates it before any of them starts."""

    name: Name
    subnet: Network
    gateway: Address
    unit: UnitName


class Site(Model):
    """A public name with its own certificate. `challenge` is how ACME proves the name is ours: dns-01 where its zone
    is ours (the certificate is there before the host serves), http-01 where it is not. `cors` are the methods that
    CORS allows, where a route says nothing else; without any there is no CORS. `headers` go with every answer.
    """

    name: HostName
    challenge: Literal["dns-01", "http-01"] = "dns-01"
    cors: list[Method] = []
    headers: dict[HeaderName, HeaderValue] = {}

    @property
    def all_headers(self) -> dict[str, str]:
        return {"Strict-Transport-Security": HSTS, **self.headers}

    def methods(self, route: Route) -> list[Method]:
        """The methods that CORS allows on a route of this site."""
        return (route.methods or self.cors) if self.cors else []


class Account(Model):
    """An account that services run as. One that is there already is used as it is. Without `login` it has no
    login shell; `lingering` keeps its own units running without a login."""

    name: AccountName
    home: AbsolutePath
    login: bool = False
    lingering: bool = False
    groups: list[AccountName] = []


class Directory(Model):
    """A directory that must be there; without `group` it is the owner's own. A number is an account of a container's,
    which the host need not know."""

    path: AbsolutePath
    owner: OwnerName = "root"
    group: OwnerName | None = None
    mode: Permissions = "0755"


class DropIn(Model):
    """A file of directives for something that is not a service of ours, such as journald."""

    path: Annotated[str, Field(pattern=r"^/etc/systemd/[a-z]+\.conf\.d/[^/]+\.conf$")]
    sections: Sections


class Milestone(Model):
    """By when, in seconds since the host was switched on, a unit is to be up."""

    name: str
    unit: UnitName
    within: Annotated[int, Field(ge=1)]


class ComposeSource(Model):
    """A compose file of the product's makers, below `files/static/`, as it is; `variables` are the values of its
    `${…}`. What it says of a service, the entry of that name under `services` completes and overrides."""

    file: PathBelow
    variables: dict[EnvironmentName, str] = {}


class System(Model):
    """One product: what it needs of a host, its sites and its services. `document` is where the facts come from.

    `packages` are Debian packages, `enables` units that packages bring and that are to run. `variant` is the one of
    its variants that the stack chose (infra:variants). `monitor_names` are legacy commands that now run
    the host's monitor (`*.sh` or `*.py`). `data` are directories that no release brings: a lost host gets them back
    from a snapshot of its disk.
    """

    system: Name
    document: str
    variant: str | None = None
    accounts: list[Account] = []
    directories: list[Directory] = []
    packages: list[PackageName] = []
    enables: list[UnitName] = []
    drop_ins: list[DropIn] = []
    milestones: list[Milestone] = []
    network: ContainerNetwork | None = None
    compose: ComposeSource | None = None
    monitor_names: list[AbsolutePath] = []
    data: list[AbsolutePath] = []
    sites: list[Site] = []
    services: list[AnyService]

    @property
    def active(self) -> list[Service]:
        """The services that run, of every kind."""
        return [service for service in self.services if isinstance(service, Service)]

    @property
    def compose_services(self) -> list[ComposeService]:
        return [service for service in self.services if isinstance(service, ComposeService)]

    @property
    def native_services(self) -> list[NativeService]:
        return [service for service in self.services if isinstance(service, NativeService)]

    @property
    def repositories(self) -> list[str]:
        """Image repositories in catalogue order, the retired services' included."""
        return list(dict.fromkeys(name for service in self.services for name in repositories_of(service)))

    def site_of(self, route: Route) -> Site | None:
        """The site a route is on, or None when it names none that exists."""
        if route.site is None:
            return self.sites[0] if len(self.sites) == 1 else None
        return next((site for site in self.sites if site.name == route.site), None)

    def account(self, name: str) -> Account | None:
        return next((account for account in self.accounts if account.name == name), None)
