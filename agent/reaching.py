"""How a person gets to a service of this host: into its container, under its account, to its port. Each time is noted
down: who, when, and the name of the program that was run."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

from agent import managers, slots, store, units
from agent.outcome import Refused
from agent.store import STATE
from agent.world import World

NOTED = f"{STATE}/reached.json"
MOST = 200
# In the container's own words: many have no better shell
SHELL = ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"]

Manifest = dict[str, Any]


def reached(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    """`asked` has `how` (exec, shell, forward, host), `service` ("" for the host itself), `words` (the command), `tty`
    and `port`. The answer has `argv` for root to run, `address` and `port`, or `host`. Raises Refused."""
    release = store.current(world)
    if release is None:
        raise Refused("this host has no release yet")
    how, name = asked["how"], asked["service"]
    found: dict[str, Any]
    if how == "host":
        found = {"host": True}
    elif how == "forward":
        found = _port(world, release.manifest, name, asked["port"])
    else:
        found = {"argv": _argv(world, release.manifest, name, asked["words"] if how == "exec" else SHELL, asked["tty"])}
    program = os.path.basename(asked["words"][0]) if asked["words"] else ""
    _note(world, {"who": asked["who"], "how": how, "service": name, "program": program})
    return found


def noted(world: World) -> list[dict[str, Any]]:
    """Who got to what, the latest last: `at` (seconds since 1970), `who`, `how`, `service`, `program`."""
    try:
        found = json.loads(world.read(NOTED) or b"[]")
        return [entry for entry in found if isinstance(entry, dict)]
    except (ValueError, TypeError, RecursionError):
        return []


def _note(world: World, entry: dict[str, Any]) -> None:
    """In a file, and in the journal, where it stays when the file is removed."""
    entries = [*noted(world), {"at": round(world.wall()), **entry}][-MOST:]
    world.write(NOTED, json.dumps(entries).encode(), 0o600, "root", "root")
    said = f"{entry['who']}: {entry['how']} {entry['service']} {entry['program']}".strip()
    world.run("systemd-cat", "-t", "infra", stdin=json.dumps({"say": said}) + "\n")


def _argv(world: World, manifest: Manifest, service: str, words: list[str], tty: bool) -> list[str]:
    unit = _running(world, manifest, service)
    containers = [entry for entry in manifest["containers"] if entry["unit"] == unit]
    own = [entry for entry in containers if entry["service"] == service.partition("/")[0]]
    if own:
        return ["docker", "exec", "--interactive", *(["--tty"] if tty else []), own[0]["name"], *words]
    return _as_its_account(world, unit, words, tty)


def _as_its_account(world: World, unit: str, words: list[str], tty: bool) -> list[str]:
    """Under the account of a native service, in its directory, with its environment."""
    account, name = managers.split(unit)
    asked = [f"-p{key}" for key in ("User", "WorkingDirectory", "Environment", "EnvironmentFiles")]
    shown = managers.ask(world, account, "show", *asked, name)
    said = dict(line.split("=", 1) for line in shown.output.splitlines() if "=" in line)
    files = [
        line.split("=", 1)[1].rsplit(" (", 1)[0]
        for line in shown.output.splitlines()
        if line.startswith("EnvironmentFiles=")
    ]
    options = [f"--uid={account or said.get('User') or 'root'}"]
    directory = said.get("WorkingDirectory", "")
    options += [f"--working-directory={directory.lstrip('!-')}"] if directory.lstrip("!-").startswith("/") else []
    options += [f"--setenv={pair}" for pair in shlex.split(said.get("Environment", "")) if "=" in pair]
    options += [f"--property=EnvironmentFile={path}" for path in files if path]
    return ["systemd-run", "--quiet", "--wait", "--collect", "--pty" if tty else "--pipe", *options, "--", *words]


def _port(world: World, manifest: Manifest, service: str, port: int | None) -> dict[str, Any]:
    unit = _running(world, manifest, service)
    own = [entry["port"] for entry in manifest["ports"] if entry["unit"] == unit]
    if own and port in (None, own[0]):
        return {"address": "127.0.0.1", "port": own[0]}
    if port is None:
        raise Refused(f"{service} has no port of the host: name the one that it listens on, as in {service}:5432")
    name = next(
        (
            entry["name"]
            for entry in manifest["containers"]
            if entry["unit"] == unit and entry["service"] == service.partition("/")[0]
        ),
        None,
    )
    if name is None:
        return {"address": "127.0.0.1", "port": port}
    ran = world.run("docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", name)
    addresses = ran.output.split() if ran.code == 0 else []
    # One on the host's network has no address of its own
    return {"address": addresses[0] if addresses else "127.0.0.1", "port": port}


def _running(world: World, manifest: Manifest, service: str) -> str:
    """The unit of a service that runs now: the slot that serves, the replica that is named, else the first. Raises
    Refused."""
    serving = [
        live["unit"] for slot in manifest["slots"] if slot["service"] == service and (live := slots.live(world, slot))
    ]
    named = [probe["unit"] for probe in manifest["probes"] if probe["service"] == service]
    found = serving or named or slots.units_of_service(manifest, service)
    if not found:
        known = sorted({probe["service"] for probe in manifest["probes"]})
        raise Refused(f"this host runs no {service}; services: {', '.join(known)}")
    states = units.active(world, found)
    running = [unit for unit in found if states[unit]]
    if not running:
        raise Refused(f"{service} does not run: infra logs {service} says why, infra restart {service} starts it")
    return running[0]
