"""Sites in maintenance: a file of a site's name has the proxy answer 503 in its place, without a release, until a timer
of systemd's or a person takes it away. A restart of the host ends it too."""

from __future__ import annotations

import contextlib
import json
import re
from typing import cast
from urllib.parse import urlsplit

from agent import store
from agent.documents.answers import InMaintenance, SiteMaintenance
from agent.documents.requests import MaintenancePayload
from agent.outcome import Refused
from agent.world import World

PLACE = "/run/infra/maintenance"  # as in rendering/sites.py
LOCK = "/run/infra/maintenance.lock"
LONGEST = 7 * 24 * 3600  # seconds
LATEST = 2**40  # seconds since 1970 that any calendar has
UNSAFE = re.compile(r"[^a-z0-9.-]")


class _Entry(SiteMaintenance):
    """What stands in a site's file: `timer` is the unit that ends it."""

    timer: str


def sites(world: World) -> dict[str, SiteMaintenance]:
    """Site → {since, until, who} of those that are in maintenance; times in seconds since 1970."""
    entries = {name: _read_entry(world, name) for name in _names(world)}
    return {name: {"since": e["since"], "until": e["until"], "who": e["who"]} for name, e in entries.items()}


def _names(world: World) -> list[str]:
    return [name for name in world.listing(PLACE) if not UNSAFE.search(name)]


def _read_entry(world: World, name: str) -> _Entry:
    """What stands in the file; whatever a hand has left there, the proxy asks only whether it is there."""
    content: object = {}
    with contextlib.suppress(ValueError, RecursionError, OSError):
        content = json.loads(world.read(f"{PLACE}/{name}") or b"{}")
    fields = cast("dict[str, object]", content) if isinstance(content, dict) else {}
    who = "".join(sign for sign in str(fields.get("who", ""))[:200] if sign.isprintable())
    since, until = _time(fields.get("since")), _time(fields.get("until"))
    return {"since": since, "until": until, "who": who, "timer": str(fields.get("timer", ""))}


def _time(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < LATEST else 0


def handle(world: World, payload: MaintenancePayload) -> InMaintenance:
    """Begins or ends it (`begin`: which) for `sites`, if any; answers with those that are in it after that. Raises
    Refused."""
    release = store.current(world)
    served = release.manifest["names"] if release else []
    if unknown := sorted({*payload["sites"]} - {*served}):
        raise Refused(f"this host serves no site {', '.join(unknown)}; its sites: {', '.join(served) or 'none'}")
    for name in payload["sites"]:
        if payload["begin"]:
            _begin(world, name, min(int(payload["seconds"]), LONGEST), payload["who"])
        else:
            _end(world, name)
    return {"maintenance": sites(world)}


def _begin(world: World, name: str, seconds: int, who: str) -> None:
    path, now = f"{PLACE}/{name}", int(world.wall())
    before = _read_entry(world, name)
    number = int(before["timer"].rpartition("-")[2] or 0) + 1 if before["timer"].startswith(_unit(name)) else 1
    since, until = before["since"] or now, now + seconds
    entry: _Entry = {"since": since, "until": until, "who": who, "timer": f"{_unit(name)}-{number}"}
    # First what ends it: a site that stays away for ever is worse than one that never was. It ends no later one
    own = f"grep -qs {entry['timer']} {path} && rm -f {path}"
    timer = [f"--unit={entry['timer']}", f"--on-active={seconds}", "--timer-property=AccuracySec=1s"]
    ran = world.run("systemd-run", "--quiet", "--collect", *timer, "sh", "-c", own)
    if ran.code != 0:
        present = "; the present maintenance ends as planned" if before["timer"] else ""
        raise Refused(
            f"the end of the maintenance of {name} cannot be scheduled: systemd-run: {ran.output.strip()}{present}"
        )
    world.directory("/run/infra", 0o755, "root", "root")
    world.directory(PLACE, 0o755, "root", "root")
    world.write(path, json.dumps(entry).encode(), 0o644, "root", "root")
    # By the time of its last change a proxy can say when it ends (rendering/sites.py); without it it says another one
    world.run("touch", "--date", f"@{until}", path)
    _stop_timer(world, before["timer"], name)
    if world.wall() >= until:
        # Its timer may have looked before the file was there
        world.remove(path)


def _end(world: World, name: str) -> None:
    timer = _read_entry(world, name)["timer"]
    world.remove(f"{PLACE}/{name}")
    _stop_timer(world, timer, name)


def _stop_timer(world: World, timer: str, name: str) -> None:
    if re.fullmatch(rf"{re.escape(_unit(name))}-\d+", timer):
        world.run("systemctl", "stop", f"{timer}.timer")


def _unit(name: str) -> str:
    return f"infra-maintenance-{name}"


def serving_urls(world: World, urls: list[str]) -> list[str]:
    """Of public addresses those whose site is not in maintenance: no one outside would get another answer than 503."""
    away = _names(world)
    return [url for url in urls if urlsplit(url).hostname not in away]
