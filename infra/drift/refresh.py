"""What a refresh would find: resources that are gone, and inputs of the program that AWS has otherwise. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from catalogue.shapes import ResourceValues, is_list, is_mapping
from infra.drift.finding import Finding, apart
from infra.preview.graph import Step, differences
from infra.pulumi import PreviewStep, ResourceState

# A path of Pulumi's: `rootBlockDevice.volumeSize`, `routes[0].cidrBlock`, `tags["a.b"]`
PART = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]]+)')


@dataclass(frozen=True)
class Words:
    """How a stack speaks of its resources."""

    stack: str
    hosts: Iterable[str]

    @property
    def heal(self) -> str:
        return f"pulumi up --refresh --stack {self.stack}"

    def host(self, name: str) -> str:
        """The host of a resource by its name, `HOST-REGION-instance`; "" where it is of none."""
        return max((host for host in self.hosts if name.startswith(f"{host}-")), key=len, default="")


def findings(steps: Iterable[PreviewStep], words: Words) -> Iterator[Finding]:
    """Of each step that `pulumi refresh --preview-only --json` lists. Its diff is the provider's own, without what the
    program leaves as it is (`ignoreChanges`). Of resources of AWS alone, since commands are not read."""
    for entry in steps:
        step = Step(entry["urn"], "delete" if entry["op"] == "delete" else "update")
        if not step.type.startswith("aws:") or entry["op"] not in ("update", "delete"):
            continue
        old_state: ResourceState = entry.get("oldState") or {}
        new_state: ResourceState = entry.get("newState") or {}
        old, new = old_state.get("outputs") or {}, new_state.get("outputs") or {}
        where = f"{step.kind.name} {step.name} ({old_state.get('id', '')})"
        if entry["op"] == "delete":
            yield Finding(where, "is gone from AWS", step.kind.gone.format(heal=words.heal, stack=words.stack))
            continue
        for path in _paths(entry, old, new):
            verb = step.kind.says.get(path, f"has {path}")
            now, before = apart(_at(new, path), _at(old, path))
            fault = f"{verb} {now}, the last update left {before}"
            key = step.kind.keep.get(path, "").format(host=words.host(step.name))
            if (why := step.kind.stays.get(path)) and _is_more(_at(new, path), _at(old, path)):
                yield Finding(where, fault, f"{why}: set it in {key}")
                continue
            keep = f"; to keep it, set it in {key}" if key else ""
            yield Finding(where, fault, f"{words.heal} puts it back{keep}")


def _is_more(now: Any, before: Any) -> bool:
    numbers = [value for value in (now, before) if isinstance(value, (int, float))]
    return len(numbers) == 2 and numbers[0] > numbers[1]


def _paths(entry: PreviewStep, old: ResourceValues, new: ResourceValues) -> list[str]:
    """As deep as the values differ: some providers name the uppermost key alone."""
    paths = sorted(entry.get("detailedDiff") or entry.get("diffReasons") or ())
    return [deeper for path in paths for deeper in differences(_at(old, path), _at(new, path), path) or [path]]


def _at(outputs: Any, path: str) -> Any:
    for quoted, index, name in PART.findall(path):
        if is_list(outputs):
            outputs = outputs[int(index)] if index and int(index) < len(outputs) else None
        else:
            outputs = outputs.get(quoted or name) if is_mapping(outputs) else None
    return outputs
