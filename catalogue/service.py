"""What a service of every kind has: its names, routes and environment."""

from typing import Annotated, Literal

from pydantic import Field

from catalogue.backup import Backup
from catalogue.fields import (
    AbsolutePath,
    AccountName,
    ContainerPath,
    EnvironmentName,
    Line,
    Method,
    Model,
    Name,
    PathBelow,
    Permissions,
    Port,
    UnitName,
    UpstreamHost,
    UrlPath,
    one_or_list,
    pattern_text,
)
from catalogue.serving import Serving
from catalogue.sizes import Size

TAG = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", "a tag such as 1.4.2: at most 128 letters, digits and . _ -"
_DIGEST = r"^sha256:[0-9a-f]{64}$", "a digest: sha256: and 64 digits or letters from a to f"


class Image(Model):
    """An image by repository and tag or digest; account and region come from the stack, never from here."""

    repository: str
    """The repository, without account and region. One that begins with a registry's name, such as
    `docker.io/library/postgres`, is another's, and is copied."""
    tag: Annotated[str, pattern_text(*TAG)] | None = None
    """The tag, such as `"1.4"`; `latest` where neither a tag nor a digest is written. What runs is the digest under
    it."""
    digest: Annotated[str, pattern_text(*_DIGEST)] | None = None
    """The exact image, as `sha256:` and 64 hexadecimal digits, in the tag's place."""

    @property
    def suffix(self) -> str:
        return f"@{self.digest}" if self.digest else f":{self.tag or 'latest'}"

    @property
    def name(self) -> str:
        return f"{self.repository}{self.suffix}"

    @property
    def host(self) -> str:
        """The other registry that it comes from; "" for the stack's own."""
        first, slash, _ = self.repository.partition("/")
        return first if slash and "." in first else ""

    @property
    def is_foreign(self) -> bool:
        return bool(self.host)


class Artefact(Image):
    """What the owner built: a program, an environment, a model, as an image of files alone (`infra push`). The host
    unpacks it, and a release leads a link to it."""

    into: ContainerPath
    """The path on the host that is a link to the unpacked files; each release switches it."""
    subpath: PathBelow | None = None
    """A path in the artefact that `into` leads to, instead of all of it."""


Artefacts = Annotated[
    list[Artefact],
    one_or_list('{repository: notes, tag: "1.4", into: /opt/notes/app}'),
    Field(max_length=20),
]


class Memory(Model):
    """How much memory a service may use, and how much it was seen to use."""

    limit: Size
    """The most memory that the service may use; Docker, or systemd as `MemoryMax`, enforces it."""
    observed: Size | None = None
    """What the service was seen to use. A limit below it is a warning."""


class ConfigFile(Model):
    """A file that a service of systemd's reads."""

    path: AbsolutePath
    """Where the file lies on the host."""
    source: PathBelow
    """The file below `files/static/`."""
    owner: AccountName = "root"
    """The account that it belongs to."""
    group: AccountName | None = None
    """Its group; the owner's own where nothing is written."""
    mode: Permissions = "0644"
    """Its permissions, in quotes."""
    must_exist: list[str] = []
    """Keys (dotted) of a TOML file whose values are paths, relative to the file, that must be there: else a release is
    refused."""


class Route(Serving):
    """A public path of a site, and the path that the service itself serves it under: `/scheduler/` can be
    `/api/scheduler/` inside."""

    public: str
    """The path that clients ask for. One that ends in `/` stands for all below it, any other for that page alone."""
    internal: str | None = None
    """The path that the service gets; it ends in `/` where `public` does. By default `/`, and for a page alone its
    public path."""
    site: str | None = None
    """The name of the site that the path is on. It may be left out where the system has one site."""
    look: UrlPath | None = None
    """A public path of the route that answers 200 when the service is healthy, asked by releases and the monitor where
    the health check is no public path."""
    methods: list[Method] | None = None
    """Methods that CORS allows on this route, where its site has CORS."""
    host: UpstreamHost | None = None
    """The `Host` header that the service gets, where it wants another one than clients ask for."""

    @property
    def inside(self) -> str:
        """The service's own path; that of a route to one page alone is the same as its public one."""
        return self.internal or ("/" if self.is_prefix else self.public)

    @property
    def is_prefix(self) -> bool:
        return self.public.endswith("/")

    def covers(self, path: str) -> bool:
        """Does the service's own `path` lie behind this route."""
        return path.startswith(self.inside) if self.is_prefix else path == self.inside


