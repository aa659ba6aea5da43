"""What a hand-made host says of itself, as types: on_host.py writes it, forms.py checks every answer for the same."""

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict


class Account(TypedDict):
    name: str
    uid: int
    home: str
    group: str
    login: bool
    lingering: bool
    groups: list[str]


class Unit(TypedDict):
    """`account` is "" for a unit of the system's own manager; `compose` are the compose files that it runs."""

    path: str
    name: str
    account: str
    text: str
    drop_ins: dict[str, str]
    enabled: bool
    active: bool
    instances: list[str]
    ports: list[int]
    compose: list[str]


class State(TypedDict):
    """What systemd says of a unit."""

    enabled: bool
    active: bool
    cgroup: str


class Container(TypedDict):
    """`ports` are of address, port of the host (0 where Docker chooses it), port of the container, protocol."""

    name: str
    image: str
    digests: list[str]
    running: bool
    memory: int
    limit: int
    networks: dict[str, str]
    ports: list[list[str | int]]
    health: list[str]
    key: str
    files: list[str]
    volumes: NotRequired[dict[str, str]]


class ContainerFacts(Container):
    """A container; `said` is a compose file for one that no file on the host describes."""

    said: NotRequired[str]


class Network(TypedDict):
    name: str
    subnet: str | None
    gateway: str | None


class Rival(TypedDict):
    """A line of a file that would undo or disturb a release."""

    path: str
    line: int
    why: str
    text: str


class Facts(TypedDict):
    """`containers` is None where Docker does not answer; `caddy` is False where Caddy has no configuration.
    `search_ended` is the bound that ended the search for `rivals` ("" for none)."""

    hostname: str
    memory: int
    adopted: bool
    accounts: list[Account]
    units: list[Unit]
    containers: Sequence[Container] | None
    networks: list[Network] | None
    compose: dict[str, str]
    nginx: dict[str, str]
    caddy: State | bool | None
    certificates: dict[str, str]
    journald: dict[str, str]
    unread: NotRequired[dict[str, str]]
    crontabs: NotRequired[dict[str, str]]
    rivals: NotRequired[list[Rival]]
    search_ended: NotRequired[str]


class Entry(TypedDict):
    """What is at a path: `kind` is file, directory, link or none; `names` are of the variables in it, `values` those
    that are no secret by their form, `faults` the sign of a value that an environment file cannot hold."""

    kind: str
    owner: NotRequired[str]
    group: NotRequired[str]
    mode: NotRequired[str]
    target: NotRequired[str]
    text: NotRequired[str | None]
    names: NotRequired[list[str] | None]
    values: NotRequired[dict[str, str]]
    faults: NotRequired[dict[str, str]]


Entries = dict[str, Entry]


class FactsQuestion(TypedDict):
    ask: Literal["facts"]


class PathsQuestion(TypedDict):
    """What there is at paths: of those in `text` what they hold, of those in `names` which variables."""

    ask: Literal["paths"]
    text: list[str]
    names: list[str]
    stat: list[str]


# What on_host.py is asked
Question = FactsQuestion | PathsQuestion


class Event(TypedDict, total=False):
    """A line of its answer: a `step` that begins, or what was asked for."""

    step: str
    facts: Facts
    paths: dict[str, Entry]


class Health(TypedDict, total=False):
    """Times are nanoseconds."""

    Test: list[str]
    Interval: int
    Timeout: int
    StartPeriod: int
    Retries: int


class ImageConfig(TypedDict, total=False):
    """What an image says of its containers."""

    Env: list[str] | None
    Labels: dict[str, str] | None
    Healthcheck: Health | None


class Config(ImageConfig):
    Image: str
    Hostname: NotRequired[str]
    StopTimeout: NotRequired[int | None]


class Binding(TypedDict):
    """`HostPort` is "" where Docker chooses one."""

    HostPort: str
    HostIp: NotRequired[str]


Bindings = dict[str, list[Binding] | None]


class Device(TypedDict):
    PathOnHost: str
    PathInContainer: str
    CgroupPermissions: NotRequired[str]


class Ulimit(TypedDict):
    Name: str
    Soft: int
    Hard: int


class HostConfig(TypedDict, total=False):
    Memory: int | None
    NanoCpus: int | None
    ShmSize: int | None
    Runtime: str | None
    PortBindings: Bindings | None
    Tmpfs: dict[str, str] | None
    Devices: list[Device] | None
    Ulimits: list[Ulimit] | None


class Mount(TypedDict):
    Type: str
    Destination: str
    Name: NotRequired[str]
    Source: NotRequired[str]
    RW: NotRequired[bool]


class ContainerState(TypedDict):
    Running: bool
    Pid: NotRequired[int]


class Attachment(TypedDict, total=False):
    IPAddress: str


class NetworkSettings(TypedDict):
    Networks: dict[str, Attachment] | None


class ContainerInspection(TypedDict):
    """A container as `docker container inspect` has it: the parts that are read here."""

    Id: str
    Name: str
    Image: str
    Config: Config
    HostConfig: HostConfig
    State: ContainerState
    NetworkSettings: NetworkSettings
    Mounts: NotRequired[list[Mount] | None]


class Subnet(TypedDict, total=False):
    Subnet: str
    Gateway: str


class Ipam(TypedDict):
    Config: NotRequired[list[Subnet] | None]


class InspectedNetwork(TypedDict):
    Name: str
    IPAM: Ipam
