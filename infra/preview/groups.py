"""What becomes of the spread services of groups of hosts between two releases: how many of each run on which hosts, and
the memory for them. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agent.documents.manifest import Manifest
from agent.documents.stacks import GroupFile
from agent.wording import phrase
from catalogue.groups import STACK_FILE, SpreadMemory
from catalogue.sizes import MiB, to_bytes
from infra.preview.data import short_image
from infra.preview.documents import Host
from infra.preview.effects import OF_SPREAD
from infra.preview.files import KINDS
from infra.preview.hosts import HostChange, Room
from rendering.groups import EXCEPT, GROUP_FILE

# Leader → host → bytes of memory that it has for spread services, as the stack's outputs have it
FreeMemory = dict[str, dict[str, float]]
# What the Swarm changes of a service without replacing what runs of it
NOT_REPLACING = ("replicas", "placement", "labels", "update_config", "rollback_config")
# How many of a service there can be, as catalogue/services.py has it
COUNTS = range(101)
# What a host says of itself may be anything
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Copies:
    """How a service runs: `spread` are so many copies on any of these hosts of the group, `container` is that of its
    first host; of what is `unknown` the file on the host cannot be read."""

    how: Literal["spread", "container", "none", "unknown"]
    count: int = 0
    hosts: list[str] = field(default_factory=list[str])
    image: str = ""


@dataclass(frozen=True)
class SpreadChange:
    """One spread service: `becomes` are the lines that say what happens to its copies, `effect` is a key of GAPS for
    the unit that brings it up to date, "" where that does what any unit does."""

    service: str
    before: Copies
    after: Copies
    becomes: list[str]
    effect: str


@dataclass(frozen=True)
class GroupChange:
    """One group of hosts, before and after: `memory` is what its spread services need, with the copy that starts before
    another one ends, of what its hosts have for them; `reduced` the same while its largest host is down."""

    leader: str
    hosts: tuple[list[str], list[str]]
    services: list[SpreadChange]
    memory: tuple[Room | None, Room | None]
    reduced: tuple[Room | None, Room | None]


@dataclass(frozen=True)
class _Definition:
    """What the Swarm is to run of a service: `template` is all that its copies are started from."""

    copies: Copies
    template: object
    limit: int


@dataclass(frozen=True)
class _Side:
    """A group in one of two releases: service → its definition, None where its file cannot be read."""

    host: Host | None
    hosts: list[str]
    services: dict[str, _Definition | None]
    free: Mapping[str, float]

    def copies(self, service: str) -> Copies:
        if service in self.services:
            definition = self.services[service]
            return definition.copies if definition else Copies("unknown")
        return Copies("container" if service in _containers(self.host) else "none")

    @property
    def memory(self) -> SpreadMemory | None:
        """None where nothing is spread, or not all of it is known."""
        definitions = [definition for definition in self.services.values() if definition]
        if not definitions or len(definitions) < len(self.services):
            return None
        free = {host: int(size) for host, size in self.free.items()}
        return SpreadMemory([(one.limit, one.copies.count) for one in definitions], free)


def compare_groups(
    before: Mapping[str, Host], after: Mapping[str, Host], free: tuple[FreeMemory, FreeMemory]
) -> Iterator[GroupChange]:
    """The groups of either of which a service, the hosts or the memory change; `free` is that before and after."""
    leaders = {name for side in (before, after) for name, host in side.items() if _group(host)}
    for leader in sorted(leaders):
        old, new = _as_released(before.get(leader), after.get(leader)), after.get(leader)
        was, will = _side(leader, old, free[0]), _side(leader, new, free[1])
        names = list(dict.fromkeys([*will.services, *was.services]))
        services = [change for name in names if (change := _change(leader, name, was, will))]
        memory = _room(was), _room(will)
        reduced = _reduced_room(was), _reduced_room(will)
        if services or was.hosts != will.hosts or _differs(*memory) or _differs(*reduced):
            yield GroupChange(leader, (was.hosts, will.hosts), services, memory, reduced)


def mark_spread(
    changes: list[HostChange], groups: list[GroupChange], before: Mapping[str, Host], after: Mapping[str, Host]
) -> list[HostChange]:
    """The same, where units bring spread services up to date: these restart, and the copies do not with them."""
    ways = {(group.leader, change.service): change.effect for group in groups for change in group.services}

    def mark(change: HostChange) -> HostChange:
        units = _units(before.get(change.host)) & _units(after.get(change.host))
        effects = [
            replace(effect, how=ways.get((change.host, effect.service), OF_SPREAD[-1]) or effect.how)
            if effect.unit in units and effect.how.startswith("restarts")
            else effect
            for effect in change.effects
        ]
        return replace(change, effects=effects)

    return [mark(change) for change in changes]


def _units(host: Host | None) -> set[str]:
    return {entry["unit"] for entry in host["manifest"].get("spread", [])} if host else set()


def _containers(host: Host | None) -> set[str]:
    """The services that a host has containers of itself."""
    try:
        return {entry["service"] for entry in host["manifest"]["containers"]} if host else set()
    except UNREADABLE:
        return set()


def _group(host: Host | None) -> GroupFile | None:
    """The group that a host is the first one of."""
    try:
        group: GroupFile = json.loads((host or {"files": {}})["files"].get(GROUP_FILE, "null"))
        return {**group, "hosts": [str(name) for name in group["hosts"]]} if group["stacks"] is not None else None
    except UNREADABLE:
        return None


def _as_released(old: Host | None, new: Host | None) -> Host | None:
    """A host without hand edits of files that both releases have alike: the Swarm knows nothing of them."""
    if old is None or new is None:
        return old
    was, will = ({entry["path"]: entry for entry in host["manifest"]["files"]} for host in (old, new))
    same = {path for path, entry in was.items() if will.get(path) == entry}
    return {**old, "files": old["files"] | {path: text for path, text in new["files"].items() if path in same}}


def _side(leader: str, host: Host | None, free: FreeMemory) -> _Side:
    group = _group(host)
    if host is None or group is None:
        return _Side(host, [leader] if host else [], {}, {})
    files = {unit["name"]: unit["files"] for unit in host["manifest"]["units"]}
    services = {
        entry["service"]: _definition(host, files.get(entry["unit"], []), group["hosts"])
        for entry in host["manifest"].get("spread", [])
    }
    return _Side(host, group["hosts"], services, free.get(leader, {}))


def _definition(host: Host, paths: list[str], hosts: list[str]) -> _Definition | None:
    """Of a service whose unit is started from these files."""
    try:
        path = next(path for path in paths if path.endswith(f"/{STACK_FILE}"))
        (entry,) = json.loads(host["files"][path])["services"].values()
        deploy: dict[str, Any] = entry["deploy"]
        excluded = {rule.removeprefix(EXCEPT) for rule in deploy["placement"]["constraints"]}
        allowed = [name for name in hosts if name not in excluded]
        copies = Copies("spread", COUNTS.index(deploy["replicas"]), allowed, short_image(entry["image"]))
        own = {key: value for key, value in deploy.items() if key not in NOT_REPLACING}
        # The agent takes the variables out of them
        environment = _entries(host["manifest"], entry.get("env_file", []))
        limit = to_bytes(deploy["resources"]["reservations"]["memory"])
        return _Definition(copies, [{**entry, "deploy": own}, environment], limit)
    except (*UNREADABLE, StopIteration):
        return None


def _entries(manifest: Manifest, paths: list[str]) -> list[Any]:
    """What a manifest has of these files."""
    by_path = {entry["path"]: entry for kind in KINDS for entry in manifest.get(kind, [])}
    return [by_path.get(path) for path in paths]


def _change(leader: str, service: str, was: _Side, will: _Side) -> SpreadChange | None:
    before, after = was.copies(service), will.copies(service)
    old, new = was.services.get(service), will.services.get(service)
    if before == after and (old is None or new is None or old.template == new.template):
        return None
    if before.how == after.how == "spread" and old and new:
        effect, becomes = _of_copies(old, new)
    else:
        effect, becomes = "", [_of_another_way(leader, before, after)]
    return SpreadChange(service, before, after, becomes, effect)


def _of_copies(old: _Definition, new: _Definition) -> tuple[str, list[str]]:
    """What becomes of the copies of a service that was spread already."""
    replaced, recounted, handed = OF_SPREAD
    if old.template != new.template:
        line = phrase("its copies are replaced one after the other, each new one before an old one ends")
        return replaced, [line]
    is_recounted = old.copies.count != new.copies.count
    leaving = [name for name in old.copies.hosts if name not in new.copies.hosts]
    lines: list[str] = [phrase("no copy is replaced, only their number changes")] if is_recounted else []
    if leaving:
        lines.append(phrase("copies on {hosts} start elsewhere before they end there", hosts=", ".join(leaving)))
    if not lines:
        lines.append(phrase("its copies stay where they are"))
    return recounted if is_recounted else handed, lines


def _of_another_way(leader: str, before: Copies, after: Copies) -> str:
    """What becomes of a service that was not spread, or is not any more."""
    if "unknown" in (before.how, after.how):
        return phrase("what becomes of its copies is not known: its file on {host} cannot be read", host=leader)
    if after.how == "container":
        return phrase("{host} runs it alone again", host=leader)
    if after.how == "none":
        return phrase("its copies end")
    if before.how == "container":
        return phrase("the group runs it from now on")
    return phrase("the group runs it for the first time")


def _room(side: _Side) -> Room | None:
    memory = side.memory
    return Room(memory.most // MiB, memory.room // MiB if memory.free else None) if memory else None


def _reduced_room(side: _Side) -> Room | None:
    memory = side.memory
    room = memory.room_without_largest_host // MiB if memory and memory.free else None
    return Room(memory.demand // MiB, room) if memory else None


def _differs(before: Room | None, after: Room | None) -> bool:
    """Where one room is not known, it says nothing against the other one."""
    if before and after and None in (before.room, after.room):
        return before.limits != after.limits
    return before != after
