"""What updates leave in Pulumi's state and a later one reads there, as types.

They say nothing at run time. An update that failed, and an earlier version of this program, left less: `get` asks for
each field.
"""

from collections.abc import Mapping
from typing import Any, TypedDict


class Resource(TypedDict, total=False):
    """A resource of any type; `urn` is its name in an exported state. The classes below describe the outputs
    of some types; those of the stack: catalogue/outputs.py."""

    type: str
    urn: str
    outputs: Any


# URN → what is there
Resources = Mapping[str, Resource]


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


class PendingOperation(TypedDict, total=False):
    """What was under way when an update was killed; `type` is what it was, such as `creating`."""

    type: str
    resource: Resource


class Deployment(TypedDict, total=False):
    pending_operations: list[PendingOperation] | None


class ExportedState(TypedDict, total=False):
    """What `pulumi stack export` prints."""

    deployment: Deployment | None


def outputs_of(resources: Resources, kind: str) -> list[Any]:
    """The outputs of each resource of a type; {} for a resource without outputs."""
    return [resource.get("outputs") or {} for resource in resources.values() if resource.get("type") == kind]
