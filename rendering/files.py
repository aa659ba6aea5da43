"""The parts of a release (files, units, containers, certificates …) as plain values."""

import hashlib
from dataclasses import dataclass, field

from agent.documents.manifest import Alert, Directory, Metrics
from agent.documents.stacks import Spread
from rendering.links import Artefact, Environment


def own_group(owner: str) -> str:
    """No name stands for an account's primary group, whatever its name is; a container's number is its group's too."""
    return owner if owner == "root" or owner.isdigit() else ""


@dataclass(frozen=True)
class File:
    """A file of a host. `mode` is the octal permission, `owner` and `group` are names on the host."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class EnvironmentFile:
    """An environment file. Its secrets are only named here: `SERVICE/NAME`, in `secrets` under their variable.
    `versions` differ with a secret's values without showing them; `head` is the first line, `between` is between a
    name and its value: other than =, a list of users and passwords; a line's end, one text; nothing, a secret."""

    path: str
    values: dict[str, str]
    secrets: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict[str, str])
    head: str = ""
    between: str = "="
    mode: int = 0o600
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Unit:
    """A systemd unit to enable and keep running. A change of one of `files` or `images` restarts it. A unit of an
    account's own manager is named ACCOUNT/UNIT. With a `flag`, a path, it runs only while that is there; with a `bar`,
    only while that is not."""

    name: str
    files: list[str]
    images: list[str] = field(default_factory=list[str])
    flag: str = ""
    bar: str = ""


@dataclass(frozen=True)
class Choice:
    """One of a service's two slots: its unit and port, where its health is asked, and what the slot's link
    points to while the proxy uses it. Requests under way have `drain` seconds to end."""

    unit: str
    port: int
    url: str
    target: str
    drain: int


@dataclass(frozen=True)
class Slots:
    """A service that is rolled out without a gap: `link` names the slot that the proxy uses."""

    service: str
    link: str
    choices: list[Choice]


@dataclass(frozen=True)
class Member:
    """One replica of a service: its unit and port, and the link that has the proxy lead to it. Requests under way have
    `drain` seconds to end."""

    unit: str
    port: int
    link: str
    target: str
    drain: int


@dataclass(frozen=True)
class Replicas:
    """A service of which several run, between which the proxy chooses; `awaited` are the units that start only once it
    is healthy."""

    service: str
    members: list[Member]
    awaited: list[str]


@dataclass(frozen=True)
class RequestHold:
    """A service before which requests wait while its unit restarts: the proxy's `link` leads to `target`, or to
    `waiting`, where systemd's `socket` has them for `limit` seconds at most. Those under way get `drain` seconds."""

    service: str
    unit: str
    port: int
    link: str
    target: str
    waiting: str
    socket: str
    limit: int
    drain: int


@dataclass(frozen=True)
class Port:
    """A port of the host that a service's unit listens on, by its container where it is one."""

    port: int
    service: str
    unit: str
    container: str = ""


@dataclass(frozen=True)
class PublishedPorts:
    """Ports of the host, `first` to `last`, at which the world reaches a service's container past the proxy."""

    first: int
    last: int
    protocol: str
    service: str
    unit: str
    container: str


@dataclass(frozen=True)
class Health:
    """Each service that a release (re)starts answers `successes` times in a row within `deadline` seconds."""

    successes: int = 3
    deadline: int = 180


@dataclass(frozen=True)
class Probe:
    """How a service is healthy: its own `url` and the proxy's `public` answer 200; without a port, its unit runs."""

    service: str
    unit: str
    url: str | None
    public: str | None


@dataclass(frozen=True)
class Certificate:
    """A certificate for `domain` (its name, where that is "") by the ACME directory `server`, there before the switch.
    `group` may read its key; `provider` keeps the record by which DNS proves it, `zone` what that is delegated to."""

    name: str
    challenge: str
    server: str
    email: str
    group: str = "root"
    provider: str = "route53"
    zone: str = ""
    domain: str = ""


@dataclass(frozen=True)
class OwnCertificate:
    """A certificate that no authority is asked for, of a public name, by its files."""

    name: str
    chain: str
    key: str


@dataclass(frozen=True)
class Account:
    """An account that must exist. An existing one is unchanged except for lingering and its groups."""

    name: str
    home: str
    login: bool
    lingering: bool
    groups: list[str]


@dataclass(frozen=True)
class Requirement:
    """A path without which the release is refused; `reason` says who needs it."""

    path: str
    reason: str


@dataclass(frozen=True)
class Milestone:
    """The time, in seconds since the host's boot, by which a unit has to be running."""

    name: str
    unit: str
    within: int


@dataclass(frozen=True)
class Reaction:
    """Runs `run` when one of `paths` changed. A directory in `paths` (ending in `/`) includes all below it."""

    paths: list[str]
    run: list[str]