class Service(Model):
    """What a service of every kind has."""

    name: Name
    """The service's name everywhere in this project."""
    purpose: Line
    """What it does, in one line."""
    purpose_ja: Line | None = None
    """The same in Japanese, for the Japanese page of the system."""
    role: Literal["api", "admin"] = "api"
    """Which ports are its own: 8000–8099 of an `api`, 9000–9999 of an `admin`."""
    port_exception: str | None = None
    """The reason why its port is outside of the range of its role."""
    routes: list[Route] = []
    """Its public paths; nothing else of it is public."""
    unit: UnitName
    """Its systemd unit, with the ending. Containers whose unit is the same share one compose file."""
    environment: dict[EnvironmentName, str] = {}
    """Variables with their values: always text, so numbers and yes or no stand in quotes."""
    secrets: list[EnvironmentName] = []
    """Names of variables whose values are secret. `infra secret set SERVICE.NAME` sets each,
    `infra secret set SYSTEM.NAME` one for all services."""
    unresolved: list[Line] = []
    """What `infra adopt host` read off a machine and could not say here, a line each. `infra check` refuses it: write
    it in the catalogue's words, or delete the line to go without it."""
    backup: Backup | None = None
    """What of its data is backed up, when, and how long that is kept."""
    single: bool = False
    """Whether at most one instance of it runs across all hosts and regions: where its public name points."""
    stop_priority: Annotated[int, Field(ge=1)] | None = None
    """Its place in the order in which services are stopped when memory runs out, 1 first. Without it, it is never
    stopped for that."""
    hold: Annotated[int, Field(ge=0, le=600)] = 45
    """Seconds for which new requests wait at most while it restarts; with 0 they are refused at once. Only behind
    Nginx."""
    drain: Annotated[int, Field(ge=0, le=600)] | None = None
    """Seconds that running requests may take to finish before the service stops. By default 10, or 30 if another
    replica takes new requests. Only behind Nginx."""

    @property
    def secret_names(self) -> list[str]:
        """The secrets that it gets, in whatever way."""
        return self.secrets

    @property
    def listens(self) -> int | None:
        """The port on which its health is asked."""
        raise NotImplementedError

    @property
    def limit(self) -> int:
        """Bytes of memory that one of it may use; 0 where nothing limits it."""
        raise NotImplementedError

    @property
    def observed_memory(self) -> int:
        """Bytes of memory that one of it was seen to use."""
        raise NotImplementedError

    @property
    def images(self) -> list[Image]:
        """All that the registry holds for it: the images of its containers, or its artefacts."""
        raise NotImplementedError

    @property
    def at_once(self) -> int:
        """How many of it run at the same time during a release, each with its memory."""
        return 1

    @property
    def ports(self) -> list[int]:
        """Every port of the host that it ever listens on."""
        return [self.listens] if self.listens else []

    @property
    def health_path(self) -> str | None:
        """The path on its own port that answers 200 when it is healthy; None where its health is not asked by HTTP."""
        raise NotImplementedError

    @property
    def sources(self) -> list[str]:
        """Files of `files/static/` that it brings."""
        raise NotImplementedError

    @property
    def health_route(self) -> Route | None:
        """The route through which its health can be asked from outside."""
        path = self.health_path
        return next((route for route in self.routes if path and route.covers(path)), None)


class RetiredService(Model):
    """A service that no longer runs: it keeps its repository, and gets no container, unit, route or address."""

    name: Name
    """The name that it had."""
    purpose: Line
    """What it did, in one line."""
    purpose_ja: Line | None = None
    """The same in Japanese, for the Japanese page of the system."""
    retired: Literal[True]
    """Says that it no longer runs; there is no `kind` then."""
    repository: str
    """The repository of its images, which is kept."""
    port: Port
    """The port that it had, which no other service gets."""
    replaced_by: Name
    """The service that does its work now."""
