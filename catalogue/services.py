"""The kinds of services. What all have stands in `Service` (service.py); what one kind alone has, in its model here."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from catalogue.compose.container import ContainerOptions
from catalogue.compose.steps import ReleaseSteps
from catalogue.compose.values import ContainerHealth, HealthCommand, PublishedPort
from catalogue.fields import (
    NAME,
    AbsolutePath,
    AccountName,
    Address,
    Line,
    Model,
    Name,
    Port,
    UrlPath,
    pattern_text,
)
from catalogue.following import Following
from catalogue.python import PythonEnvironment
from catalogue.service import Artefacts, ConfigFile, Image, Memory, RetiredService, Service
from catalogue.shapes import is_mapping
from catalogue.sizes import systemd_bytes, to_bytes
from catalogue.systemd.directives import Sections, canonical, text


def _in_words(reason: str) -> str:
    if not reason.strip():
        raise ValueError("the reason for it, in a few words")
    return reason


# The ways in which a container can reach further: catalogue/rules/openings.py says what each of them means
Opening = Literal[
    "public-ports", "host-network", "host-processes", "host-paths", "docker-socket", "privileged", "capabilities",
    "devices", "unconfined", "moving-tag",
]  # fmt: skip
_COMPOSE_FILE = (
    r"^docker-compose[A-Za-z0-9_.-]*\.ya?ml$",
    "a file's name such as docker-compose.prod.yml: it begins with docker-compose, and names no directory",
)


class ComposeService(Service, ContainerOptions, Following):
    """A container of a compose project. Services with the same unit share one project and one file."""

    kind: Literal["compose"]
    """A container of a compose project."""
    port: Port | None = None
    """The port of the host where it is published, on 127.0.0.1 alone. A container with `container_port` and a route,
    and no `port`, gets one by its name."""
    container_port: Port | None = None
    """The port that its program listens on in the container, where that is not `port`."""
    health: ContainerHealth | None = None
    """How it is asked whether it is healthy: by a path on its port, a connection, a command. By default `/health` where
    it has a port, else `running`."""
    memory: Memory
    """Its limit of memory."""
    directory: AbsolutePath
    """The directory of the host where its compose file lies."""
    image: Image
    """The image that it runs."""
    release: ReleaseSteps = []
    """Commands that a release runs to their end before it switches, such as migrations: one, or several in a list."""
    container: Name
    """The container's name."""
    address: Address | None = None
    """Its address on the system's network, where something asks for a fixed one. Else Docker gives it one, and others
    reach it by its name."""
    compose_file: Annotated[str, pattern_text(*_COMPOSE_FILE)] = "docker-compose.prod.yml"
    """The name of its compose file on the host."""
    compose_key: Name
    """Its key under `services` of the compose file."""
    rollout: Literal["recreate", "blue-green"] = "recreate"
    """How a release replaces it: `recreate` restarts it; with `blue-green` a new container comes up beside the old one,
    and the proxy is switched to it."""
    spare_port: Port | None = None
    """The second port of a `blue-green` rollout. Without an `address` it may be left out: its name gives one."""
    spare_address: Address | None = None
    """The second address of a `blue-green` rollout, where the service has an `address`."""
    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    """How many of it run at a time. A release restarts one after the other. It needs a route, Nginx, no data of its
    own, and memory for each."""
    replica_ports: list[Port] = []
    """Ports of the replicas after the first. They follow from its name where none are written."""
    spread: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many of it run on the hosts of a group (`count` of infra:hosts), on whichever of them. On a host without a
    group one runs."""
    publish: list[PublishedPort] = []
    """Ports at which the world reaches it past the proxy, such as `"25"` or `"51820/udp"`. They need the exception
    `public-ports`."""
    exceptions: dict[Opening, Annotated[Line, AfterValidator(_in_words)]] = {}
    """The reason for each way in which it reaches further than its network and its product's data."""

    @model_validator(mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if not is_mapping(value):
            return value
        # Of a name that is none, one finding is enough
        name = value.get("name")
        name = name if isinstance(name, str) and re.fullmatch(NAME, name) else "name"
        own = {"unit": f"{name}.service", "container": name, "directory": f"/opt/{name}", "compose_key": name}
        return {**own, **value}

    @property
    def listens(self) -> int | None:
        return self.port

    @property
    def listens_inside(self) -> int | None:
        """The port that its program listens on, in the container."""
        return self.container_port or self.port

    @property
    def check(self) -> Literal["http", "tcp", "command", "image", "running"]:
        """How its health is asked; without a word of its own by HTTP where it has a port."""
        if isinstance(self.health, HealthCommand):
            return "command"
        if self.health == "tcp" or self.health == "image" or self.health == "running":
            return self.health
        return "http" if self.health or self.port else "running"

    @property
    def health_path(self) -> str | None:
        return str(self.health or "/health") if self.check == "http" else None

    @property
    def secret_names(self) -> list[str]:
        return list(dict.fromkeys([*self.secrets, *self.secret_files.values()]))

    @property
    def images(self) -> list[Image]:
        """All that it runs: its own, and those of its release steps."""
        return [self.image, *(step.image for step in self.release if step.image)]

    @property
    def sources(self) -> list[str]:
        return [file.source for file in self.files]

    @property
    def limit(self) -> int:
        return to_bytes(self.memory.limit)

    @property
    def observed_memory(self) -> int:
        return to_bytes(self.memory.observed) if self.memory.observed else 0

    @property
    def is_blue_green(self) -> bool:
        return self.rollout == "blue-green"

    @property
    def is_balanced(self) -> bool:
        """Do several of it run, between which the proxy chooses."""
        return self.replicas > 1

    @property
    def at_once(self) -> int:
        return 2 if self.is_blue_green else self.replicas

    @property
    def ports(self) -> list[int]:
        return [port for port in (self.port, self.spare_port, *self.replica_ports) if port is not None]

    @property
    def is_on_host_network(self) -> bool:
        return self.network_mode == "host"

    @property
    def published_port(self) -> PublishedPort | None:
        """What of `publish` has its `port` to itself: that one is then no port of loopback alone."""
        return next((one for one in self.publish if self.port in one.numbers and one.protocol == "tcp"), None)

    @property
    def addresses(self) -> list[IPv4Address]:
        """Every address that a container of it ever has."""
        return [address for address in (self.address, self.spare_address) if address is not None]


class NativeService(Service):
    """A unit that systemd runs, by its directives. Its environment stands in the unit, or with the secrets in a
    file."""

    port: Port | None = None
    """The port that it listens on, on 127.0.0.1 alone. One without a port has no route."""
    health: UrlPath = "/health"
    """The path on its port that answers 200 when it is healthy. Without a port its unit's state counts instead."""
    memory: Memory | None = None
    """Its limit of memory, unless its directives have a `MemoryMax`."""
    account: AccountName | None = None
    """The account whose own manager runs it, as a user unit that needs no login. Without it, it is a unit of the
    system."""
    instances: list[Name] = []
    """Instances of a template unit (`NAME@.service`) that run."""
    directives: Sections
    """The unit's sections, such as `Unit`, `Service` or `Timer`, each with its directives. A list gives one line for
    each."""
    drop_ins: dict[Name, Sections] = {}
    """Further sections by the names of their files: `UNIT.d/NAME.conf`."""
    files: list[ConfigFile] = []
    """Files that a release brings for it. A change of one restarts it."""
    artefact: Artefacts = []
    """What its owner built and a release brings: one, or several in a list. A change of one restarts it."""
    python: PythonEnvironment | None = None
    """Its virtual environment, which the host makes as a lock file says. Another lock restarts it."""
    needs: list[AbsolutePath] = []
    """Files that no release brings itself: without one of them, it is refused."""
    environment_file: AbsolutePath | None = None
    """The file that `environment` and `secrets` are written to (with permissions 0600), instead of the unit."""
    specifiers: bool = False
    """Whether systemd reads specifiers, such as `%U`, in `environment`; without, a `%` means itself."""
    socket: bool = False
    """Whether systemd holds the port, so that connections wait while the unit restarts."""

    @property
    def listens(self) -> int | None:
        return self.port

    @property
    def health_path(self) -> str | None:
        return self.health if self.port else None

    @property
    def sources(self) -> list[str]:
        return [*(file.source for file in self.files), *(self.python.sources if self.python else [])]

    @property
    def links(self) -> list[str]:
        """The paths that are links to what a release brings: to its artefacts, and to its environment of Python."""
        return [*(artefact.into for artefact in self.artefact), *([self.python.into] if self.python else [])]

    @property
    def images(self) -> list[Image]:
        return [*self.artefact]

    @property
    def at_once(self) -> int:
        return len(self.instances) or 1

    @property
    def limit(self) -> int:
        """The unit's own MemoryMax, of which a drop-in has the last word, else `memory`."""
        limits = [canonical(sections).get("Service", {}).get("MemoryMax") for sections in self.all_sections]
        own = [value for value in limits if value is not None and not isinstance(value, list)]
        if own:
            return systemd_bytes(text(own[-1])) or 0
        return to_bytes(self.memory.limit) if self.memory else 0

    @property
    def observed_memory(self) -> int:
        return to_bytes(self.memory.observed) if self.memory and self.memory.observed else 0

    @property
    def all_sections(self) -> list[Sections]:
        """The unit's own and those of its drop-ins, in the order in which systemd reads them."""
        return [self.directives, *(self.drop_ins[name] for name in sorted(self.drop_ins))]

    @property
    def program_sections(self) -> Sections:
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
    """A unit that runs on and on."""


class OneshotService(NativeService):
    """A service that does something once, and counts as running after that (`RemainAfterExit`)."""

    kind: Literal["oneshot"]
    """A unit that does something once."""


class TimerService(NativeService):
    """Runs `job`, the service of the same name, at the times that its [Timer] says."""

    kind: Literal["timer"]
    """A timer and the service that it starts; `unit` ends in `.timer`."""
    job: Sections
    """Sections of the service that the timer starts, as in `directives`, which are the timer's own."""

    @property
    def job_unit(self) -> str:
        return f"{self.unit.rsplit('.', 1)[0]}.service"

    @property
    def program_sections(self) -> Sections:
        return canonical(self.job)

    @property
    def all_sections(self) -> list[Sections]:
        return [self.job, *super().all_sections]


def _service_kind(value: Any) -> str | None:
    if is_mapping(value):
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


def most_memory(services: Iterable[Service]) -> int:
    """Bytes that the limits of a host's services add up to when most of them run: both slots of all that have two, or
    a release step beside all that serves."""
    running = list(services)
    steps = [service.limit for service in running if isinstance(service, ComposeService) and service.release]
    once = sum(service.limit * (1 if isinstance(service, ComposeService) else service.at_once) for service in running)
    return max(sum(service.at_once * service.limit for service in running), once + max(steps, default=0))


def repositories_of(service: Service | RetiredService) -> list[str]:
    """The repositories of images and artefacts that a service keeps, running or retired."""
    if isinstance(service, RetiredService):
        return [service.repository]
    return [image.repository for image in service.images]
