"""What a proxy's template is given of a public site: one location for each path, with all defaults resolved."""

from dataclasses import dataclass, field
from typing import Literal

from catalogue.service import Service
from catalogue.serving import Cors, Rate, Serving
from rendering import certificates
from rendering.cdns import Fronting


@dataclass(frozen=True)
class Location:
    """A public path. By `kind`: a service, at `upstream` under its path `inside`, asked for as `host` (None: the name
    that the client asked for); files of a `directory`; a redirect to `to` with `status`; or closed. `serving` is how,
    its `max_body` worked out. `users` is the file with the passwords, `asks` what is asked first, as an upstream, by
    `number`. `rate` and `connections` name the zones that count its clients, `origin` and `cache` what the proxy works
    out for each answer. `bare` is its path without the last /, where nothing else is there. `headers` are its own and
    its site's."""

    kind: Literal["service", "files", "redirect", "closed"]
    purpose: str
    public: str
    serving: Serving
    number: int = 0
    inside: str = ""
    service: Service | None = None
    upstream: str = ""
    host: str | None = None
    directory: str = ""
    fallback: str | None = None
    max_age: int | None = None
    precompressed: bool = False
    to: str = ""
    status: int = 0
    keeps_rest: bool = False
    max_body: str | None = None
    users: str = ""
    asks: str = ""
    rate: str = ""
    connections: str = ""
    origin: str = ""
    cache: str = ""
    bare: str = ""
    own_headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def is_prefix(self) -> bool:
        return self.public.endswith(("/", "*"))

    @property
    def headers(self) -> dict[str, str]:
        return self.serving.headers

    @property
    def path(self) -> str:
        """The public path without the trailing * that marks a prefix."""
        return self.public.removesuffix("*")

    @property
    def unsayable(self) -> list[str]:
        """The names under which a service may read a header that only the gate may set: many treat _ and - alike."""
        headers = self.serving.forward_auth.headers if self.serving.forward_auth else []
        ways = [[header.split("-")[0]] for header in headers]
        alternatives: list[str] = []
        for way, header in zip(ways, headers, strict=True):
            for part in header.split("-")[1:]:
                way[:] = [f"{begin}{sign}{part}" for begin in way for sign in "-_"]
            alternatives += [name for name in way if name != header]
        return alternatives

    @property
    def cors(self) -> Cors | None:
        cors = self.serving.cors
        return cors if cors and cors.methods else None


@dataclass(frozen=True)
class Away:
    """What clients of a site in maintenance get: `page`, a file beside its error pages, "" for none, and when they are
    to come back: at its end, or `seconds` later."""

    page: str
    seconds: int | None


@dataclass(frozen=True)
class SiteView:
    """A site under its name in this stack. `headers` go with every answer; `is_open` when a location takes all paths;
    `status` are the networks that may see the host's own page, and the site while it is in maintenance; `ipv6`
    whether it listens there, `http2` whether it has HTTP/2; `cdn` what asks in its clients' place; `quic` how it
    listens for HTTP/3. `rates` and `connections` are the zones that count clients, `origins` the lists of origins
    by the name that the proxy knows them by, `caches` how long answers are kept; `pages` are error pages by their
    status, `away` is what clients get in maintenance where the catalogue says it."""

    name: str
    is_proved_by_http: bool
    certificate: certificates.Pair
    headers: dict[str, str]
    cors: Cors | None
    origin: str
    locations: list[Location]
    status: list[str]
    compress: list[str]
    access_log: bool
    rates: dict[str, Rate]
    connections: list[str]
    origins: dict[str, list[str]]
    caches: dict[str, int | None]
    pages: dict[int, str]
    away: Away | None
    client_ca: str
    maintenance: str
    snippet: str
    ipv6: bool = True
    http2: bool = True
    cdn: Fronting | None = None
    quic: str = ""

    @property
    def has_gate(self) -> bool:
        return any(location.asks for location in self.locations)

    @property
    def is_open(self) -> bool:
        return any(location.public == "/" for location in self.locations)
