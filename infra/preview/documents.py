"""What a preview knows of a stack and of its hosts, as types. They say nothing at run time: snapshot.py makes them, and
live.py of what a host answers."""

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from agent.documents.manifest import Manifest
from catalogue.deployed_images import Deployed
from catalogue.shapes import JsonObject, ResourceValues

if TYPE_CHECKING:
    from infra.ssh import Target

Configuration = JsonObject  # a stack's, as the commit's own catalogue/stack.py has it
Machines = dict[str, list[Any]]  # host → instance type, GiB of its disk, and of its disk for data


class _AnyHost(TypedDict):
    manifest: Manifest
    files: dict[str, str]
    addresses: dict[str, str]
    spec: JsonObject
    room: int | None


class Host(_AnyHost, total=False):
    """What a host has or gets: `spec` is its entry in infra:hosts, `exceptions` are those of the policy; a live one
    says what has `drifted`."""

    exceptions: dict[str, dict[str, str]]
    drifted: list[str]


class ResourceRecord(TypedDict):
    """A resource that a program asks for, as Pulumi's engine gets it; `provider` is the URN of its provider."""

    urn: str
    type: str
    name: str
    custom: bool
    parent: str
    inputs: ResourceValues
    dependencies: list[str]
    propertyDependencies: dict[str, list[str]]
    ignores: list[str]
    provider: str


class Program(TypedDict):
    """What a program asks for, in its order; `outputs` are those of components and of the stack, by their URN."""

    resources: list[ResourceRecord]
    outputs: dict[str, ResourceValues]


class StateEntry(TypedDict):
    """A resource in the state that an update left."""

    type: str
    outputs: ResourceValues


class ProblemRecord(TypedDict):
    """A problem of the catalogue (`catalogue.problems.Problem`); an earlier commit's may lack `unset`."""

    file: str
    where: str
    found: str
    allowed: str
    level: str
    unset: NotRequired[str]


class Placement(TypedDict):
    """Where a stack's machines and systems are, as its outputs have it."""

    region: str
    standby: list[str]
    systems: dict[str, list[str]]
    generations: dict[str, int]
    kept: dict[str, list[int]]


class Failure(TypedDict):
    """A stack that no snapshot could be taken of, and why (`error`)."""

    stack: str
    problems: list[ProblemRecord]
    error: str


class Snapshot(Failure, Program):
    """One commit's stack: `code` is a hash of all that runs in an update. `error` is "" in one that is complete;
    `images` are REPOSITORY:TAG → digest, where a registry was asked, `groups` the memory of groups' hosts for spread
    services (`catalogue.outputs`)."""

    code: str
    region: str
    standby: list[str]
    configuration: Configuration
    machines: Machines
    hosts: dict[str, Host]
    images: NotRequired[dict[str, str]]
    groups: NotRequired[dict[str, dict[str, float]]]


class Present(TypedDict):
    """What an update starts from: `systems` are host → its systems, `machines` None where their prices are not known,
    `deployed` the images of services that were deployed alone (`catalogue.deployed_images`), `addresses` the private
    ones of hosts, `groups` as in a snapshot, `bare` how hosts without a release are reached."""

    region: str
    standby: list[str]
    problems: list[ProblemRecord]
    hosts: dict[str, Host]
    systems: dict[str, list[str]]
    machines: Machines | None
    deployed: Deployed
    addresses: NotRequired[dict[str, str]]
    groups: NotRequired[dict[str, dict[str, float]]]
    bare: NotRequired[dict[str, "Target"]]


class Pair(TypedDict):
    """Both commits of a stack; one that is held against what is deployed now has no base."""

    base: NotRequired[Snapshot]
    head: Snapshot
