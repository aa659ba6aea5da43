"""A system as its owner describes it: the shape of `files/systems/*.yaml`.

The kinds of its services are in `services.py`. Rules that span services are in `rules/`.
"""

from typing import Annotated

from pydantic import Field

from catalogue.fields import (
    AbsolutePath,
    AccountName,
    Address,
    EnvironmentName,
    Model,
    Name,
    Network,
    OwnerName,
    PackageName,
    PathBelow,
    Permissions,
    UnitName,
    written_as,
)
from catalogue.service import Route, Service
from catalogue.services import AnyService, ComposeService, NativeService, repositories_of
from catalogue.sites import Cors, Serving, Site
from catalogue.systemd.directives import Sections


class ContainerNetwork(Model):
    """The Docker network that all containers of a system share; `unit` creates it before any of them starts."""

    name: Name
    subnet: Network
    gateway: Address
    unit: UnitName


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


_DROP_IN = r"^/etc/systemd/[a-z]+\.conf\.d/[^/]+\.conf$", "a path such as /etc/systemd/journald.conf.d/app.conf"


class DropIn(Model):
    """A file of directives for something that is not a service of ours, such as journald."""

    path: Annotated[str, written_as(*_DROP_IN)]
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

    @property
    def led_to(self) -> list[Service]:
        """The services that a proxy leads requests to: by their routes, or to ask whether others may pass."""
        gates = {serving.asks for site in self.sites for serving in (site, *site.static)}
        gates |= {self.serving(route).asks for service in self.active for route in service.routes}
        return [service for service in self.active if service.routes or service.name in gates]

    def site_of(self, route: Route) -> Site | None:
        """The site a route is on, or None when it names none that exists; without a name the only one that serves."""
        if route.site is None:
            serving = [site for site in self.sites if not site.leads_elsewhere]
            return serving[0] if len(serving) == 1 else None
        return self.site(route.site)

    def site(self, name: str) -> Site | None:
        return next((site for site in self.sites if site.name == name), None)

    def serving(self, route: Route) -> Serving:
        """How a route is served: by its own words, else by its site's."""
        site = self.site_of(route)
        own = route.over(site) if site else route
        if route.methods is None or route.cors is not None or not own.cors or not own.cors.methods:
            return own
        return own.model_copy(update={"cors": Cors.model_copy(own.cors, update={"methods": route.methods})})

    @property
    def passwords(self) -> set[str]:
        """The secrets that are passwords of its sites' users. They are the system's, in its group."""
        said = [route for service in self.active for route in service.routes]
        said += [entry for site in self.sites for entry in (site, *site.static)]
        return {name for one in said for name in (one.basic_auth or {}).values()}

    def account(self, name: str) -> Account | None:
        return next((account for account in self.accounts if account.name == name), None)
