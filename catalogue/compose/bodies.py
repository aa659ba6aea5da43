"""What is written into compose files, by Compose's own keys (https://docs.docker.com/reference/compose-file/). What a
stranger's file holds is open: see `ComposeBody` of catalogue/shapes.py. Pure."""

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict


class LimitsBody(TypedDict):
    """Both limits of a resource, of `ulimits`."""

    soft: int
    hard: int


class HealthBody(TypedDict, total=False):
    """`healthcheck`; `disable` stands alone."""

    test: list[str]
    interval: str
    timeout: str
    retries: int
    start_period: str
    disable: bool


class DeviceBody(TypedDict):
    """Graphics processors; a count of -1 is all of them."""

    driver: str
    count: int
    capabilities: list[str]


class ResourcesBody(TypedDict, total=False):
    """What a container gets at most, or at least. `cpus` is a text for the Swarm."""

    cpus: str
    memory: str
    pids: int
    devices: list[DeviceBody]


class AllResourcesBody(TypedDict, total=False):
    """`deploy.resources`."""

    limits: ResourcesBody
    reservations: ResourcesBody


class UpdateBody(TypedDict, total=False):
    """How the Swarm replaces containers, and how it takes that back."""

    order: Literal["start-first", "stop-first"]
    parallelism: int
    failure_action: Literal["rollback"]
    monitor: str


class RestartBody(TypedDict):
    """`deploy.restart_policy`."""

    condition: Literal["any"]
    delay: str


class PlacementBody(TypedDict):
    """`deploy.placement`: what hosts a copy may run on."""

    constraints: list[str]


class DeployBody(TypedDict, total=False):
    """`deploy`: all but `resources` is the Swarm's."""

    replicas: int
    placement: PlacementBody
    endpoint_mode: Literal["dnsrr"]
    labels: dict[str, str]
    resources: AllResourcesBody
    update_config: UpdateBody
    rollback_config: UpdateBody
    restart_policy: RestartBody


class MemoryBody(TypedDict):
    """`tmpfs` of a mount; its size is in bytes."""

    size: int


class MountBody(TypedDict):
    """A mount in the long form."""

    type: str
    target: str
    source: NotRequired[str]
    read_only: NotRequired[bool]
    tmpfs: NotRequired[MemoryBody]


class PlaceBody(TypedDict, total=False):
    """What a container has in one of its networks."""

    ipv4_address: str
    aliases: list[str]


class ReachBody(TypedDict, total=False):
    """The networks that a container is in: the host's own, or named ones."""

    network_mode: Literal["host"]
    networks: Mapping[str, PlaceBody]


class PortsBody(TypedDict, total=False):
    """The ports that a container publishes."""

    ports: list[str]


class ConditionBody(TypedDict):
    """How far another service must be before one starts."""

    condition: str


class LoggingBody(TypedDict):
    """Where a container's output goes."""

    driver: str
    options: dict[str, str]


class ContainerBody(TypedDict, total=False):
    """What the catalogue's options of a container are in a file; `ContainerOptions` describes each."""

    command: list[str]
    entrypoint: list[str]
    user: str
    group_add: list[str]
    working_dir: str
    tmpfs: list[str]
    cpus: float
    mem_reservation: str
    pids_limit: int
    shm_size: str
    init: bool
    stop_signal: str
    stop_grace_period: str
    read_only: bool
    cap_add: list[str]
    cap_drop: list[str]
    security_opt: list[str]
    devices: list[str]
    tty: bool
    stdin_open: bool
    sysctls: dict[str, str]
    extra_hosts: list[str]
    dns: list[str]
    hostname: str
    privileged: bool
    pid: str
    ipc: str
    ulimits: dict[str, LimitsBody]
    deploy: DeployBody
    healthcheck: HealthBody


class ServiceBody(ContainerBody, ReachBody, PortsBody):
    """A whole service."""

    labels: dict[str, str]
    logging: LoggingBody
    image: NotRequired[str]
    mem_limit: NotRequired[str]
    container_name: NotRequired[str]
    volumes: NotRequired[list[MountBody]]
    environment: NotRequired[dict[str, str]]
    env_file: NotRequired[list[str]]
    depends_on: NotRequired[dict[str, ConditionBody]]


class NetworkBody(TypedDict, total=False):
    """A network at the top level of a file."""

    external: bool
    internal: bool
    name: str


class VolumeBody(TypedDict):
    """A named volume there."""

    external: bool


class ComposeFile(TypedDict):
    """A whole file, which Compose of either generation takes."""

    services: dict[str, ServiceBody]
    networks: dict[str, NetworkBody]
    volumes: NotRequired[dict[str, VolumeBody]]
