"""The kinds of services. What every kind has stands in `Service`; what only one kind has, in that kind's model."""

from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from catalogue.fields import (
    AbsolutePath,
    AccountName,
    Address,
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
)
from catalogue.sizes import Size, systemd_bytes, to_bytes
from catalogue.systemd.directives import Sections, canonical, text


class Image(Model):
    """An image by repository and tag or digest; account and region come from the stack, never from here."""

    repository: str
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")] | None = None
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None

    @property
    def suffix(self) -> str:
        return f"@{self.digest}" if self.digest else f":{self.tag or 'latest'}"


class Memory(Model):
    """`limit` is enforced; `observed` is what the service was seen to use."""

    limit: Size
    observed: Size | None = None


class FileKey(Model):
    """A value out of a configuration file of the catalogue: `key` is dotted, such as server.max_request_size."""

    file: AbsolutePath
    key: str


class Route(Model):
    """A public path of a site and the path that the service itself serves it under.

    The two differ: `/scheduler/` is `/api/scheduler/` inside (004_b5add429c3fef2cf.txt, section 1). A path that ends
    in `/` stands for all below it, any other for itself alone. `site` may be left out where the system has one site.
    `methods` are those CORS allows, where the site has CORS. `timeout` is how many seconds an answer may take.
    `host` is the Host header that the service gets, where it wants another one than clients ask for.
    """

    public: str
    internal: str | None = None
    site: str | None = None
    methods: list[Method] | None = None
    max_body: Size | FileKey | None = None
    timeout: Annotated[int, Field(ge=1, le=3600)] | None = None
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

    `health` is the path, on the service's own port, that answers 200 when it is healthy. `single` marks a
    service of which only one may run in the world. `stop_priority` orders what is stopped first under
    memory pressure (1 first; None never).
    """

    name: Name
    purpose: Line
    purpose_ja: Line | None = None
    role: Literal["api", "admin"] = "api"
    port_exception: str | None = None
    health: UrlPath = "/health"
    routes: list[Route] = []
    unit: UnitName
    environment: dict[EnvironmentName, str] = {}
    secrets: list[EnvironmentName] = []
    single: bool = False
    stop_priority: Annotated[int, Field(ge=1)] | None = None

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
    def at_once(self) -> int:
        """How many of it run at the same time during a release, each with its memory."""
        return 1

    @property
    def ports(self) -> list[int]:
        """Every port of the host that it ever listens on."""
        return [self.listens] if self.listens else []

    @property
    def health_route(self) -> Route | None:
        """The route through which its health can be asked from outside."""
        return next((route for route in self.routes if route.covers(self.health)), None)


class ComposeService(Service):
    """A container of a compose project. Services with the same unit share one project and one file.

    `compose_key` is the service's key in that file; the documents use `api`. Without an `address` Docker gives the
    container one: others reach it by its name. With `rollout: blue-green` a new container comes up beside the old one
    on `spare_port` (and `spare_address`, where it has an `address`) before the proxy is switched to it; the default
    replaces the container, and answers 503 meanwhile.
    """

    kind: Literal["compose"]
    port: Port
    memory: Memory
    directory: AbsolutePath
    image: Image
    container: Name
    address: Address | None = None
    compose_file: Annotated[str, Field(pattern=r"^docker-compose[A-Za-z0-9_.-]*\.ya?ml$")] = "docker-compose.prod.yml"
    compose_key: Name = "api"
    rollout: Literal["recreate", "blue-green"] = "recreate"
    spare_port: Port | None = None
    spare_address: Address | None = None

    @property
    def listens(self) -> int:
        return self.port

    @property
    def limit(self) -> int:
        return to_bytes(self.memory.limit)

    @property
    def observed(self) -> int:
        return to_bytes(self.memory.observed) if self.memory.observed else 0

    @property
    def is_blue_green(self) -> bool:
        return self.rollout == "blue-green"

    @property
    def at_once(self) -> int:
        return 2 if self.is_blue_green else 1

    @property
    def ports(self) -> list[int]:
        return [port for port in (self.port, self.spare_port) if port is not None]

    @property
    def addresses(self) -> list[IPv4Address]:
        """Every address that a container of it ever has."""
        return [address for address in (self.address, self.spare_address) if address is not None]


class ConfigFile(Model):
    """A file that a service reads; `source` lies below `files/static/`. `must_exist` names keys (dotted) of a TOML
    file whose values are paths, relative to the file, without which the service could not start."""

    path: AbsolutePath
    source: PathBelow
    owner: AccountName = "root"
    group: AccountName | None = None
    mode: Permissions = "0644"
    must_exist: list[str] = []


class NativeService(Service):
    """A unit that systemd runs, by its directives.

    With `account` that account's own manager runs it (a user unit), and it runs without a login. `instances`
    are those of a template unit (`NAME@.service`). A change of one of `files` restarts it. `needs` are files that the
    release does not bring: without them it is refused. `environment` stands in the unit, or with the secrets in
    `environment_file`; with `specifiers` systemd reads `%U` and the like in it, else a `%` means itself. With `socket`
    systemd holds the port, so that connections wait while the unit restarts.
    """

    port: Port | None = None
    memory: Memory | None = None
    account: AccountName | None = None
    instances: list[Name] = []
    directives: Sections
    drop_ins: dict[Name, Sections] = {}
    files: list[ConfigFile] = []
    needs: list[AbsolutePath] = []
    environment_file: AbsolutePath | None = None
    specifiers: bool = False
    socket: bool = False

    @property
    def listens(self) -> int | None:
        return self.port

    @property
    def at_once(self) -> int:
        return len(self.instances) or 1

    @property
    def limit(self) -> int:
        """The unit's own MemoryMax, of which a drop-in has the last word, else `memory`."""
        given = [canonical(sections).get("Service", {}).get("MemoryMax") for sections in self.all_sections]
        own = [value for value in given if value is not None and not isinstance(value, list)]
        if own:
            return systemd_bytes(text(own[-1])) or 0
        return to_bytes(self.memory.limit) if self.memory else 0

    @property
    def observed(self) -> int:
        return to_bytes(self.memory.observed) if self.memory and self.memory.observed else 0

    @property
    def all_sections(self) -> list[Sections]:
        """The unit's own and those of its drop-ins, in the order in which systemd reads them."""
        return [self.directives, *(self.drop_ins[name] for name in sorted(self.drop_ins))]

    @property
    def run(self) -> Sections:
        """The sections of the unit that runs a program, canonical: its own, or those of a timer's job."""
        return canonical(self.directives)

    @property
    def units(self) -> list[str]:
        """The units that run: the instances of a template."""
        stem, kind = self.unit.rsplit(".", 1)
        return [f"{stem}{instance}.{kind}" for instance in self.instances] or [self.unit]


