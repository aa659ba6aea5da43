"""What a public site says: its names, paths and who may see them. A service's own paths are its routes (service.py)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from catalogue.cdns import AnyCdn
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
from catalogue.shapes import is_list
from catalogue.site_values import HSTS_AGE, ClosedPath, RequestHeader, ResponseHeader, ResponseValue, Seconds, SitePath
from catalogue.sizes import Size

# By this header clients come to know of HTTP/3
HTTP3 = 'h3=":443"; ma=86400'


class FileKey(Model):
    """A value out of a configuration file of the catalogue."""

    file: AbsolutePath
    """The path of a TOML file that one of the system's services has under `files`."""
    key: str
    """The key, dotted, such as `server.max_request_size`."""


def _form(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict | FileKey) else "<text>"


AnySize = Annotated[
    Annotated[Size, Tag("<text>")] | Annotated[FileKey, Tag("<mapping>")],
    Discriminator(_form),
]


class Cors(Model):
    """What browsers let pages of other origins do. Without `methods` there is no CORS."""

    methods: list[Method] = []
    """Methods that pages of other sites may use. Without any there is no CORS."""
    origins: Annotated[list[Origin], Field(min_length=1)] = ["*"]
    """Sites whose pages may ask, such as `https://app.example.com`; `*` for all."""
    headers: list[HeaderName] = ["Content-Type", "Authorization"]
    """Request headers that such a page may send."""
    exposed: list[HeaderName] = []
    """Headers of an answer that such a page may read."""
    credentials: bool = False
    """Whether such a page may send cookies."""
    max_age: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Seconds for which a browser need not ask again. Where nothing is written, the browser decides."""

    @property
    def is_for_all(self) -> bool:
        return "*" in self.origins


def _methods_alone(value: Any) -> Any:
    """`cors: [GET, POST]` is the methods, `cors: false` none."""
    if value is False:
        return Cors()
    return {"methods": value} if is_list(value) else value


class Rate(Model):
    """How many requests a client, which is an address, may make. More are answered 429."""

    requests: Annotated[int, Field(ge=1, le=100000)]
    """How many requests a client may make in that time."""
    per: Literal["second", "minute"] = "second"
    """The time that they are counted in."""
    burst: Annotated[int, Field(ge=0, le=100000)] | None = None
    """How many may come at once beyond the first; as many as `requests` where nothing is written."""

    @property
    def at_once(self) -> int:
        """How many more may come at the same time."""
        return self.requests if self.burst is None else self.burst


class ForwardAuth(Model):
    """Another service of the system is asked whether a request may pass: 2xx lets it, 401 and 403 are the client's
    answer."""

    service: Name | None = None
    """The service of the system that is asked."""
    path: SitePath = "/"
    """The path that it is asked at."""
    headers: list[RequestHeader] = []
    """Headers of its answer that go on to the service, in place of any that the client sent."""

    @model_validator(mode="after")
    def _is_whole(self) -> "ForwardAuth":
        if self.service is None and self.model_fields_set:
            raise ValueError("service and path of the check; or forward_auth: false for none")
        return self


def _none_for_false(value: Any) -> Any:
    return ForwardAuth() if value is False else value


def _hsts(value: Any) -> Any:
    return Hsts() if value is True else None if value is False else value


class Serving(Model):
    """How requests are served: what a route or a directory says for itself, and a site for all that say nothing
    else."""

    max_body: AnySize | None = None
    """The largest request body: a size, or the key of a configuration file that has it. Beyond it: 413. By default 1 MB
    with Nginx; Caddy has no limit."""
    timeout: Seconds | None = None
    """Seconds that may pass between two parts of an answer; 60 with Nginx where nothing is written."""
    connect_timeout: Annotated[int, Field(ge=1, le=60)] | None = None
    """Seconds until the service takes the connection; 5 where nothing is written."""
    buffering: bool | None = None
    """With `true` the proxy takes an answer whole, so that a slow client holds up no worker of the service; without, it
    passes on what comes."""
    allow: list[Network] | None = None
    """The only networks that may ask; others get 403. On a route `[]` lifts its site's."""
    deny: list[Network] | None = None
    """Networks that may not ask."""
    basic_auth: dict[UserName, EnvironmentName] | None = None
    """Users, each with the name of the secret that is the password (`infra secret set SYSTEM.NAME`). On a route `{}`
    lifts its site's."""
    forward_auth: Annotated[ForwardAuth | None, BeforeValidator(_none_for_false)] = None
    """A service that is asked first whether a request may pass. On a route `false` lifts its site's."""
    rate: Rate | None = None
    """How many requests each client may make; more are answered 429. Only with Nginx."""
    connections: Annotated[int, Field(ge=1, le=65535)] | None = None
    """How many connections each client may have at a time; more are answered 429. Only with Nginx."""
    headers: dict[ResponseHeader, ResponseValue] = {}
    """Headers of every answer, by their names."""
    request_headers: dict[RequestHeader, HeaderValue] = {}
    """Headers of every request to the service, by their names; one whose value is "" is taken away."""
    cors: Annotated[Cors | None, BeforeValidator(_methods_alone)] = None
    """What browsers let pages of other sites do. A list is the methods alone; `false` is none."""

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
            values = {name: getattr(self.cors, name) for name in self.cors.model_fields_set}
            own["cors"] = site.cors.model_copy(update=values)
        options = {name: getattr(site, name) for name in Serving.model_fields} | own
        return Serving.model_construct(**options)


