"""What rendering needs to know about a kind of proxy. A module of rendering/proxies/ describes each kind."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.sites import Site
from rendering.files import HostFiles, Unit


@dataclass(frozen=True)
class Passwords:
    """How a proxy reads users: its own directory, its group, and what stands between a name and the password's hash."""

    place: str
    group: str
    between: str


@dataclass(frozen=True)
class SiteText:
    """How a rendered site is read, so that a preview can say which public paths a change touches."""

    place: str
    """How the path of a site's file begins; the site's name follows."""
    block: re.Pattern[str]
    """How the block of a public path begins; its first group is the path."""
    answers: re.Pattern[str]
    """What a block has that answers: by a service, files or a redirect."""
    guard: re.Pattern[str]
    """What a block has that does not answer every client."""
    suffix: str = ""
    """What follows the site's name in the path of its file."""
    begins: str = ""
    """From where on a file has blocks of public paths, if this text is in it."""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """How a line begins (a regular expression) → the field of the site, the route or the directory that it comes from,
    so that a change by hand can be made there. The first that matches counts."""


@dataclass(frozen=True)
class Leading:
    """How a proxy is led between places of a service: slots, replicas (rendering/rollouts.py), and a socket at which
    requests wait (rendering/holding.py). Each place is a file that a link selects."""

    place: str
    """Its own directory. It reads all files in `conf.d` below it, and of the other directories what is named there."""
    to_one: Callable[[str, str], str]
    """The text by which an upstream of this name leads to one address: `127.0.0.1:PORT`, or `unix:PATH`."""
    to_all: Callable[[str, str], str]
    """The text by which an upstream of this name leads to all members whose links are in a directory."""
    member: Callable[[str], str]
    """The text of a member at an address."""
    suffix: str = ".conf"
    """How the names of its files end."""

    def read_file(self, name: str) -> str:
        """The path of a file that it reads by itself."""
        return f"{self.place}/conf.d/{name}{self.suffix}"


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy. How its configuration is tested on a host and how its log is read is in agent/proxies/; what a
    catalogue may ask of it, in catalogue/proxies/."""

    name: str
    """What infra:hosts calls it. Its unit, which its package brings, and the directory of its configuration have this
    name too, as in agent/proxy.py."""
    package: str
    """What `prepare-host.sh` is asked for: its Debian package, or a word that this script knows."""
    of_site: Callable[[Catalogue, str, System, Site], HostFiles]
    """What a host (the second argument) has for one site: its file, certificate, users, and its name."""
    once: Callable[[Catalogue, str], HostFiles]
    """What a host with sites has once, beside its unit: main configuration, and the reaction that reloads it when one
    of its files changes."""
    site_text: SiteText
    """How its sites' files are read."""
    leading: Leading | None = None
    """How it is led between places of a service, where its abilities (catalogue/proxies/) have `leads_between`."""

    @property
    def unit(self) -> str:
        return f"{self.name}.service"

    def of_host(self, catalogue: Catalogue, host: str) -> HostFiles:
        """What a host with sites has once."""
        return replace(self.once(catalogue, host), units=[Unit(self.unit, [])])
