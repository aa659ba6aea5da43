"""What the Compose Specification says of a container, under its names; how it is published, named, limited in memory
and restarted stands in the service."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from catalogue.compose.values import (
    Capability,
    Command,
    Dependencies,
    Duration,
    Label,
    Limits,
    Mount,
    Resource,
    SystemControl,
    Text,
    Word,
)
from catalogue.fields import AbsolutePath, Address, Model, Name, PathBelow
from catalogue.sizes import Size

_ACCOUNT = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$"
_DEVICE = r"^/dev/[A-Za-z0-9_./-]+(:/dev/[A-Za-z0-9_./-]+(:[rwm]{1,3})?)?$"
_EXTRA_HOST = r"^[A-Za-z0-9][A-Za-z0-9.-]*[:=]([0-9a-fA-F.:]+|host-gateway)$"
_PROFILE = r"^(no-new-privileges(:true)?|(apparmor|seccomp)=[a-z0-9][a-z0-9._-]*)$"


class ContainerFile(Model):
    """A file of `files/static/` (`source`) that a container sees at `path`, and cannot change."""

    path: AbsolutePath
    source: PathBelow
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = "0644"


class ContainerOptions(Model):
    """`files` are Compose's `configs`. The rest has the specification's own names and meanings."""

    command: Command | None = None
    entrypoint: Command | None = None
    user: Annotated[str, Field(pattern=_ACCOUNT)] | None = None
    group_add: list[Annotated[str, Field(pattern=_ACCOUNT)]] = []
    working_dir: AbsolutePath | None = None
    volumes: list[Mount] = []
    tmpfs: list[AbsolutePath] = []
    files: list[ContainerFile] = []
    depends_on: Dependencies = {}
    cpus: Annotated[float, Field(gt=0)] | None = None
    mem_reservation: Size | None = None
    pids_limit: Annotated[int, Field(ge=1)] | None = None
    ulimits: dict[Resource, Limits] = {}
    shm_size: Size | None = None
    init: bool = False
    stop_signal: Annotated[str, Field(pattern=r"^SIG[A-Z0-9+-]+$")] | None = None
    stop_grace_period: Duration | None = None
    read_only: bool = False
    cap_add: list[Capability] = []
    cap_drop: list[Capability] = []
    security_opt: list[Annotated[str, Field(pattern=_PROFILE)]] = []
    devices: list[Annotated[str, Field(pattern=_DEVICE)]] = []
    gpus: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    sysctls: dict[SystemControl, Text] = {}
    extra_hosts: list[Annotated[str, Field(pattern=_EXTRA_HOST)]] = []
    dns: list[Address] = []
    hostname: Name | None = None
    labels: dict[Label, Word] = {}
    aliases: list[Name] = []

    @field_validator("cpus", mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        return float(given) if isinstance(given, int) and not isinstance(given, bool) else given

    @field_validator("security_opt")
    @classmethod
    def _hardening(cls, given: list[str]) -> list[str]:
        if weak := next((item for item in given if item.endswith("=unconfined")), None):
            raise ValueError(f"a profile that confines it: {weak} takes Docker's protection of the host away")
        return given

    @field_validator("cap_add")
    @classmethod
    def _capabilities(cls, given: list[str]) -> list[str]:
        if wide := next((item for item in given if item.removeprefix("CAP_") in HOST_WIDE), None):
            raise ValueError(f"single capabilities that end in the container: with {wide} it could become root here")
        return given

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


# With one of these a process of a container reaches the host's kernel, disks or other processes
HOST_WIDE = {
    "ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE", "SYS_BOOT", "DAC_READ_SEARCH", "MAC_ADMIN",
    "MAC_OVERRIDE", "BPF", "PERFMON",
}  # fmt: skip