@dataclass(frozen=True)
class Link:
    """A symbolic link at `path`."""

    path: str
    target: str


@dataclass(frozen=True)
class Network:
    """A network of containers, which its unit makes."""

    name: str
    subnet: str
    gateway: str
    unit: str


@dataclass(frozen=True)
class Container:
    """A container as it is to be while its unit runs; `limit` is its memory in bytes, `project` its compose project,
    `covered` the paths in it whose content is not the container's own. Of these `kept` are those that outlive it, each
    with its volume or path of the host; `named` is its image as the catalogue has it, `user` who runs it."""

    name: str
    service: str
    unit: str
    network: str
    address: str
    aliases: list[str]
    limit: int
    project: str
    image: str
    covered: list[str]
    kept: dict[str, str]
    named: str
    user: str


@dataclass(frozen=True)
class Step:
    """A command that a release runs to its end before it (re)starts the service, in a container of its own by the
    compose file `document`. Once it ended with 0 it is `key` that is not run again. It `needs` these services to be
    healthy, and the network of `network_unit`. `files` of the release are put below `place` before, `volumes` are
    created where they are missing, `binds` are paths of the host that it sees. `limit` is in seconds."""

    service: str
    name: str
    said: str
    container: str
    project: str
    needs: list[str]
    network_unit: str
    document: str
    place: str
    files: list[str]
    volumes: list[str]
    binds: list[str]
    limit: float
    key: str


@dataclass(frozen=True)
class Backup:
    """What is backed up of a service: the output of `dump` in its `container`, which `load` reads into an empty one, or
    the `paths` of the host. A restore stops its `units` and its `dependents`, and creates missing `volumes`. `keep` are
    the numbers of daily, weekly and monthly ones, `max_age` hours without a good one until the monitor alerts. `drill`
    is a compose file that runs the service on scratch volumes, `scratch` which path lies in which of them, `health` how
    its container is asked ("" where it says nothing alone)."""

    service: str
    units: list[str]
    container: str
    dump: list[str]
    load: list[str]
    paths: list[str]
    volumes: list[str]
    dependents: list[str]
    keep: dict[str, int]
    max_age: int
    drill: str = ""
    scratch: dict[str, str] = field(default_factory=dict[str, str])
    health: str = ""


@dataclass(frozen=True)
class HostFiles:
    """The desired state of one host. `memory` is the sum of limits in bytes, `logins` registries whose login a timer
    renews, `names` the proxy's public names, `kind` is who made the host (ec2, ssh), `mounts` what must be mounted."""

    host: str
    files: list[File] = field(default_factory=list[File])
    links: list[Link] = field(default_factory=list[Link])
    environment_files: list[EnvironmentFile] = field(default_factory=list[EnvironmentFile])
    directories: list[Directory] = field(default_factory=list[Directory])
    units: list[Unit] = field(default_factory=list[Unit])
    probes: list[Probe] = field(default_factory=list[Probe])
    certificates: list[Certificate] = field(default_factory=list[Certificate])
    own_certificates: list[OwnCertificate] = field(default_factory=list[OwnCertificate])
    trusted_roots: list[str] = field(default_factory=list[str])
    reactions: list[Reaction] = field(default_factory=list[Reaction])
    commands: list[str] = field(default_factory=list[str])
    logins: list[str] = field(default_factory=list[str])
    slots: list[Slots] = field(default_factory=list[Slots])
    replicas: list[Replicas] = field(default_factory=list[Replicas])
    held: list[RequestHold] = field(default_factory=list[RequestHold])
    ports: list[Port] = field(default_factory=list[Port])
    published: list[PublishedPorts] = field(default_factory=list[PublishedPorts])
    accounts: list[Account] = field(default_factory=list[Account])
    requirements: list[Requirement] = field(default_factory=list[Requirement])
    milestones: list[Milestone] = field(default_factory=list[Milestone])
    names: list[str] = field(default_factory=list[str])
    alerts: list[Alert] = field(default_factory=list[Alert])
    metrics: Metrics = field(default_factory=Metrics)
    language: str = "en"
    timezone: str = "UTC"
    mounts: list[str] = field(default_factory=list[str])
    private: list[str] = field(default_factory=list[str])
    group_networks: list[str] = field(default_factory=list[str])
    spread: list[Spread] = field(default_factory=list[Spread])
    networks: list[Network] = field(default_factory=list[Network])
    containers: list[Container] = field(default_factory=list[Container])
    steps: list[Step] = field(default_factory=list[Step])
    backups: list[Backup] = field(default_factory=list[Backup])
    artefacts: list[Artefact] = field(default_factory=list[Artefact])
    environments: list[Environment] = field(default_factory=list[Environment])
    kind: str = "ec2"
    region: str = ""
    memory: int = 0
    health: Health = Health()
    keep: int = 5
