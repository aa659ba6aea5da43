"""What a public site says: its names, paths and who may see them. A service's own paths are its routes (service.py)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from catalogue.cdns import AnyCdn
from catalogue.fields import (
    AbsolutePath,
    EnvironmentName,
    HostName,
    Model,
    PathBelow,
    RedirectTarget,
)
from catalogue.serving import Serving, with_headers
from catalogue.site_values import HSTS_AGE, ClosedPath, SitePath, SnippetProxy

# By this header clients come to know of HTTP/3
HTTP3 = 'h3=":443"; ma=86400'


def _hsts(value: Any) -> Any:
    return Hsts() if value is True else None if value is False else value


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


def _form_of_retry(value: Any) -> str:
    return "<number>" if isinstance(value, int) else "<text>"


RetryAfter = Annotated[
    Annotated[Literal["end"], Tag("<text>")] | Annotated[int, Field(ge=1, le=604800), Tag("<number>")],
    Discriminator(_form_of_retry),
]


class Maintenance(Model):
    """What clients get while `infra maintenance` is on."""

    page: PathBelow | None = None
    """The page, a file below `files/static/`; that of `error_pages` for 503 where nothing is written."""
    retry_after: RetryAfter = "end"
    """When they are to come back (`Retry-After`): at the `end` of the maintenance, or after so many seconds."""


def _compressions(value: Any) -> Any:
    return ["gzip"] if value is True else [] if value is False else value


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
    compress: Annotated[list[Literal["zstd", "gzip"]], BeforeValidator(_compressions)] = []
    """How the proxy compresses text, the preferred way first; `true` is gzip alone. Nginx has no zstd of its own."""
    maintenance: Maintenance | None = None
    """What clients get in maintenance. Where nothing is written: the page for 503, and `Retry-After: 10`."""
    access_log: bool = True
    """Whether requests are logged, and counted by alerts."""
    http2: bool = True
    """Whether clients may use HTTP/2; one site's is all its host's."""
    ip: Literal[4, "both"] = "both"
    """`4`: at the host's IPv4 addresses alone, with Nginx."""
    http3: bool = False
    """Whether clients may use HTTP/3, by UDP at port 443. Nginx has it from 1.25 on; with Caddy one site's is all its
    host's."""
    client_ca: PathBelow | None = None
    """Certificate authorities, a file below `files/static/` (PEM): only clients with a certificate of one of them may
    ask."""
    snippet: Annotated[dict[SnippetProxy, PathBelow], Field(min_length=1)] | None = None
    """Configuration by hand, for what the catalogue has no field for: proxy → a file below `files/static/` with
    directives that it reads inside of the site alone."""

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
        away = self.maintenance.page if self.maintenance else None
        snippets = (self.snippet or {}).values()
        return [name for name in (*self.error_pages.values(), away, self.client_ca, *snippets) if name]

    @property
    def folders(self) -> list[str]:
        """Folders of `files/static/` that it names."""
        return [entry.source for entry in self.static if entry.source]
