"""What becomes of the cloud's resources between two graphs. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from agent.wording import phrase
from catalogue.shapes import ResourceValues, is_mapping
from catalogue.sizes import INSTANCE_TYPES
from infra.preview.documents import ResourceRecord

Op = Literal["create", "update", "replace", "delete"]
# What only this program's own components are, and what only says where to ask
PLUMBING = ("infra:", "pulumi:")


@dataclass(frozen=True)
class Kind:
    """A resource type, as kinds.yaml has it."""

    name: str
    new: tuple[str, ...] = ()
    lost: str = ""
    update: dict[str, str] = field(default_factory=dict[str, str])
    ends: bool = False
    gone: str = "{heal} creates it again"
    says: dict[str, str] = field(default_factory=dict[str, str])
    keep: dict[str, str] = field(default_factory=dict[str, str])
    stays: dict[str, str] = field(default_factory=dict[str, str])
    is_known: bool = True


@dataclass(frozen=True)
class Step:
    """What happens to one resource. `changed` are its inputs that differ, by their path; `because` says why a new one
    has to be made."""

    urn: str
    op: Op
    changed: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    old: ResourceValues | None = None
    new: ResourceValues | None = None

    @property
    def type(self) -> str:
        """Of a command whose component says more of it, by that one too."""
        chain = self.urn.split("::")[2].split("$")
        return "$".join(chain[-2:]) if "$".join(chain[-2:]) in kinds() else chain[-1]

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]

    @property
    def kind(self) -> Kind:
        return kind(self.type)

    @property
    def danger(self) -> str:
        """What is lost, in words; "" where nothing is."""
        return self.kind.lost if self.op in ("replace", "delete") else ""

    @property
    def notes(self) -> list[str]:
        """What a change in place means for who uses it."""
        if self.op != "update":
            return []
        texts = [text for key, text in self.kind.update.items() if any(_covers(key, path) for path in self.changed)]
        return [phrase("the {kind} {change}", kind=phrase(self.kind.name), change=phrase(text)) for text in texts]


@cache
def kinds() -> dict[str, Kind]:
    entries = yaml.safe_load((Path(__file__).parent / "kinds.yaml").read_text(encoding="utf-8"))
    return {type: Kind(e.pop("is"), tuple(e.pop("new", ())), **e) for type, e in entries.items()}


def kind(type: str) -> Kind:
    return kinds().get(type) or Kind(type.rsplit(":", 1)[-1], is_known=False)


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """The paths of all values that differ: `tags.system`, `rootBlockDevice.volumeSize`."""
    if before == after:
        return []
    if is_mapping(before) and is_mapping(after):
        parts = [differences(before.get(key), after.get(key), f"{path}.{key}") for key in sorted({*before, *after})]
        return [entry for part in parts for entry in part]
    return [path.lstrip(".")]


def is_part(path: str, key: str) -> bool:
    """Is a value at `path` what `key` names, or part of it."""
    return path == key or path.startswith(f"{key}.")


def _covers(key: str, path: str) -> bool:
    """Is a value at `path` part of what `key` names, or the other way round."""
    return is_part(path, key) or is_part(key, path)


def steps(before: Iterable[ResourceRecord], after: Iterable[ResourceRecord]) -> list[Step]:
    """Everything that is created, changed, replaced or deleted, what loses most first."""
    old, new = _own(before), _own(after)
    by_urn = {urn: Step(urn, "create", new=resource["inputs"]) for urn, resource in new.items() if urn not in old}
    by_urn |= {urn: Step(urn, "delete", old=resource["inputs"]) for urn, resource in old.items() if urn not in new}
    for urn in sorted(new.keys() & old.keys()):
        if step := _compare_resource(urn, old[urn], new[urn]):
            by_urn[urn] = step
    _follow(by_urn, new)
    return order_steps(by_urn.values())


def order_steps(unsorted: Iterable[Step]) -> list[Step]:
    """What loses most first: the table has kinds in that order."""
    kind_order = list(kinds())

    def place(step: Step) -> tuple[bool, int, int, str, str]:
        rank = kind_order.index(step.type) if step.type in kind_order else len(kind_order)
        return (not step.danger, rank if step.danger else 0, ORDER.index(step.op), step.type, step.urn)

    return sorted(unsorted, key=place)


ORDER: tuple[Op, ...] = ("delete", "replace", "update", "create")


def _own(resources: Iterable[ResourceRecord]) -> dict[str, ResourceRecord]:
    return {
        resource["urn"]: resource
        for resource in resources
        if resource["custom"] and not resource["type"].startswith(PLUMBING)
    }


def _other_processor(old: ResourceValues, new: ResourceValues) -> str:
    """AWS's provider asks for a new machine, which the pinned image of the old processor cannot start."""
    before, after = (INSTANCE_TYPES.get(str(inputs.get("instanceType"))) for inputs in (old, new))
    if before and after and before.architecture != after.architecture:
        return phrase("another processor ({before} → {after})", before=before.architecture, after=after.architecture)
    return ""


CONDITIONS = {"aws:ec2/instance:Instance": _other_processor}


def _compare_resource(urn: str, old: ResourceRecord, new: ResourceRecord) -> Step | None:
    ignored = new["ignores"]
    paths = [
        path for path in differences(old["inputs"], new["inputs"]) if not any(is_part(path, key) for key in ignored)
    ]
    because = [path for path in paths if any(_covers(key, path) for key in kind(new["type"]).new)]
    if old["provider"] != new["provider"]:
        because.append(phrase("provider {name}", name=new["provider"].rsplit("::", 1)[-1]))
    if (condition := CONDITIONS.get(new["type"])) and (reason := condition(old["inputs"], new["inputs"])):
        because.append(reason)
    if not paths and not because:
        return None
    op: Op = "replace" if because else "update"
    return Step(urn, op, tuple(paths), tuple(because), old["inputs"], new["inputs"])


def _follow(steps_by_urn: dict[str, Step], new: dict[str, ResourceRecord]) -> None:
    """What refers to a replaced resource changes with it, or has to be replaced itself."""
    replaced = sorted(urn for urn, step in steps_by_urn.items() if step.op == "replace")
    while replaced:
        replaced_urn = replaced.pop(0)
        if kind(_type(replaced_urn)).ends:
            continue
        for urn, resource in sorted(new.items()):
            step = steps_by_urn.get(urn)
            holds = [key for key, urns in sorted(resource["propertyDependencies"].items()) if replaced_urn in urns]
            holds = [key for key in holds if key not in resource["ignores"]]
            if not holds or (step and step.op == "create"):
                continue
            bound = [key for key in holds if key in kind(resource["type"]).new]
            current = step or Step(urn, "update", old=resource["inputs"], new=resource["inputs"])
            of_it = phrase(kind(_type(replaced_urn)).name)
            because = sorted(
                {*current.because, *(phrase("{key} of the new {kind}", key=key, kind=of_it) for key in bound)}
            )
            changed = sorted({*current.changed, *holds})
            op: Op = "replace" if bound or current.op == "replace" else "update"
            steps_by_urn[urn] = Step(urn, op, tuple(changed), tuple(because), current.old, current.new)
            if op == "replace" and current.op != "replace":
                replaced.append(urn)


def _type(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]
