"""What a public site says: its names, paths and who may see them. A service's own paths are its routes (service.py)."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from catalogue.fields import (
    AbsolutePath,
    EnvironmentName,
    HeaderName,
    HeaderValue,
    HostName,
    Method,
    Model,
    Name,
    Network,
    Origin,
    PathBelow,
    RedirectTarget,
    UserName,
)
from catalogue.sizes import Size

HSTS_AGE = 63072000  # seconds: two years
HSTS = f"max-age={HSTS_AGE}"
SITE_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
# What the proxy itself sends to a service, or what keeps one request apart from the next
OWN_HEADERS = {
    "host", "connection", "upgrade", "content-length", "transfer-encoding", "x-real-ip", "x-forwarded-for",
    "x-forwarded-proto", "x-forwarded-host",
}  # fmt: skip
# What says where an answer ends, how it is packed and how this connection goes on: one more of it breaks answers
OF_THE_CONNECTION = {
    "connection", "content-encoding", "content-length", "content-range", "date", "keep-alive", "proxy-authenticate",
    "proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade",
}  # fmt: skip


def _path(path: str) -> str:
    if not SITE_PATH.fullmatch(path) or "//" in path or {".", ".."} & {*path.split("/")}:
        raise ValueError("a path such as /old/ (all below it) or /old (that page alone): letters, digits and . _ ~ / -")
    return path


def _request_header(name: str) -> str:
    if name.lower() in OWN_HEADERS:
        raise ValueError("any other header: this one is the proxy's own; for another Host there is host")
    return name


def _response_header(name: str) -> str:
    if name.lower() in OF_THE_CONNECTION:
        raise ValueError("any other header: this one is of the connection or of the body, and the proxy writes it")
    return name


def _given(value: str) -> str:
    if not value.strip():
        raise ValueError("a header's value with characters; leave the header out where it has none")
    return value


def _closed(path: str) -> str:
    _path(path.removesuffix("*"))
    return path


ClosedPath = Annotated[str, AfterValidator(_closed)]
SitePath = Annotated[str, AfterValidator(_path)]
ResponseHeader = Annotated[HeaderName, AfterValidator(_response_header)]
ResponseValue = Annotated[HeaderValue, AfterValidator(_given)]
RequestHeader = Annotated[HeaderName, AfterValidator(_request_header)]
Seconds = Annotated[int, Field(ge=1, le=3600)]


class FileKey(Model):
    """A value out of a configuration file of the catalogue: `key` is dotted, such as server.max_request_size."""

    file: AbsolutePath
    key: str


def _form(given: Any) -> str:
    return "<mapping>" if isinstance(given, dict | FileKey) else "<text>"


AnySize = Annotated[
    Annotated[Size, Tag("<text>")] | Annotated[FileKey, Tag("<mapping>")],
    Discriminator(_form),
]


class Cors(Model):
    """What browsers let pages of other `origins` do. `headers` are those that such a page may send, `exposed` those of
    an answer that it may read; `credentials` lets it send cookies; for `max_age` seconds a browser does not ask again.
    Without `methods` there is no CORS."""

    methods: list[Method] = []
    origins: Annotated[list[Origin], Field(min_length=1)] = ["*"]
    headers: list[HeaderName] = ["Content-Type", "Authorization"]
    exposed: list[HeaderName] = []
    credentials: bool = False
    max_age: Annotated[int, Field(ge=0, le=86400)] | None = None

    @property
    def is_for_all(self) -> bool:
        return "*" in self.origins


def _methods_alone(given: Any) -> Any:
    """`cors: [GET, POST]` is the methods, `cors: false` none."""
    if given is False:
        return Cors()
    return {"methods": given} if isinstance(given, list) else given


class Rate(Model):
    """How many `requests` a client may make; `burst` are those that may come at once beyond the first, as many as
    `requests` where nothing is said. More are answered 429. A client is an address."""

    requests: Annotated[int, Field(ge=1, le=100000)]
    per: Literal["second", "minute"] = "second"
    burst: Annotated[int, Field(ge=0, le=100000)] | None = None

    @property
    def at_once(self) -> int:
        """How many more may come at the same time."""
        return self.requests if self.burst is None else self.burst


class ForwardAuth(Model):
    """Another `service` of the system is asked at `path` whether a request may pass: 2xx lets it, 401 and 403 are the
    client's answer. `headers` are those of its answer that the service gets, in place of any that the client sent."""

    service: Name | None = None
    path: SitePath = "/"
    headers: list[RequestHeader] = []

    @model_validator(mode="after")
    def _is_whole(self) -> "ForwardAuth":
        if self.service is None and self.model_fields_set:
            raise ValueError("service: the one that is asked, and its path; or forward_auth: false for none")
        return self


