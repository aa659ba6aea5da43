"""What is read of a site: its routes, its facts, and what a location is about."""

from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

from catalogue.shapes import CorsFields, RouteFields
from infra.adopt.host.remarks import Remark

OWN = ("/status/", "/.infra-", "/.well-known/acme-challenge/")  # of each host's own, and of the program's sites


class Redirection(TypedDict):
    """A path that a site sends on, as the catalogue says it."""

    public: str
    to: str
    status: int


@dataclass(frozen=True)
class RouteDraft:
    """A location that leads to `host`:`port`. `cors` is what CORS allows there (None: no CORS); `host_header` is
    the Host that the service gets (None: the one that was asked for), `more` other fields of a route."""

    site: str
    public: str
    internal: str | None
    host: str
    port: int
    comment: str
    cors: CorsFields | None = None
    max_body: str | None = None
    timeout: int | None = None
    host_header: str | None = None
    more: RouteFields = field(default_factory=RouteFields)


@dataclass
class SiteFacts:
    """A server under its public name: `headers` are those that it adds to every answer, `aliases` its other names.
    Beside what leads to services it has `redirects`, `static` files, and `closed` paths. `barred` is what
    guarded patterns begin with. With `runs` some of its files are programs, or kept back; with `shut` nothing of it is
    public."""

    headers: dict[str, str] = field(default_factory=dict[str, str])
    aliases: list[str] = field(default_factory=list[str])
    redirects: list[Redirection] = field(default_factory=list[Redirection])
    static: list[RouteFields] = field(default_factory=list[RouteFields])
    closed: list[str] = field(default_factory=list[str])
    compress: bool = False
    has_hsts: bool = True
    barred: list[str] = field(default_factory=list[str])
    runs: bool = False
    shut: bool = False

    def close(self, path: str) -> None:
        if path not in self.closed:
            self.closed.append(path)


@dataclass(frozen=True)
class SiteReading:
    """The reading of one server: the public name of its `site`, the `facts` and `remarks` so far, and the servers
    behind each name of a group (`upstreams`)."""

    site: str
    facts: SiteFacts
    upstreams: dict[str, list[str]]
    remarks: list[Remark]


@dataclass(frozen=True)
class Place:
    """The paths that a location is about: its `kind` ("" for none) and `path` as Nginx writes them; `where` is what
    remarks call it."""

    where: str
    kind: str
    path: str

    @property
    def is_pattern(self) -> bool:
        return self.kind in ("~", "~*")

    @property
    def is_own(self) -> bool:
        return self.path == "/status" or self.path.startswith(OWN)


class Target(NamedTuple):
    """The service behind a location, and its `path` there (None: that of the request)."""

    host: str
    port: int
    path: str | None
