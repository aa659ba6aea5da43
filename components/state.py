"""What updates leave in Pulumi's state and a later one reads there, as types.

They say nothing at run time. An update that failed, and an earlier version of this program, left less: `get` asks for
each field.
"""

from collections.abc import Mapping
from typing import Any, TypedDict


class Resource(TypedDict, total=False):
    """A resource of any type; the classes below describe the outputs of some types."""

    type: str
    outputs: Any


# URN → what is there
Resources = Mapping[str, Resource]


class LastMove(TypedDict, total=False):
    """The outputs of `Move` (components/move.py)."""

    at: str
    source: str
    leaving: dict[str, dict[str, str]]
    ttl: int
    data: list[str]
    homes: dict[str, str]
    systems: dict[str, list[str]]


class StackOutputs(TypedDict, total=False):
    """What the program puts out; numbers come as Pulumi writes them. `systems`, `generations` and `kept` are by
    host."""

    region: str
    standby: list[str]
    systems: dict[str, list[str]]
    generations: dict[str, float]
    kept: dict[str, list[float]]
    move: LastMove
    deployed: dict[str, dict[str, dict[str, str]]]


class _AnyHost(TypedDict):
    host: str


class HostOutputs(_AnyHost, total=False):
    region: str
    address: str
    generation: float


class GateOutputs(TypedDict, total=False):
    """A gate that was passed; `machines` is host → place, `systems` system → the host that takes it."""

    region: str
    at: str
    ttl: float
    machines: dict[str, str]
    systems: dict[str, str]


class RecordOutputs(TypedDict, total=False):
    """A public name's addresses, at any provider."""

    records: list[str]
    ttl: float


class MachineOutputs(TypedDict, total=False):
    arn: str
    tags: dict[str, str]


class VolumeOutputs(TypedDict, total=False):
    """`size` is in GiB."""

    arn: str
    size: float
    availabilityZone: str


class ReleaseOutputs(TypedDict, total=False):
    """`settles` is the interrupted job that it settled."""

    id: str
    files: dict[str, str]
    settles: str


class CommandOutputs(TypedDict, total=False):
    stdout: str


def outputs_of(resources: Resources, kind: str) -> list[Any]:
    """The outputs of each resource of a type; {} for a resource without outputs."""
    return [resource.get("outputs") or {} for resource in resources.values() if resource.get("type") == kind]
