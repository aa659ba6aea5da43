"""What the Compose Specification says of a container, under its names; how it is published, named, limited in memory
and restarted stands in the service."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from catalogue.compose.values import (
    Dependencies,
    Duration,
    Label,
    Limits,
    Mount,
    Resource,
    SystemControl,
    Text,
    Word,
    Words,
)
from catalogue.fields import AbsolutePath, Address, InsidePath, Model, Name, PathBelow, Permissions, written_as
from catalogue.sizes import Size

_USER = 'a user of the container, or user:group, by name or by number, such as "1000:1000"'
Account = Annotated[str, written_as(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$", _USER)]
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
    str, written_as(r"^(ALL|[A-Z][A-Z_]+)$", "a capability of Linux in capitals, such as NET_ADMIN, or ALL")
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
    """A file of `files/static/` (`source`) that a container sees at `path`, and cannot change."""

    path: InsidePath
    source: PathBelow
    mode: Permissions = "0644"


class ContainerOptions(Model):
    """`files` are Compose's `configs`. The rest has the specification's own names and meanings; what reaches further
    than the container needs a reason under `exceptions` of its service."""

    command: Words | None = None
    entrypoint: Words | None = None
    user: Account | None = None
    group_add: list[Account] = []
    working_dir: AbsolutePath | None = None
    volumes: list[Mount] = []
    tmpfs: list[InsidePath] = []
    files: list[ContainerFile] = []
    depends_on: Dependencies = {}
    cpus: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] | None = None
    mem_reservation: Size | None = None
    pids_limit: Annotated[int, Field(ge=1)] | None = None
    ulimits: dict[Resource, Limits] = {}
    shm_size: Size | None = None
    init: bool = False
    stop_signal: Annotated[str, written_as(r"^SIG[A-Z0-9+-]+$", "the name of a signal, such as SIGINT")] | None = None
    stop_grace_period: Duration | None = None
    read_only: bool = False
    cap_add: list[Capability] = []
    cap_drop: list[Capability] = []
    security_opt: list[Annotated[str, written_as(*_PROFILE)]] = []
    devices: list[Annotated[str, written_as(*_DEVICE)]] = []
    gpus: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    sysctls: dict[SystemControl, Text] = {}
    extra_hosts: list[Annotated[str, written_as(*_EXTRA_HOST)]] = []
    dns: list[Address] = []
    hostname: Name | None = None
    labels: dict[Label, Word] = {}
    aliases: list[Name] = []
    privileged: bool = False
    network_mode: Literal["host"] | None = None
    pid: Literal["host"] | None = None
    ipc: Literal["host"] | None = None

    @field_validator("cpus", mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        return float(given) if isinstance(given, int) and not isinstance(given, bool) else given

    @field_validator("security_opt")
    @classmethod
    def _hardening(cls, given: list[str]) -> list[str]:
        if "apparmor=none" in given:
            raise ValueError("a profile's name, and none is no profile")
        return given

    @field_validator("cap_add", "cap_drop", mode="before")
    @classmethod
    def _one_way(cls, given: Any) -> Any:
        listed = isinstance(given, list) and all(isinstance(item, str) for item in given)
        return [item.removeprefix("CAP_") for item in given] if listed else given

    @property
    def kept(self) -> list[Mount]:
        """Where its data is: what outlives the container, and what it may change."""
        return [mount for mount in self.volumes if mount.keeps]

    @property
    def volume_names(self) -> list[str]:
        return [mount.source for mount in self.volumes if mount.type == "volume" and mount.source]

    @property
    def covered(self) -> list[str]:
        """Paths in the container whose content is not the container's own."""
        return [*(mount.target for mount in self.volumes), *self.tmpfs, *(file.path for file in self.files)]
