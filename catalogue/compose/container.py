"""What the Compose Specification says of a container, under its names; how it is published, named, limited in memory
and restarted stands in the service."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from catalogue.compose.durations import Duration
from catalogue.compose.short_forms import AsHosts, AsText, AsWords, mapping, number, with_memory_mounts
from catalogue.compose.values import (
    Dependencies,
    Label,
    Limits,
    Mount,
    Resource,
    SystemControl,
    Text,
    Word,
    Words,
)
from catalogue.fields import (
    AbsolutePath,
    Address,
    EnvironmentName,
    InsidePath,
    Model,
    Name,
    PathBelow,
    Permissions,
    pattern_text,
)
from catalogue.shapes import is_list
from catalogue.sizes import Size

_USER = 'a user of the container, or user:group, by name or by number, such as "1000:1000"'
Account = Annotated[str, pattern_text(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$", _USER)]
# Cards, cameras, sound, buses: no disk, no memory, no whole directory of devices
PLAIN_DEVICE = re.compile(
    r"/dev/((dri|snd|serial|input|bus/usb|nvidia-caps)(/[A-Za-z0-9_-][A-Za-z0-9_.:-]*){1,3}"
    r"|(video|tty(USB|ACM|AMA|S|THS)|i2c-|spidev|gpiochip|hidraw|nvidia|media|lp|rfcomm)[A-Za-z0-9_-][A-Za-z0-9_.-]*|net/tun|kvm|fuse|kfd)"
)
_DEVICE = (
    r"^/dev(/[A-Za-z0-9_-][A-Za-z0-9_.:-]*?)+(:/dev/[A-Za-z0-9_-][A-Za-z0-9_./-]*(:[rwm]{1,3})?)?$",
    ("a device of the host, such as /dev/dri/card0, or /dev/HOST:/dev/CONTAINER:rwm"),
)
_EXTRA_HOST = (
    r"^[A-Za-z0-9][A-Za-z0-9.-]*[:=]([0-9a-fA-F.:]+|host-gateway)$",
    ("NAME:ADDRESS, such as printer:192.0.2.7, or NAME:host-gateway for the host itself"),
)
_PROFILE = (
    r"^(no-new-privileges(:true)?|apparmor=[A-Za-z0-9][A-Za-z0-9_-]*|seccomp=unconfined)$",
    ("no-new-privileges:true, apparmor=PROFILE or seccomp=unconfined"),
)
Capability = Annotated[
    str, pattern_text(r"^(ALL|[A-Z][A-Z_]+)$", "a capability of Linux in capitals, such as NET_ADMIN, or ALL")
]
# What takes Docker's protection of the host away
UNCONFINED = ("apparmor=unconfined", "seccomp=unconfined")
# What ends in the container, or reaches no further than its network and its own processes
ADDED = {
    "AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL",
    "LEASE", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
    "SYS_CHROOT", "SYS_NICE", "WAKE_ALARM",
}  # fmt: skip


class ContainerFile(Model):
    """A file of `files/static/` that a container reads, as Compose's `configs`."""

    path: InsidePath
    """Where the container sees the file; it cannot change it."""
    source: PathBelow
    """The file below `files/static/`."""
    mode: Permissions = "0644"
    """Its permissions, in quotes."""


