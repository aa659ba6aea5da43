"""A system as its owner describes it: the shape of `files/systems/*.yaml`.

A service has a `kind`. Everything a service of any kind has stands in `Service`; what only one kind
has stands in that kind's model. Cross-service rules are in `checks.py`.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, PlainSerializer, Tag

from catalogue.sizes import Size


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _text_as(cls: type) -> Any:
    """A type written as text in YAML; strict mode alone would want the Python object."""
    return BeforeValidator(lambda value: cls(value) if isinstance(value, str) else value)


Address = Annotated[IPv4Address, _text_as(IPv4Address), PlainSerializer(str)]
Network = Annotated[IPv4Network, _text_as(IPv4Network), PlainSerializer(str)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
UnitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.@-]+\.(service|timer)$")]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^\s]*[^\s/]$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class ContainerNetwork(Model):
    """The Docker network that all containers of a system share; `unit` creates it before any of them starts."""

    name: Name
    subnet: Network
    gateway: Address
    unit: UnitName


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


class Route(Model):
    """A public path of a site and the path that the service itself serves it under.

    The two differ: `/scheduler/` is `/api/scheduler/` inside (004_b5add429c3fef2cf.txt, section 1).
    `site` may be left out where the system has one site. `methods` are those CORS allows.
    """

    public: str
    internal: str = "/"
    site: str | None = None
    methods: list[Method] = ["GET", "POST", "OPTIONS"]
    max_body: Size | None = None


class Service(Model):
    """What a service of every kind has.

    `health` is the path, on the service's own port, that answers 200 when it is well. `single` marks a
    service of which only one may run in the world. `stop_priority` orders what is stopped first under
    memory pressure (1 first; None never).
    """

    name: Name
    purpose: str
    purpose_ja: str | None = None
    role: Literal["api", "admin"]
    port: Port
    port_exception: str | None = None
    health: str = "/health"
    route: Route | None = None
    memory: Memory
    directory: AbsolutePath
    unit: UnitName
    environment: dict[EnvironmentName, str] = {}
    secrets: list[EnvironmentName] = []
    single: bool = False
    stop_priority: int | None = None

    @property
    def at_once(self) -> int:
        """How many of it run at the same time during a release, each with its memory."""
        return 1

    @property
    def ports(self) -> list[int]:
        """Every port of the host that it ever listens on."""
        return [self.port]


class ComposeService(Service):
    """A container of a compose project. Services with the same unit share one project and one file.

    `compose_key` is the service's key in that file; the documents use `api`. With `rollout: blue-green` a new
    container comes up beside the old one on `spare_port` and `spare_address` before the proxy is switched to it;
    the default replaces the container, and answers 503 meanwhile.
    """

    kind: Literal["compose"]
    image: Image
    container: Name
    address: Address
    compose_file: Annotated[str, Field(pattern=r"^docker-compose[A-Za-z0-9_.-]*\.ya?ml$")] = "docker-compose.prod.yml"
    compose_key: Name = "api"
    rollout: Literal["recreate", "blue-green"] = "recreate"
    spare_port: Port | None = None
    spare_address: Address | None = None

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


class RetiredService(Model):
    """A service that no longer runs: it keeps its repository, and gets no container, unit, route or address."""

    name: Name
    purpose: str
    purpose_ja: str | None = None
    retired: Literal[True]
    repository: str
    port: Port
    replaced_by: Name


def _service_kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return "retired" if value.get("retired") else value.get("kind")
    return "retired" if isinstance(value, RetiredService) else value.kind


AnyService = Annotated[
    Annotated[ComposeService, Tag("compose")] | Annotated[RetiredService, Tag("retired")],
    Discriminator(_service_kind),
]


def repository_of(service: Service | RetiredService) -> str | None:
    """The image repository that a service keeps, running or retired; None when it is no container."""
    if isinstance(service, RetiredService):
        return service.repository
    return service.image.repository if isinstance(service, ComposeService) else None


class Site(Model):
    """A public name with its own certificate. `challenge` is how ACME proves the name is ours."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
    challenge: Literal["dns-01"] = "dns-01"


class System(Model):
    """One product: its sites, its services and the network they share. `document` is where the facts come from."""

    system: Name
    document: str
    network: ContainerNetwork | None = None
    sites: list[Site] = []
    services: list[AnyService]

    @property
    def active(self) -> list[Service]:
        """The services that run, of every kind."""
        return [service for service in self.services if isinstance(service, Service)]

    @property
    def compose_services(self) -> list[ComposeService]:
        return [service for service in self.services if isinstance(service, ComposeService)]

    @property
    def repositories(self) -> list[str]:
        """Image repositories in catalogue order, the retired services' included."""
        return list(dict.fromkeys(name for service in self.services if (name := repository_of(service))))

    def site_of(self, route: Route) -> Site | None:
        """The site a route is on, or None when it names none that exists."""
        if route.site is None:
            return self.sites[0] if len(self.sites) == 1 else None
        return next((site for site in self.sites if site.name == route.site), None)
