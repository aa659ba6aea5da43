"""A system as its owner describes it: the shape of `files/systems/*.yaml`.

The kinds of its services are in `services.py`. Rules that span services are in `rules/`.
"""

from typing import Annotated

from pydantic import Field

from catalogue.compose.source import ComposeSource
from catalogue.fields import (
    AbsolutePath,
    AccountName,
    Address,
    EnvironmentName,
    Line,
    Model,
    Name,
    Network,
    OwnerName,
    PackageName,
    Permissions,
    UnitName,
    pattern_text,
)
from catalogue.service import Route, Service
from catalogue.services import AnyService, ComposeService, NativeService, repositories_of
from catalogue.serving import Cors, Serving
from catalogue.sites import CertificateSecrets, Site
from catalogue.systemd.directives import Sections


class ContainerNetwork(Model):
    """The Docker network that all containers of a system share. Its unit creates it before any of them starts."""

    name: Name
    """The network's name in Docker."""
    subnet: Network
    """Its addresses: private ones, in which the host reaches nothing else, with room for each container."""
    gateway: Address
    """The host's own address in it, out of `subnet`."""
    unit: UnitName
    """The systemd unit that creates it."""


class GroupedNetwork(ContainerNetwork):
    """That of a system whose spread services run on a group of hosts. The program makes it (catalogue/groups.py)."""

    group: Name
    """The network that its containers share with these too."""


class Account(Model):
    """An account of the host that services run as. One that is there already is used as it is."""

    name: AccountName
    """The account's name on the host."""
    home: AbsolutePath
    """Its home directory. An account that is there already keeps its own."""
    login: bool = False
    """Whether people log in as it; without, it has no login shell. An account that is there keeps its shell."""
    lingering: bool = False
    """Whether its own units run while it is not logged in."""
    groups: list[AccountName] = []
    """Further groups that it is a member of."""


class Directory(Model):
    """A directory that must be there."""

    path: AbsolutePath
    """The path of the directory."""
    owner: OwnerName = "root"
    """Who it belongs to: root, one of `accounts`, or the number of a container's account in quotes."""
    group: OwnerName | None = None
    """Its group; the owner's own where nothing is written."""
    mode: Permissions = "0755"
    """Its permissions, in quotes."""


_DROP_IN = r"^/etc/systemd/[a-z]+\.conf\.d/[^/]+\.conf$", "a path such as /etc/systemd/journald.conf.d/app.conf"


class DropIn(Model):
    """A file of directives for something that is not a service of ours, such as journald."""

    path: Annotated[str, pattern_text(*_DROP_IN)]
    """The file: below `/etc/systemd/NAME.conf.d/`, its name ends in `.conf`."""
    sections: Sections
    """Sections of that file, each with its directives and their values."""


class Milestone(Model):
    """By when a unit is to be up after the host was switched on."""

    name: str
    """What the milestone is called in `infra boot-times`."""
    unit: UnitName
    """The unit that is to be up by then; one of the system's services."""
    within: Annotated[int, Field(ge=1)]
    """Seconds since the host was switched on."""


class System(Model):
    """One product: what it needs of a host, its sites and its services."""

    system: Name
    """The system's name, the same as the file's without `.yaml`."""
    document: str
    """The document that the facts of this file come from; free text."""
    variant: str | None = None
    """The variant that the stack chose (`infra:variants`). The program sets it."""
    accounts: list[Account] = []
    """Accounts of the host that services run as. Each is made where it is missing, and never removed."""
    directories: list[Directory] = []
    """Directories that the host must have, with their owners and permissions."""
    packages: list[PackageName] = []
    """Debian packages that each host of the system needs."""
    enables: list[UnitName] = []
    """Units which those packages bring, and that are to run."""
    drop_ins: list[DropIn] = []
    """Settings of systemd's own programs, such as journald."""
    milestones: list[Milestone] = []
    """By when units are to be up after a start of the host: `infra boot-times` compares."""
    network: ContainerNetwork | None = None
    """The network of its containers. Where none is written, it has the system's name and a subnet that follows from
    it."""
    compose: ComposeSource | None = None
    """A compose file of the product's makers, taken as it is. The entries of `services` complete it."""
    monitor_names: list[AbsolutePath] = []
    """Paths of legacy scripts (`*.sh`, `*.py`) that run the host's monitor now."""
    data: list[AbsolutePath] = []
    """Directories that no release brings. A region move takes them along; a lost host gets them back from a
    snapshot."""
    shared_secrets: list[EnvironmentName] = []
    """Secrets of its services whose value is the stack's: written once, as `infra:secrets.shared.NAME`, for all systems
    that list them here. A value of the service's own, or of its system, comes first."""
    unresolved: list[Line] = []
    """What `infra adopt host` read off a machine and could not say here, a line each. `infra check` refuses it: write
    it in the catalogue's words, or delete the line to go without it."""
    sites: list[Site] = []
    """Public names that the system is served under."""
    services: list[AnyService]
    """What runs: containers, units of systemd, and services that no longer run (`retired: true`)."""

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
    def proxied_services(self) -> list[Service]:
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
        entries = [route for service in self.active for route in service.routes]
        entries += [entry for site in self.sites for entry in (site, *site.static)]
        return {name for one in entries for name in (one.basic_auth or {}).values()}

    @property
    def certificate_secrets(self) -> set[str]:
        """The secrets that are certificates of its sites, or their keys: texts in PEM. They are the system's."""
        own = [site.certificate for site in self.sites if isinstance(site.certificate, CertificateSecrets)]
        return {name for one in own for name in (one.chain_secret, one.key_secret)}

    def account(self, name: str) -> Account | None:
        return next((account for account in self.accounts if account.name == name), None)