class ContainerOptions(Model):
    """What the Compose Specification says of a container, under its names and with its meanings. What reaches further
    than the container needs a reason under `exceptions` of its service."""

    command: Words | None = None
    """The program's arguments, or the program itself. A text is split into words as a shell would, and no shell runs
    it; a `$` means itself."""
    entrypoint: Words | None = None
    """The program, in place of the image's own; written as `command` is."""
    user: AsText[Account] | None = None
    """The account in the container that it runs as: a name or a number, with `:GROUP` or without."""
    group_add: AsWords[Account] = []
    """Further groups, by name or number, of the account that it runs as."""
    working_dir: AbsolutePath | None = None
    """The directory in the container that its program starts in."""
    volumes: list[Mount] = []
    """Where its data is: named volumes, and directories of the host that are its product's. Short: `NAME:PATH` or
    `/PATH/ON/HOST:PATH`, with `:ro` to only read."""
    tmpfs: AsWords[InsidePath] = []
    """Paths in the container that are in memory, which a restart empties; `/tmp:size=64m` for the most that one may
    hold."""
    files: list[ContainerFile] = []
    """Files that a release brings for it. A change of one restarts it."""
    secret_files: dict[InsidePath, EnvironmentName] = {}
    """Secrets that it reads from files, by path in the container (`/run/secrets/db_password`) and the secret's name. A
    file holds the value alone; every account in the container can read it."""
    depends_on: Dependencies = {}
    """Services of the same system that start first: a list of their names, or each name with its condition."""
    cpus: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] | None = None
    """How many processors it may use, such as 0.5."""
    mem_reservation: Size | None = None
    """Memory that Docker tries to leave to it when the host's runs out."""
    pids_limit: Annotated[int, Field(ge=1)] | None = None
    """How many processes and threads it may have."""
    ulimits: dict[Resource, Limits] = {}
    """Limits of its processes, by the resource; one number is both the soft and the hard limit."""
    shm_size: Size | None = None
    """Size of its shared memory (`/dev/shm`)."""
    init: bool = False
    """Whether a small first process passes on signals and collects processes that have ended."""
    tty: bool = False
    """Whether it has a terminal, which some programs ask for."""
    stdin_open: bool = False
    """Whether its standard input stays open."""
    stop_signal: Annotated[str, pattern_text(r"^SIG[A-Z0-9+-]+$", "a signal, such as SIGINT")] | None = None
    """The signal that asks it to stop, such as `SIGINT`; where nothing is written, the image's own."""
    stop_grace_period: Duration | None = None
    """How long it may take to stop before it is killed."""
    read_only: bool = False
    """Whether its own file system cannot be written to."""
    cap_add: list[Capability] = []
    """Linux capabilities that it gets, such as `NET_ADMIN`. Those by which it reaches the host need the exception
    `capabilities`."""
    cap_drop: list[Capability] = []
    """Linux capabilities that it does not get; `ALL` for none at all."""
    security_opt: list[Annotated[str, pattern_text(*_PROFILE)]] = []
    """`no-new-privileges`, or a profile. `seccomp=unconfined` and `apparmor=unconfined` need the exception
    `unconfined`."""
    devices: list[Annotated[str, pattern_text(*_DEVICE)]] = []
    """Devices of the host that it sees, such as `/dev/snd`. Others than cards, cameras, sound and buses need the
    exception `devices`."""
    gpus: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    """How many graphics processors it may use, or `all`."""
    sysctls: Annotated[dict[SystemControl, Text], BeforeValidator(mapping)] = {}
    """Kernel settings of its own namespaces: names that begin with `net.`, `kernel.shm`, `kernel.msg`, `kernel.sem` or
    `fs.mqueue.`."""
    extra_hosts: AsHosts[Annotated[str, pattern_text(*_EXTRA_HOST)]] = []
    """Names with the address that each has in the container, such as `db.local:10.0.0.5`; `host-gateway` is the
    host."""
    dns: AsWords[Address] = []
    """Name servers that it asks, in place of the host's."""
    hostname: Name | None = None
    """The host name that it sees itself as."""
    labels: Annotated[dict[Label, Word], BeforeValidator(mapping)] = {}
    """Labels of the container, by their names."""
    aliases: list[Name] = []
    """Its other names on the system's network."""
    privileged: bool = False
    """Whether it has all rights on the host. It needs the exception `privileged`."""
    network_mode: Literal["host"] | None = None
    """`host`: its program listens on the host itself. It needs the exception `host-network`."""
    pid: Literal["host"] | None = None
    """`host`: it sees the host's processes. It needs the exception `host-processes`."""
    ipc: Literal["host"] | None = None
    """`host`: it shares the host's memory between processes. It needs the exception `host-processes`."""

    @field_validator("cpus", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return number(value)

    @model_validator(mode="before")
    @classmethod
    def _memory_mounts(cls, value: Any) -> Any:
        return with_memory_mounts(value)

    @field_validator("security_opt")
    @classmethod
    def _hardening(cls, options: list[str]) -> list[str]:
        if "apparmor=none" in options:
            raise ValueError("a profile's name; none means no profile")
        return options

    @field_validator("cap_add", "cap_drop", mode="before")
    @classmethod
    def _one_way(cls, value: Any) -> Any:
        is_names = is_list(value) and all(isinstance(item, str) for item in value)
        return [item.removeprefix("CAP_") for item in value] if is_names else value

    @property
    def data_mounts(self) -> list[Mount]:
        """Where its data is: what outlives the container, and what it may change."""
        return [mount for mount in self.volumes if mount.keeps]

    @property
    def volume_names(self) -> list[str]:
        return [mount.source for mount in self.volumes if mount.type == "volume" and mount.source]

    @property
    def covered_paths(self) -> list[str]:
        """Paths in the container whose content is not the container's own."""
        return [
            *(mount.target for mount in self.volumes),
            *self.tmpfs,
            *(file.path for file in self.files),
            *self.secret_files,
        ]
