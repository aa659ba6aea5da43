"""The kinds of hosts, and what a stack's configuration says of each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from pydantic import Discriminator, Field, Tag

from catalogue.elsewhere import MachineAddress
from catalogue.fields import Address, Model, Name, PublicKey
from catalogue.instances import Instance
from catalogue.machines import FIRST
from catalogue.proxies import NAMES, USUAL
from catalogue.shapes import is_mapping
from catalogue.sizes import INSTANCE_TYPES, MiB, Size, to_bytes


def _form_of(value: Any) -> str:
    return "<instance>" if isinstance(value, dict | Instance) else "<name>"


if TYPE_CHECKING:
    ProxyName = str
else:
    ProxyName = Literal[NAMES]
Generation = Annotated[int, Field(ge=1, le=9999, strict=False)]
AnySystem = Annotated[
    Annotated[Name, Tag("<name>")] | Annotated[Instance, Tag("<instance>")],
    Discriminator(_form_of),
]


class Host(Model):
    """What a host of every kind has."""

    systems: list[AnySystem]
    """The systems that it runs, by the names of their files, or as instances of them."""
    reserve: Size = "1g"
    """Memory kept free of services: for the system itself, Docker, the proxy and the services' units."""
    proxy: ProxyName = USUAL
    """The proxy that serves the sites of all its systems."""
    ipv6: bool = True
    """`false` on a machine whose kernel has no IPv6."""
    group: Name | None = None
    """The host whose spread services this one runs too, in one Docker Swarm with it (docs/groups.md)."""

    @property
    def runs(self) -> list[str]:
        """The systems by the names that they have here."""
        return [entry.own_name if isinstance(entry, Instance) else entry for entry in self.systems]

    @property
    def instances(self) -> list[Instance]:
        return [entry for entry in self.systems if isinstance(entry, Instance)]


class KeptMachine(Model):
    """A machine that served before the host's own one, and stays."""

    generation: Generation
    """Which machine of the host's name it is."""
    instanceType: str
    """Its EC2 instance type."""


class DataDisk(Model):
    """A disk of a host that holds what no release brings, and outlives the machine."""

    size: Annotated[int, Field(ge=1, le=16384, strict=False)]
    """Its size in GiB. It grows while it is in use, and never shrinks."""


class Ec2Host(Host):
    """A host that the program creates."""

    kind: Literal["ec2"] = "ec2"
    """A host that the program creates."""
    generation: Generation = FIRST
    """Which machine of this name serves. Another number is another machine, made beside the one that serves, which then
    takes over from it."""
    kept: list[KeptMachine] = []
    """Earlier machines of this name that stay."""
    count: Annotated[int, Field(ge=1, le=20, strict=False)] = 1
    """How many machines run its spread services: itself and further ones, `NAME-2`, `NAME-3` and so on, which are its
    group."""
    instanceType: str = "t4g.large"
    """The EC2 instance type."""
    volume: Annotated[int, Field(ge=8, le=16384, strict=False)] = 30
    """Size of the root disk in GiB."""
    dataDisk: DataDisk | None = None
    """A further disk, mounted at `/srv`, for what no release brings: it stays where the machine is replaced."""
    swap: Size = "2g"
    """Size of the swap file."""

    @property
    def disks(self) -> list[int]:
        """GiB of each of its disks, the root disk first."""
        return [self.volume, *([self.dataDisk.size] if self.dataDisk else [])]

    @property
    def kept_types(self) -> dict[int, str]:
        """Generation → instance type, of the machines that are kept."""
        return {machine.generation: machine.instanceType for machine in self.kept}

    @property
    def memory_mib(self) -> int | None:
        """The machine's memory; None for an instance type that is not known."""
        instance_type = INSTANCE_TYPES.get(self.instanceType)
        return instance_type.memory if instance_type else None

    @property
    def machine(self) -> str:
        return self.instanceType

    @property
    def burstable(self) -> bool:
        """Does AWS count its processor time in credits, as it does for its T families."""
        return self.instanceType[1:2].isdigit() and self.instanceType.startswith("t")


class HostCopy(TypedDict, total=False):
    """What differs in a copy of an EC2 host, by the names of its fields."""

    systems: list[AnySystem]
    group: str | None
    count: int
    generation: int
    kept: list[KeptMachine]
    instanceType: str
    dataDisk: DataDisk | None


class SshHost(Host):
    """A machine that is there already."""

    kind: Literal["ssh"]
    """A machine that is there already."""
    address: MachineAddress
    """Where SSH and the world reach it."""
    port: Annotated[int, Field(ge=1, le=65535, strict=False)] = 22
    """The port of its SSH."""
    user: Name = "root"
    """The account that releases are sent as. It may use sudo without a password, and takes `infra:sshPublicKey`."""
    hostKey: PublicKey
    """The public key that the machine must identify itself with."""
    memory: Size
    """How much memory the machine has."""
    privateAddress: Address | None = None
    """Its address in a private network that connects it with other hosts of the stack; needed where services of a
    system run on one of them and the rest on another."""
    registryLogin: Literal["helper", "timer"] = "helper"
    """How it logs in to ECR: `helper` is ECR's credential helper; `timer` renews a login by a timer, where the helper
    is not packaged."""

    @property
    def memory_mib(self) -> int | None:
        return to_bytes(self.memory) // MiB

    @property
    def machine(self) -> str:
        return "this machine"


def _host_kind(value: Any) -> str:
    return value.get("kind", "ec2") if is_mapping(value) else getattr(value, "kind", "ec2")


AnyHost = Annotated[
    Annotated[Ec2Host, Tag("ec2")] | Annotated[SshHost, Tag("ssh")],
    Discriminator(_host_kind),
]
HOST_KINDS: dict[str, type[Host]] = {"ec2": Ec2Host, "ssh": SshHost}


def with_members(hosts: Mapping[str, AnyHost]) -> dict[str, AnyHost]:
    """The hosts with those that `count` adds, each after the host that it belongs to; the result stays as it is. Raises
    ValueError where another one of that name is written."""
    whole: dict[str, AnyHost] = {}
    for name, host in hosts.items():
        whole[name] = host
        for number in range(2, (host.count if isinstance(host, Ec2Host) else 1) + 1):
            member = f"{name}-{number}"
            changes = HostCopy(systems=[], group=name, count=1, generation=FIRST, kept=[], dataDisk=None)
            whole[member] = host.model_copy(update=changes)
            if hosts.get(member, whole[member]) != whole[member]:
                raise ValueError(f"{member} is written, and count of {name} makes it too: rename it, or lower count")
    return whole
