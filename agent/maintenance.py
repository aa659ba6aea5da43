"""Sites in maintenance: a file of a site's name has the proxy answer 503 in its place, without a release, until a timer
of systemd's or a person takes it away. A restart of the host ends it too."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any
from urllib.parse import urlsplit

from agent import store
from agent.outcome import Refused
from agent.world import World

PLACE = "/run/infra/maintenance"  # as in rendering/sites.py
LONGEST = 7 * 24 * 3600  # seconds
UNSAFE = re.compile(r"[^a-z0-9.-]")


def sites(world: World) -> dict[str, dict[str, Any]]:
    """Site → {since, until, who} of those that are in maintenance; times in seconds since 1970."""
    found: dict[str, dict[str, Any]] = {}
    for name in world.listing(PLACE):
        if UNSAFE.search(name):
            continue
        said: Any = {}
        with contextlib.suppress(ValueError):
            said = json.loads(world.read(f"{PLACE}/{name}") or b"{}")
        given = said if isinstance(said, dict) else {}
        numbers = {key: int(given[key]) for key in ("since", "until") if isinstance(given.get(key), (int, float))}
        found[name] = {"since": 0, "until": 0, **numbers, "who": str(given.get("who", ""))[:200]}
    return found


def asked(world: World, payload: dict[str, Any]) -> dict[str, Any]:
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
    _stop_timer(world, name)
    now = int(world.wall())
    world.directory("/run/infra", 0o755, "root", "root")
    world.directory(PLACE, 0o755, "root", "root")
    path = f"{PLACE}/{name}"
    said = {"since": sites(world).get(name, {}).get("since") or now, "until": now + seconds, "who": who}
    # First what ends it: a site that stays away for ever is worse than one that never was
    timer = [f"--unit={_unit(name)}", f"--on-active={seconds}", "--timer-property=AccuracySec=1s"]
    ran = world.run("systemd-run", "--quiet", "--collect", *timer, "rm", "-f", path)
    if ran.code != 0:
        raise Refused(f"nothing would end the maintenance of {name}: systemd-run: {ran.output.strip()}")
    world.write(path, json.dumps(said).encode(), 0o644, "root", "root")


def _end(world: World, name: str) -> None:
    world.remove(f"{PLACE}/{name}")
    _stop_timer(world, name)


def _stop_timer(world: World, name: str) -> None:
    world.run("systemctl", "stop", f"{_unit(name)}.timer")


def _unit(name: str) -> str:
    return f"infra-maintenance-{name}"


def served(world: World, urls: list[str]) -> list[str]:
    """Of public addresses those whose site is not in maintenance: no one outside would get another answer than 503."""
    away = sites(world)
    return [url for url in urls if urlsplit(url).hostname not in away]
