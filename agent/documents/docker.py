"""What Docker answers, as far as the agent reads it."""

from __future__ import annotations

from typing import TypedDict


class _AnyEndpoint(TypedDict):
    IPAddress: str


class Endpoint(_AnyEndpoint, total=False):
    """A container's place in a network."""

    GlobalIPv6Address: str


class NetworkSettings(TypedDict, total=False):
    Networks: dict[str, Endpoint] | None


class _AnyPort(TypedDict):
    PublicPort: int
    Type: str


class Port(_AnyPort, total=False):
    IP: str


class _AnyListedContainer(TypedDict):
    Id: str


class ListedContainer(_AnyListedContainer, total=False):
    """An entry of /containers/json."""

    Names: list[str] | None
    State: str
    Labels: dict[str, str] | None
    NetworkSettings: NetworkSettings | None
    Ports: list[Port] | None


class RestartPolicy(TypedDict, total=False):
    Name: str
    MaximumRetryCount: int


class HostConfig(TypedDict, total=False):
    AutoRemove: bool
    RestartPolicy: RestartPolicy | None


class HealthCheck(TypedDict, total=False):
    ExitCode: int
    Output: str


class Health(TypedDict, total=False):
    Status: str
    Log: list[HealthCheck] | None


class _AnyState(TypedDict):
    Running: bool
    Pid: int


class ContainerState(_AnyState, total=False):
    Status: str
    ExitCode: int
    StartedAt: str
    Health: Health | None


class Mount(TypedDict):
    Type: str
    Name: str


class ContainerNetworks(TypedDict):
    Networks: dict[str, Endpoint]


class _AnyContainer(TypedDict):
    Name: str
    State: ContainerState
    HostConfig: HostConfig
    NetworkSettings: ContainerNetworks


class Container(_AnyContainer, total=False):
    """/containers/ID/json."""

    Mounts: list[Mount] | None


class NetworkPlan(TypedDict, total=False):
    Subnet: str
    Gateway: str


class AddressPlans(TypedDict):
    Config: list[NetworkPlan] | None


class _AnyNetwork(TypedDict):
    Id: str
    Name: str
    IPAM: AddressPlans
    Labels: dict[str, str] | None


class Network(_AnyNetwork, total=False):
    """An entry of /networks."""

    Driver: str
    Internal: bool
    Options: dict[str, str] | None


class Volume(TypedDict):
    Name: str


class Volumes(TypedDict):
    """/volumes."""

    Volumes: list[Volume] | None


class ImageConfig(TypedDict):
    """With the directories that the image declares (VOLUME)."""

    Volumes: dict[str, object] | None


class Image(TypedDict):
    """/images/NAME/json."""

    Config: ImageConfig


class Login(TypedDict):
    """For a registry, as HTTP wants it: `auth` is USER:PASSWORD in base64."""

    auth: str


class ClientConfig(TypedDict, total=False):
    """Docker's own configuration, config.json: logins by their registry, and programs that know others."""

    auths: dict[str, Login]
    credHelpers: dict[str, str]