def _none_for_false(given: Any) -> Any:
    return ForwardAuth() if given is False else given


def _hsts(given: Any) -> Any:
    return Hsts() if given is True else None if given is False else given


class Serving(Model):
    """How requests are served: what a route says for itself, and a site for all that say nothing else.

    `max_body` is the largest request, `timeout` how many seconds an answer may take (between two parts of it),
    `connect_timeout` how many until the service takes the connection. With `buffering` the proxy takes an answer whole
    before a slow client has it; without, it passes on what comes when it comes. `allow` are the only networks that may
    ask, `deny` those that may not. `basic_auth` are users, each with the name of the secret that is the password.
    `forward_auth` asks a service first. `rate` and `connections` are limits of each client. `headers` go with every
    answer, `request_headers` with every request to the service. `cors` says what browsers let other sites do.
    """

    max_body: AnySize | None = None
    timeout: Seconds | None = None
    connect_timeout: Annotated[int, Field(ge=1, le=60)] | None = None
    buffering: bool | None = None
    allow: list[Network] | None = None
    deny: list[Network] | None = None
    basic_auth: dict[UserName, EnvironmentName] | None = None
    forward_auth: Annotated[ForwardAuth | None, BeforeValidator(_none_for_false)] = None
    rate: Rate | None = None
    connections: Annotated[int, Field(ge=1, le=65535)] | None = None
    headers: dict[ResponseHeader, ResponseValue] = {}
    request_headers: dict[RequestHeader, HeaderValue] = {}
    cors: Annotated[Cors | None, BeforeValidator(_methods_alone)] = None

    @property
    def asks(self) -> str | None:
        """The service that is asked whether a request may pass."""
        return self.forward_auth.service if self.forward_auth else None

    @property
    def is_guarded(self) -> bool:
        """Is not every client answered here."""
        return bool(self.allow or self.deny or self.basic_auth or self.asks)

    def over(self, site: "Serving") -> "Serving":
        """What is in force on a route, a directory or the like: its own word, else its site's."""
        own = {name: value for name in Serving.model_fields if (value := getattr(self, name)) is not None}
        for name in ("headers", "request_headers"):
            own[name] = with_headers(getattr(site, name), getattr(self, name))
        if self.cors and site.cors and self.cors.model_fields_set:
            # What it does not say of CORS its site says
            said = {name: getattr(self.cors, name) for name in self.cors.model_fields_set}
            own["cors"] = site.cors.model_copy(update=said)
        given = {name: getattr(site, name) for name in Serving.model_fields} | own
        return Serving.model_construct(**given)