class UnitService(NativeService):
    """A service that runs on and on."""

    kind: Literal["unit"]


class OneshotService(NativeService):
    """A service that does something once, and counts as running after that (`RemainAfterExit`)."""

    kind: Literal["oneshot"]


class TimerService(NativeService):
    """Runs `job`, the service of the same name, at the times that its [Timer] says."""

    kind: Literal["timer"]
    job: Sections

    @property
    def job_unit(self) -> str:
        return f"{self.unit.rsplit('.', 1)[0]}.service"

    @property
    def run(self) -> Sections:
        return canonical(self.job)

    @property
    def all_sections(self) -> list[Sections]:
        return [self.job, *super().all_sections]


class RetiredService(Model):
    """A service that no longer runs: it keeps its repository, and gets no container, unit, route or address."""

    name: Name
    purpose: Line
    purpose_ja: Line | None = None
    retired: Literal[True]
    repository: str
    port: Port
    replaced_by: Name


def _service_kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return "retired" if value.get("retired") else value.get("kind")
    # Anything else has none: the finding says so
    return "retired" if isinstance(value, RetiredService) else getattr(value, "kind", None)


AnyService = Annotated[
    Annotated[ComposeService, Tag("compose")]
    | Annotated[UnitService, Tag("unit")]
    | Annotated[OneshotService, Tag("oneshot")]
    | Annotated[TimerService, Tag("timer")]
    | Annotated[RetiredService, Tag("retired")],
    Discriminator(_service_kind),
]
KINDS: dict[str, type[Model]] = {
    "compose": ComposeService, "unit": UnitService, "oneshot": OneshotService, "timer": TimerService,
    "retired": RetiredService,
}  # fmt: skip


def repository_of(service: Service | RetiredService) -> str | None:
    """The image repository that a service keeps, running or retired; None when it is no container."""
    if isinstance(service, RetiredService):
        return service.repository
    return service.image.repository if isinstance(service, ComposeService) else None
