"""What a service of every kind has: its names, routes and environment."""

from typing import Annotated, Literal

from pydantic import Field

from catalogue.backup import Backup
from catalogue.fields import (
    ContainerPath,
    EnvironmentName,
    Line,
    Method,
    Model,
    Name,
    PathBelow,
    UnitName,
    UpstreamHost,
    UrlPath,
    one_or_list,
    written_as,
)
from catalogue.sites import Serving
from catalogue.sizes import Size

_TAG = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", "a tag such as 1.4.2: at most 128 letters, digits and . _ -"
_DIGEST = r"^sha256:[0-9a-f]{64}$", "a digest: sha256: and 64 digits or letters from a to f"


class Image(Model):
    """An image by repository and tag or digest; account and region come from the stack, never from here. A repository
    that begins with a registry's name, such as docker.io/library/postgres, is another's: it is copied into the
    stack's registry, into a repository of that whole name."""

    repository: str
    tag: Annotated[str, written_as(*_TAG)] | None = None
    digest: Annotated[str, written_as(*_DIGEST)] | None = None

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
    unpacks it, and `into` is a link to it, or to its `subpath`, that is switched with the release."""

    into: ContainerPath
    subpath: PathBelow | None = None


Artefacts = Annotated[
    list[Artefact],
    one_or_list('{repository: notes, tag: "1.4", into: /opt/notes/app}'),
    Field(max_length=20),
]


class Memory(Model):
    """`limit` is enforced; `observed` is what the service was seen to use."""

    limit: Size
    observed: Size | None = None


class Route(Serving):
    """A public path of a site and the path that the service itself serves it under.

    The two differ: `/scheduler/` is `/api/scheduler/` inside (004_b5add429c3fef2cf.txt, section 1). A path that ends
    in `/` stands for all below it, any other for itself alone. `site` may be left out where the system has one site.
    `look` is a public path below it that answers 200 when the service is healthy, for looks from outside; else that is
    the health path, where it lies behind a route. `methods` are those CORS allows, where the site has CORS. `host` is
    the Host header that the service gets, where it wants another one than clients ask for.
    """

    public: str
    internal: str | None = None
    site: str | None = None
    look: UrlPath | None = None
    methods: list[Method] | None = None
    host: UpstreamHost | None = None

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
    """What a service of every kind has.

    `single` marks a
    service of which only one may run in the world. `stop_priority` orders what is stopped first under
    memory pressure (1 first; None never). `backup` says what of its data is backed up. While it restarts, new requests
    wait for `hold` seconds at most (0: they are refused at once), and those under way get `drain` seconds to end; by
    default 10, and 30 where another one of it takes the new ones.
    """

    name: Name
    purpose: Line
    purpose_ja: Line | None = None
    role: Literal["api", "admin"] = "api"
    port_exception: str | None = None
    routes: list[Route] = []
    unit: UnitName
    environment: dict[EnvironmentName, str] = {}
    secrets: list[EnvironmentName] = []
    backup: Backup | None = None
    single: bool = False
    stop_priority: Annotated[int, Field(ge=1)] | None = None
    hold: Annotated[int, Field(ge=0, le=600)] = 45
    drain: Annotated[int, Field(ge=0, le=600)] | None = None

    @property
    def listens(self) -> int | None:
        """The port on which its health is asked."""
        raise NotImplementedError

    @property
    def limit(self) -> int:
        """Bytes of memory that one of it may use; 0 where nothing limits it."""
        raise NotImplementedError

    @property
    def observed(self) -> int:
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
