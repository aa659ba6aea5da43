"""What a host remembers of its repairs: what was put right, what made room, and how it was, for a day. Bounded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

from agent.documents import answers
from agent.documents.monitor import Run, Sample
from agent.shapes import JsonObject
from agent.store import STATE
from agent.world import World

PLACE = f"{STATE}/monitor"
REPAIRS, MEMORY, SAMPLES, LAST = (f"{PLACE}/{name}.json" for name in ("repairs", "memory", "samples", "last"))
KEPT = 200
DAY = 86400.0
LATEST = 253_402_300_800  # the end of the year 9999, in seconds since 1970
SAMPLES_KEPT = 300  # a day, one every five minutes
T = TypeVar("T", "list[object]", JsonObject)


@dataclass(frozen=True)
class Repair:
    """What the host did by itself. `at` is in seconds since 1970; `worked` once another look found it right, `said`
    what was done or why it could not be."""

    at: float
    alert: str
    subject: str
    repair: str
    worked: bool
    said: str


def repairs(world: World) -> list[Repair]:
    """Oldest first."""
    return _repairs(world, REPAIRS)


def memory_repairs(world: World) -> list[Repair]:
    """What agent/pressure.py stopped and started, oldest first."""
    return _repairs(world, MEMORY)


def _repairs(world: World, path: str) -> list[Repair]:
    """Entries of another form are passed over: they are worth less than the next run."""
    kinds = {"at": (int, float), "worked": bool} | dict.fromkeys(("alert", "subject", "repair", "said"), str)
    return [
        Repair(**cast("answers.Repair", {name: entry[name] for name in kinds}))
        for entry in _mappings(world, path)
        if all(isinstance(entry.get(name), kind) for name, kind in kinds.items()) and is_time(entry["at"])
    ]


def _mappings(world: World, path: str) -> list[JsonObject]:
    entries: list[object] = read(world, path, [])
    return [cast("JsonObject", entry) for entry in entries if isinstance(entry, dict)]


def is_time(value: Any) -> bool:
    """A number that can be compared with the clock: JSON has infinities and truths too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LATEST


def all_repairs(world: World) -> list[Repair]:
    """Both, oldest first."""
    return sorted([*repairs(world), *memory_repairs(world)], key=lambda entry: entry.at)


def recent_repairs(world: World) -> list[Repair]:
    """Those of the last day."""
    return [entry for entry in all_repairs(world) if world.wall() - entry.at < DAY]


def remember_room(world: World, repair: Repair) -> None:
    """In a file of its own: nothing else writes it."""
    write(world, MEMORY, [asdict(entry) for entry in [*memory_repairs(world), repair]][-KEPT:])


def remember_repairs(world: World, attempts: list[Repair]) -> None:
    """What is known of the same attempt already, that it was begun, gives way."""
    if attempts:
        keys = {(entry.at, entry.alert, entry.subject) for entry in attempts}
        past = [entry for entry in repairs(world) if (entry.at, entry.alert, entry.subject) not in keys]
        write(world, REPAIRS, [asdict(entry) for entry in [*past, *attempts]][-KEPT:])


def samples(world: World) -> list[Sample]:
    """Oldest first: `at`, and what `sample` of agent/monitor/run.py says."""
    entries = _mappings(world, SAMPLES)
    whole = [entry for entry in entries if is_time(entry.get("at")) and isinstance(entry.get("services"), dict)]
    return cast("list[Sample]", whole)


def remember_sample(world: World, sample: Sample) -> None:
    write(world, SAMPLES, [*samples(world), sample][-SAMPLES_KEPT:])


def remember_run(world: World, result: Run) -> None:
    write(world, LAST, result)


def read(world: World, path: str, nothing: T) -> T:
    """What stands there, of the kind of `nothing`; `nothing` itself where that is torn."""
    try:
        content = json.loads(world.read(path) or b"null")
    except (ValueError, RecursionError):
        # A disk that was full, a power cut: what is remembered is worth less than the next run
        return nothing
    return content if isinstance(content, type(nothing)) else nothing


def write(world: World, path: str, value: Any) -> None:
    world.write(path, json.dumps(value, separators=(",", ":")).encode(), 0o600, "root", "root")