def with_headers(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """Both; of one name, which has no case, the second's."""
    taken = {name.lower() for name in second}
    return {name: value for name, value in first.items() if name.lower() not in taken} | second


class Redirect(Model):
    """Requests for `public`, a path alone or, where it ends in `/`, all below it, are sent on to `to`: a path of this
    site or another address. Where both end in `/`, the rest of the path goes along; a query always does. The name of
    a site in `to` is its name in this stack."""

    public: SitePath
    to: RedirectTarget
    status: Literal[301, 302, 307, 308] = 301


class StaticFiles(Serving):
    """Files that the proxy serves itself below `public`: those of `source`, a folder below `files/static/`, or of a
    `directory` of the host, such as an artefact's `into`. `fallback` is the page of it for a path that is no file, as
    an application that runs in the browser needs it. Browsers keep files for `max_age` seconds, and ask again for
    pages (*.html) each time. `precompressed` serves `app.js.gz` in place of `app.js` where it is there. Hidden files
    are not served."""

    public: SitePath
    source: PathBelow | None = None
    directory: AbsolutePath | None = None
    fallback: PathBelow | None = None
    max_age: Annotated[int, Field(ge=0, le=63072000)] | None = None
    precompressed: bool = False


class Hsts(Model):
    """How long browsers ask this name by HTTPS alone, in seconds; with the names below it, and in browsers' lists."""

    max_age: Annotated[int, Field(ge=0, le=126144000)] = HSTS_AGE
    include_subdomains: bool = False
    preload: bool = False

    @property
    def value(self) -> str:
        more = ["includeSubDomains"] * self.include_subdomains + ["preload"] * self.preload
        return "; ".join([f"max-age={self.max_age}", *more])


class Snippet(Model):
    """Configuration by hand, a file below `files/static/` for a proxy: directives inside of the site's server."""

    nginx: PathBelow | None = None
    caddy: PathBelow | None = None


class CertificateFiles(Model):
    """A certificate with its chain, and its key, which are on the host already (PEM)."""

    chain: AbsolutePath
    key: AbsolutePath


class Site(Serving):
    """A public name with its own certificate, unless `certificate` says otherwise: `wildcard` is one for all names
    beside it (*.example.com of shop.example.com), `{chain, key}` are files of the host. `challenge` is how ACME proves
    the name is ours: dns-01 where its zone is ours (the certificate is there before the host serves), http-01 where it
    is not. What it says of serving holds for all routes that say nothing else; without `cors` there is no CORS.

    `alias_of` is the site of which this is another name. `redirects` send requests elsewhere, `static` are files that
    the proxy serves itself, `closed` are paths that are not public (404): `/x/` all below it and `/x`, `/x` that page,
    `/x*` all that begins so. `error_pages` are pages, files below
    `files/static/`, in place of the proxy's own answers (403, 404, 413, 429, 502, 503, 504); what a service answers
    stays. `compress` has the proxy compress text. Without `access_log` requests are not logged, and not counted.
    """

    name: HostName
    challenge: Literal["dns-01", "http-01"] = "dns-01"
    certificate: Literal["wildcard"] | CertificateFiles | None = None
    alias_of: HostName | None = None
    redirects: list[Redirect] = []
    static: list[StaticFiles] = []
    closed: list[ClosedPath] = []
    error_pages: dict[Literal["403", "404", "413", "429", "502", "503", "504"], PathBelow] = {}
    hsts: Annotated[Hsts | None, BeforeValidator(_hsts)] = Hsts()
    compress: bool = False
    access_log: bool = True
    client_ca: PathBelow | None = None
    snippet: Snippet | None = None

    @property
    def all_headers(self) -> dict[str, str]:
        first = {"Strict-Transport-Security": self.hsts.value} if self.hsts else {}
        return with_headers(first, self.headers)

    @property
    def is_proved_by_dns(self) -> bool:
        """Does its host prove its name by a record."""
        return self.challenge == "dns-01" and not isinstance(self.certificate, CertificateFiles)

    @property
    def is_proved_by_http(self) -> bool:
        return self.challenge == "http-01" and not isinstance(self.certificate, CertificateFiles)

    @property
    def leads_elsewhere(self) -> bool:
        """Is it another site's name, or one that sends all requests on."""
        return self.alias_of is not None or any(redirect.public == "/" for redirect in self.redirects)

    @property
    def pages(self) -> list[str]:
        """Single files of `files/static/` that it names."""
        snippets = [self.snippet.nginx, self.snippet.caddy] if self.snippet else []
        return [name for name in (*self.error_pages.values(), self.client_ca, *snippets) if name]

    @property
    def folders(self) -> list[str]:
        """Folders of `files/static/` that it names."""
        return [entry.source for entry in self.static if entry.source]
