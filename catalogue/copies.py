"""What differs in a copy of a service or of a system, by its fields: pydantic's `model_copy` checks no name. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Literal, TypedDict

from catalogue.compose.values import Dependency, Mount
from catalogue.models import Account, ContainerNetwork, Directory, DropIn, Milestone
from catalogue.service import RetiredService, Route, Service
from catalogue.sites import Site


class PortCopy(TypedDict, total=False):
    """The ports of a container's copy."""

    port: int
    container_port: int | None
    port_exception: str
    spare_port: int | None
    replica_ports: list[int]


class ServiceCopy(PortCopy, total=False):
    """Of a service's copy; what a container alone has among it."""

    name: str
    purpose: str
    purpose_ja: str | None
    routes: list[Route]
    unit: str
    container: str
    directory: str
    aliases: list[str]
    address: IPv4Address | None
    spare_address: IPv4Address | None
    rollout: Literal["recreate", "blue-green"]
    volumes: list[Mount]
    depends_on: dict[str, Dependency]
    extra_hosts: list[str]


class SystemCopy(TypedDict, total=False):
    """Of a system's copy."""

    system: str
    sites: list[Site]
    services: Sequence[Service | RetiredService]
    network: ContainerNetwork | None
    data: list[str]
    directories: list[Directory]
    accounts: list[Account]
    packages: list[str]
    enables: list[str]
    drop_ins: list[DropIn]
    milestones: list[Milestone]
    monitor_names: list[str]
