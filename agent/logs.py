"""What a service's units and containers said, line by line; secrets that this host knows are masked."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

from agent import managers, slots, store
from agent.documents.answers import LogLine, SignOfLife
from agent.documents.manifest import Manifest
from agent.journal_fields import text_of
from agent.outcome import Mask, Refused
from agent.world import World

OWN = {"monitor": ["infra-monitor.service"], "watch": ["infra-singles.service"], "memory": ["infra-memory.service"]}
MOST = 20_000  # lines that are searched for a pattern
RELEASES = "releases"  # what the agent says while it applies them
LogEvent = Union[LogLine, SignOfLife]


def units_of(manifest: Manifest, service: str) -> list[str]:
    """The units of a service, or of a proxy."""
    proxies = [unit["name"] for unit in manifest["units"] if unit["name"] == f"{service}.service"]
    return slots.units_of_service(manifest, service) or proxies


@dataclass(frozen=True)
class Excerpt:
    """Which of a log's lines are wanted: the last `lines`, and with `follow` those that come later. `since` is how many
    seconds ago the first of them was said at the earliest, `grep` a pattern that they have."""

    lines: int
    follow: bool = False
    since: float | None = None
    grep: str = ""


def logs(world: World, service: str, excerpt: Excerpt) -> Iterator[LogEvent]:
    """Line by line, and now and then a sign of life while nothing is said. Raises Refused for a service that this host
    does not run, and never tried to."""
    of_releases = (units_of(manifest, service) for manifest in _manifests(world))
    units = next(filter(None, of_releases), OWN.get(service, []))
    if not units and service != RELEASES:
        raise Refused(f"this host runs no {service}")
    mask = Mask(store.known_secrets(world))
    journal = ["-t", "infra", "_UID=0"] if service == RELEASES else managers.journal_of(world, units)
    fields = "--output-fields=MESSAGE,CONTAINER_NAME,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT"
    form = ["-o", "json", fields, "--no-pager", "-q", "--all"]
    # Of those that have the pattern the last ones: more of all must be looked at
    count = MOST if excerpt.grep and excerpt.lines else excerpt.lines
    begin = [f"--since=@{int(world.wall() - excerpt.since)}"] if excerpt.since is not None else []
    command = ["journalctl", *journal, "-n", str(count), *begin, *form, *(["-f"] if excerpt.follow else [])]
    entries = _entries(world, command, service, mask)
    if not excerpt.grep:
        yield from entries
        return
    pattern = re.compile(excerpt.grep)
    last_lines: deque[LogLine] = deque(maxlen=None if excerpt.follow else excerpt.lines)
    for entry in entries:
        if "line" not in entry:
            yield entry
        elif pattern.search(entry["line"]):
            # What is followed is shown as it comes
            yield from [entry] if excerpt.follow else []
            last_lines.extend([] if excerpt.follow else [entry])
    yield from last_lines


def _entries(world: World, command: list[str], service: str, mask: Mask) -> Iterator[LogEvent]:
    for line in world.stream(*command):
        if line is None:
            yield {}
        elif (entry := _entry(line)) is not None:
            own = _job_line(entry) if service == RELEASES else entry
            yield mask.all_of(own) if own else {}


def _manifests(world: World) -> Iterator[Manifest]:
    """Of the release that serves, and of those that were tried here, the latest first: a service that never became
    healthy has a log too."""
    release = store.base(world, lambda _: None)
    if release:
        yield release.manifest
    readable = store.readable(world)
    tried = dict.fromkeys([*(entry["release"] for entry in reversed(store.history(world))), *readable])
    yield from (store.manifest(world, id) for id in tried if id in readable)


def _job_line(entry: LogLine) -> LogLine | None:
    """What a job says is for programs: its lines and its result are for people too."""
    try:
        event = json.loads(entry["line"])
        text = event.get("say") or event.get("result", {}).get("line")
    except (ValueError, AttributeError):
        return entry
    return {**entry, "line": str(text)} if text else None


def _entry(line: str) -> LogLine | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    message = fields.get("MESSAGE")
    sources = (fields.get(name) for name in ("CONTAINER_NAME", "_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT"))
    return {
        "at": int(fields.get("__REALTIME_TIMESTAMP", 0)) / 1e6,
        "from": next((source for source in map(text_of, sources) if source), "systemd"),
        "line": "[not text]" if (text := text_of(message)) is None else text,
    }
