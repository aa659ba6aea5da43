"""How a host was hour by hour, for a month: its memory, its disks, and what its proxy answered. Bounded."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import cast

from agent.documents.answers import Hour
from agent.measures import machine
from agent.measures.proxy import FAILED
from agent.monitor import history
from agent.monitor.look import HostFacts
from agent.world import World

PLACE = f"{history.PLACE}/hours.json"
HOUR = 3600
HOURS_KEPT = 31 * 24
DISKS_KEPT = 20  # of an hour


def hours(world: World) -> list[Hour]:
    """Oldest first; entries of another form are passed over."""
    entries: list[object] = history.read(world, PLACE, [])
    return [cast("Hour", entry) for entry in entries if _is_whole(entry)][-HOURS_KEPT:]


def _is_whole(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    values = cast("dict[str, object]", entry)
    disks = values.get("disks")
    counts = [values.get(name) for name in ("answers", "errors")]
    return (
        all(history.is_time(values.get(name)) for name in ("at", "until"))
        and isinstance(values["at"], int)
        and (values.get("memory") is None or _is_share(values.get("memory")))
        and isinstance(disks, dict)
        and all(_is_share(share) for share in cast("dict[str, object]", disks).values())
        and isinstance(values.get("at_least", False), bool)
        and all(count is None or (isinstance(count, int) and 0 <= count < 2**53) for count in counts)
    )


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 100


def remember(world: World, look: HostFacts) -> None:
    """Adds what is measured now to the hour that it is: of memory and disks the most that was in use, of answers those
    since the run before."""
    at = world.wall()
    hour = _hour_of(at)
    past = [entry for entry in hours(world) if hour - HOURS_KEPT * HOUR < entry["at"] <= hour]
    if not past or past[-1]["at"] != hour:
        past.append(
            {
                "at": hour, "until": past[-1]["until"] if past else hour, "memory": None, "disks": {}, "answers": None,
                "errors": None,
            }
        )  # fmt: skip
    latest = past[-1]
    since = min(latest["until"], at)
    latest["memory"] = max(filter(None, (machine.memory_used(look), latest["memory"])), default=None)
    latest["disks"] = _disks(look, latest["disks"])
    if look.proxy:
        _count_answers(look, past, since)
    latest["until"] = at
    history.write(world, PLACE, past)


def _hour_of(at: float) -> int:
    return int(at // HOUR) * HOUR


def _disks(look: HostFacts, before: dict[str, float]) -> dict[str, float]:
    """Percent in use of each disk, the most of both."""
    used = dict(before)
    with suppress(OSError):
        for path, usage in machine.disks(look)[:DISKS_KEPT]:
            used[path] = max(machine.percent_used(usage), before.get(path, 0.0))
    return used


def _count_answers(look: HostFacts, past: list[Hour], since: float) -> None:
    """Adds the proxy's answers since then to the hours in which it gave them. Of hours whose lines of the log are gone
    in part (rotated, or more than are read) it is noted that there were at least so many."""
    recent = [(_hour_of(at), status) for at, status in look.answers if at > since]
    answers = Counter(hour for hour, _ in recent)
    errors = Counter(hour for hour, status in recent if status >= FAILED)
    oldest = _oldest_line(look, past)
    for entry in past[-2:]:
        if since < oldest and entry["at"] < oldest and since < entry["at"] + HOUR:
            entry["at_least"] = True
        entry["answers"] = (entry["answers"] or 0) + answers[entry["at"]]
        entry["errors"] = (entry["errors"] or 0) + errors[entry["at"]]


def _oldest_line(look: HostFacts, past: list[Hour]) -> float:
    """From when on the log has each answer. Before the first count, and where no line has been for an hour, none is
    missing."""
    if not any(entry["answers"] is not None for entry in past):
        return 0.0
    has_counted = any(entry["answers"] for entry in past[-2:])
    return min((at for at, _ in look.answers), default=look.world.wall() if has_counted else 0.0)