def with_headers(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """Both; of one name, which has no case, the second's."""
    overridden_names = {name.lower() for name in second}
    return {name: value for name, value in first.items() if name.lower() not in overridden_names} | second


class Redirect(Model):
    """Requests for a path that are sent on. The query always goes along. The name of a site in `to` is its name in this
    stack."""

    public: SitePath
    """The path that is sent on: that page alone or, where it ends in `/`, all below it."""
    to: RedirectTarget
    """Where to: a path of this site or another address. Where both end in `/`, the rest of the path goes along."""
    status: Literal[301, 302, 307, 308] = 301
    """301 and 308 are for good, 302 and 307 for now. With 307 and 308 a POST stays a POST."""


class StaticFiles(Serving):
    """Files that the proxy serves itself: those of `source` or of `directory`. Hidden files are not served."""

    public: SitePath
    """The path that the files are served below; it ends in `/`."""
    source: PathBelow | None = None
    """A folder below `files/static/`, whose files come with the release."""
    directory: AbsolutePath | None = None
    """A directory of the host, such as an artefact's `into`, instead of a `source`."""
    fallback: PathBelow | None = None
    """The page, one of the files, for a path that is no file, as an application that runs in the browser needs it."""
    max_age: Annotated[int, Field(ge=0, le=63072000)] | None = None
    """Seconds for which browsers keep files. Pages (`*.html`) are asked for again each time."""
    precompressed: bool = False
    """Whether `app.js.gz` is served in place of `app.js`, where it is there."""


class Hsts(Model):
    """How long browsers ask a name by HTTPS alone (the header `Strict-Transport-Security`)."""

    max_age: Annotated[int, Field(ge=0, le=126144000)] = HSTS_AGE
    """Seconds for which browsers ask this name by HTTPS alone; the default is two years."""
    include_subdomains: bool = False
    """Whether that goes for all names below it too."""
    preload: bool = False
    """Whether browsers may have the name in their lists. It needs `include_subdomains`."""

    @property
    def value(self) -> str:
        more = ["includeSubDomains"] * self.include_subdomains + ["preload"] * self.preload
        return "; ".join([f"max-age={self.max_age}", *more])


class Snippet(Model):
    """Configuration by hand for a proxy: directives inside of the site's server."""

    nginx: PathBelow | None = None
    """A file below `files/static/` with directives for the site's `server` block of Nginx."""
    caddy: PathBelow | None = None
    """A file below `files/static/` with directives for the site of Caddy."""


class CertificateFiles(Model):
    """A certificate and its key, which are on the host already."""

    chain: AbsolutePath
    """The certificate with its chain, a file of the host (PEM)."""
    key: AbsolutePath
    """Its private key, a file of the host (PEM)."""


class CertificateSecrets(Model):
    """A certificate and its key, which are secrets of the system: `infra secret set SYSTEM.NAME < FILE`."""

    chain_secret: EnvironmentName
    """The secret that is the certificate with its chain (PEM), the name's own first."""
    key_secret: EnvironmentName
    """The secret that is its private key (PEM, without a passphrase)."""


def _form_of_certificate(value: Any) -> str:
    if isinstance(value, CertificateSecrets) or (isinstance(value, dict) and {"chain_secret", "key_secret"} & {*value}):
        return "<secrets>"
    return "<files>" if isinstance(value, dict | CertificateFiles) else "<text>"


AnyCertificate = Annotated[
    Annotated[Literal["wildcard"], Tag("<text>")]
    | Annotated[CertificateFiles, Tag("<files>")]
    | Annotated[CertificateSecrets, Tag("<secrets>")],
    Discriminator(_form_of_certificate),
]


class Site(Serving):
    """A public name. What it says of serving holds for all of its routes and directories that say nothing else."""

    name: HostName
    """The public name that clients ask for."""
    challenge: Literal["dns-01", "http-01"] = "dns-01"
    """How the name is proved to the certificate authority: `dns-01` for a name of `infra:zone`, `http-01` for any
    other, which must point at the host first."""
    certificate: AnyCertificate | None = None
    """`wildcard` is one certificate for all names beside this one (`*.example.com`); or one of your own, as files of
    the host or as secrets. By default the name gets one of its own."""
    cdn: AnyCdn | None = None
    """A CDN that asks the site in its clients' place: `cloudflare`, or its `ranges`. Limits, `allow`, `deny` and logs
    then go by the client that it names."""
    alias_of: HostName | None = None
    """The site of which this is another name: it serves the same."""
    redirects: list[Redirect] = []
    """Paths that are sent on elsewhere."""
    static: list[StaticFiles] = []
    """Files that the proxy serves itself."""
    closed: list[ClosedPath] = []
    """Paths that are not public (404): `/x/` and all below it, `/x` that page, `/x*` all that begins so."""
    error_pages: dict[Literal["403", "404", "413", "429", "502", "503", "504"], PathBelow] = {}
    """Pages in place of the proxy's own answers: status, in quotes → a file below `files/static/`."""
    hsts: Annotated[Hsts | None, BeforeValidator(_hsts)] = Hsts()
    """For how long browsers ask this name by HTTPS alone; `false` for no such header."""
    compress: bool = False
    """Whether the proxy compresses text (gzip)."""
    access_log: bool = True
    """Whether requests are logged, and counted by alerts."""
    http3: bool = False
    """Whether clients may use HTTP/3, by UDP at port 443. Nginx has it from 1.25 on; with Caddy one site's is all its
    host's."""
    client_ca: PathBelow | None = None
    """Certificate authorities, a file below `files/static/` (PEM): only clients with a certificate of one of them may
    ask."""
    snippet: Snippet | None = None
    """Configuration by hand, for what the catalogue has no field for."""

    @property
    def all_headers(self) -> dict[str, str]:
        first = {"Strict-Transport-Security": self.hsts.value} if self.hsts else {}
        first |= {"Alt-Svc": HTTP3} if self.http3 else {}
        return with_headers(first, self.headers)

    @property
    def is_proved_by_dns(self) -> bool:
        """Does its host prove its name by a record."""
        return self.challenge == "dns-01" and not self.has_own_certificate

    @property
    def is_proved_by_http(self) -> bool:
        return self.challenge == "http-01" and not self.has_own_certificate

    @property
    def has_own_certificate(self) -> bool:
        """Is its certificate one that no authority is asked for."""
        return isinstance(self.certificate, CertificateFiles | CertificateSecrets)

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
