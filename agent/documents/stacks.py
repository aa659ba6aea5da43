"""The files by which a host of a group knows what runs in its Docker Swarm, as types."""

from __future__ import annotations

from typing import TypedDict


class StackFile(TypedDict):
    """`x-infra` of a stack's file: the `service` of the `stack` that is alone in it, its network, how many are to run,
    and how many seconds they may take to be healthy (`limit`)."""

    stack: str
    service: str
    network: str
    subnet: str
    gateway: str
    replicas: int
    limit: int


class EntryFile(TypedDict):
    """The way into a group's network: the container `name` with the proxy's `configuration`, which listens in the
    directory `sockets`."""

    name: str
    network: str
    subnet: str
    gateway: str
    sockets: str
    configuration: str


class GroupFile(TypedDict):
    """The group that a host is in, all its `hosts`, and on the first one the `stacks` that are to run."""

    leader: str
    hosts: list[str]
    stacks: list[str] | None


class Spread(TypedDict):
    """A service that the hosts of a group run together: the `name` that their Docker Swarm has for it, and the `unit`
    that its containers log for, which brings it up to date on the group's first host. There requests come to it through
    unit `entry` ("" where it has no port)."""

    service: str
    unit: str
    name: str
    entry: str
