"""Pulumi's state, as `pulumi stack export` writes it: interrupted creations, and what becomes of them. Pure."""

import copy
from dataclasses import dataclass
from typing import TypedDict, cast

from catalogue.shapes import ResourceValues

PROVIDER = "pulumi:providers:aws"
STACK = "pulumi:pulumi:Stack"
ORPHAN = "orphan-"


class _AnyResource(TypedDict):
    urn: str
    type: str


class StateResource(_AnyResource, total=False):
    """A resource of the state; one with `delete` waits to be deleted."""

    id: str
    custom: bool
    delete: bool
    inputs: ResourceValues
    outputs: ResourceValues
    parent: str
    provider: str
    dependencies: list[str]
    propertyDependencies: dict[str, list[str]]


class AwsResource(_AnyResource):
    """One that is in AWS: it has an id there, and was made with inputs."""

    id: str
    inputs: ResourceValues
    outputs: ResourceValues
    provider: str


class Operation(TypedDict):
    """One that was under way when an update was killed; `type` is what it was, such as `creating`."""

    type: str
    resource: StateResource


class Deployment(TypedDict, total=False):
    resources: list[StateResource] | None
    pending_operations: list[Operation] | None


class State(TypedDict):
    deployment: Deployment


@dataclass(frozen=True)
class Creation:
    """One that was under way when its update was killed. `inputs` are what it was asked with, names that Pulumi gave
    included; `region` is its provider's."""

    urn: str
    type: str
    inputs: ResourceValues
    provider: str
    region: str

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]


@dataclass(frozen=True)
class Orphan:
    """A resource that is in AWS and not in the state. `creation` is the interrupted one that made it; None where no
    update knows of it. `is_wanted`: the program asks for it, and nothing else has its place in the state."""

    type: str
    id: str
    region: str
    provider: str
    creation: Creation | None
    is_wanted: bool

    @property
    def kind(self) -> str:
        return self.type.rsplit(":", 1)[-1]

    @property
    def place(self) -> str:
        """What it is called where its id alone is not enough: in two regions there can be one of an id."""
        return f"{self.region}/{self.id}" if self.region else self.id

    @property
    def origin(self) -> str:
        if self.creation is None:
            return "has this stack's tags; no update knows of it"
        return f"made by an update that was killed while creating {self.creation.name}"


def name(entry: StateResource | AwsResource) -> str:
    """What a resource is called in its stack."""
    return entry["urn"].rsplit("::", 1)[-1]


def of_aws(state: State) -> list[AwsResource]:
    """The resources that are in AWS, without those that wait to be deleted."""
    resources = (entry for entry in resources_of(state) if entry.get("type", "").startswith("aws:"))
    return [cast(AwsResource, entry) for entry in resources if entry.get("id") and not entry.get("delete")]


def resources_of(state: State) -> list[StateResource]:
    return (state.get("deployment") or Deployment()).get("resources") or []


def _operations(state: State) -> list[Operation]:
    return (state.get("deployment") or Deployment()).get("pending_operations") or []


def providers(state: State) -> dict[str, str]:
    """Each AWS provider, as resources refer to it → its region."""
    return {
        f"{entry['urn']}::{entry.get('id', '')}": entry.get("inputs", {}).get("region", "")
        for entry in resources_of(state)
        if entry.get("type") == PROVIDER
    }


def interrupted_creations(state: State) -> list[Creation]:
    """Each resource once, whichever number of updates was killed while creating it."""
    regions = providers(state)
    resources = [entry["resource"] for entry in _operations(state) if entry.get("type") == "creating"]
    creations = {
        entry["urn"]: Creation(
            entry["urn"],
            entry["type"],
            entry.get("inputs") or {},
            entry.get("provider", ""),
            regions.get(entry.get("provider", ""), ""),
        )
        for entry in resources
    }
    return list(creations.values())


# What belongs to no region, whichever region's provider made it
GLOBAL = ("aws:iam/", "aws:route53/", "aws:budgets/")


def ids(state: State, type: str, region: str) -> set[str]:
    """What the state knows of a type in a region: two regions can have the same name."""
    regions = providers(state)
    is_global = type.startswith(GLOBAL)
    return {
        id
        for entry in resources_of(state)
        if entry.get("type") == type and (id := entry.get("id"))
        if is_global or regions.get(entry.get("provider", ""), "") == region
    }


def id_of(state: State, urn: str) -> str:
    """The id of a resource that is not only waiting to be deleted; "" where the state has none of this name."""
    return next((e.get("id", "") for e in resources_of(state) if e["urn"] == urn and not e.get("delete")), "")


def is_known(state: State, urn: str) -> bool:
    return any(entry["urn"] == urn and not entry.get("delete") for entry in resources_of(state))


def adopt_resource(state: State, creation: Creation, id: str) -> State:
    """With what AWS made of an interrupted creation. The creation stays until it is settled."""
    updated = copy.deepcopy(state)
    operation = next(o["resource"] for o in reversed(_operations(updated)) if o["resource"]["urn"] == creation.urn)
    entry: StateResource = {**operation, "custom": True, "id": id, "outputs": {**creation.inputs, "id": id}}
    updated["deployment"]["resources"] = [*resources_of(updated), entry]
    return updated


def add_unwanted(state: State, orphan: Orphan) -> tuple[State, str]:
    """With a resource that the program does not ask for, so that the next update deletes it; and its URN. Several are
    deleted in the reverse order."""
    updated = copy.deepcopy(state)
    stack = next(entry["urn"] for entry in resources_of(updated) if entry["type"] == STACK)
    prefix = stack.rsplit("::", 2)[0]
    urn = f"{prefix}::{orphan.type}::{ORPHAN}{orphan.id}"
    if any(entry["urn"] == urn and entry.get("provider") != orphan.provider for entry in resources_of(updated)):
        # Another region's of the same id
        urn = f"{prefix}::{orphan.type}::{ORPHAN}{orphan.region}-{orphan.id}"
    if is_known(updated, urn):
        return updated, urn
    before = [entry["urn"] for entry in resources_of(updated) if name(entry).startswith(ORPHAN)]
    inputs = orphan.creation.inputs if orphan.creation else {}
    entry: StateResource = {
        "urn": urn, "type": orphan.type, "custom": True, "id": orphan.id, "inputs": inputs,
        "outputs": {**inputs, "id": orphan.id}, "parent": stack, "provider": orphan.provider, "dependencies": before,
    }  # fmt: skip
    updated["deployment"]["resources"] = [*resources_of(updated), entry]
    return updated, urn


def unread_urns(state: State) -> list[str]:
    """What was adopted and may not have been read from AWS yet: where a creation is still interrupted, or
    the program never asked for it."""
    waiting = {creation.urn for creation in interrupted_creations(state)}
    return [
        entry["urn"]
        for entry in resources_of(state)
        if entry.get("custom") and (entry["urn"] in waiting or name(entry).startswith(ORPHAN))
    ]


def drop_creations(state: State, urns: set[str]) -> State:
    """Without these interrupted creations."""
    updated = copy.deepcopy(state)
    operations = [o for o in _operations(updated) if o.get("type") != "creating" or o["resource"]["urn"] not in urns]
    updated["deployment"]["pending_operations"] = operations
    return updated
