"""How a person gets to a service of this host: into its container, under its account, to its port. Each time is noted
down: who, when, and the name of the program that was run.

A command does not travel as words of a command line, which sudo and systemd would write into the journal: it waits in a
file for `enter`, which runs next, with the person's own input and terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import uuid
from typing import Any

from agent import managers, slots, store, units
from agent.outcome import Refused
from agent.store import STATE
from agent.world import World

NOTED = f"{STATE}/reached.json"
MOST = 200
ASKED = "/run/infra/reached"
# In the container's own words: many have no better shell
SHELL = ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"]

Manifest = dict[str, Any]


def reached(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    """`asked` has `how` (exec, shell, forward, host), `service` ("" for the host itself), `words` (the command), `tty`
    and `port`. The answer has `enter`, an id for `enter`; `address` and `port`; or `host`. Raises Refused."""
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
        words = asked["words"] if how == "exec" else SHELL
        found = {"enter": _waits(world, _way(world, release.manifest, name, words, asked["tty"]))}
    program = os.path.basename(asked["words"][0]) if asked["words"] else str(found.get("port", ""))
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
    """In a file, and in the journal, where it stays when the file is removed. A full disk keeps no one out."""
    entries = [*noted(world), {"at": round(world.wall()), **entry}][-MOST:]
    with contextlib.suppress(OSError):
        world.write(NOTED, json.dumps(entries).encode(), 0o600, "root", "root")
    said = f"{entry['who']}: {entry['how']} {entry['service']} {entry['program']}".strip()
    world.run("systemd-cat", "-t", "infra", stdin=json.dumps({"say": said}) + "\n")


def _waits(world: World, way: dict[str, Any]) -> str:
    """What `enter` is to run; whatever an earlier one left that never came is gone."""
    world.remove_tree(ASKED)
    world.directory(ASKED, 0o700, "root", "root")
    id = uuid.uuid4().hex
    world.write(f"{ASKED}/{id}", json.dumps(way).encode(), 0o600, "root", "root")
    return id


def _way(world: World, manifest: Manifest, service: str, words: list[str], tty: bool) -> dict[str, Any]:
    """`argv` for root, or `pid` of the process whose account, directory and environment the `words` get."""
    unit = _running(world, manifest, service)
    if name := _container(manifest, unit, service):
        return {"argv": ["docker", "exec", "--interactive", *(["--tty"] if tty else []), name, *words]}
    account, own = managers.split(unit)
    shown = managers.ask(world, account, "show", "-p", "MainPID", "--value", own).output.strip()
    if not shown.isdigit() or shown == "0":
        raise Refused(f"{service} has no process whose account and environment a command could have ({own})")
    return {"pid": int(shown), "words": words}


def enter(world: World, id: str) -> int:
    """Runs the command that waits under this id, with this process's input and output; its exit code, as shells say
    it. Ends it where no one takes what it prints any more: the connection is gone. Raises Refused, and OSError where it
    cannot be started."""
    path = f"{ASKED}/{os.path.basename(id)}"
    text = world.read(path)
    if text is None:
        raise Refused("what was to be run is not here any more: ask again")
    world.remove(path)
    way = json.loads(text)
    # A terminal's Ctrl-C is the command's
    for key in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(key, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        _be(way)
    reader = select.poll()
    reader.register(1, 0)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        if reader.poll(100):
            os.kill(child, signal.SIGHUP)
            reader.unregister(1)


def _be(way: dict[str, Any]) -> None:
    """Becomes the command, in a child: it returns never."""
    code = 126
    try:
        for key in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(key, signal.SIG_DFL)
        if "argv" in way:
            os.execvp(way["argv"][0], way["argv"])
        environment = _become(way["pid"])
        os.execvpe(way["words"][0], way["words"], environment)
    except FileNotFoundError:
        code = 127
        os.write(2, f"infra: {(way.get('argv') or way['words'])[0]}: not found\n".encode())
    except OSError as error:
        os.write(2, f"infra: {error.filename or 'the command'}: {error.strerror}\n".encode())
    finally:
        os._exit(code)


def _become(pid: int) -> dict[str, str]:
    """Takes over a process's account, groups and directory; its environment, with this one's terminal. Raises OSError
    where it has ended."""
    place = f"/proc/{pid}"
    with open(f"{place}/environ", "rb") as file:
        pairs = [entry.partition(b"=") for entry in file.read().split(b"\0") if b"=" in entry]
    environment = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    with open(f"{place}/status") as file:
        said = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
    directory = os.readlink(f"{place}/cwd")
    uid, gid = int(said["Uid"].split()[1]), int(said["Gid"].split()[1])
    os.setgroups([int(group) for group in said["Groups"].split()])
    os.setgid(gid)
    os.setuid(uid)
    # One that the account may not enter, or that is only in the service's own view of the disk
    with contextlib.suppress(OSError):
        os.chdir(directory)
    return {**environment, **({"TERM": os.environ["TERM"]} if "TERM" in os.environ else {})}


def _port(world: World, manifest: Manifest, service: str, port: int | None) -> dict[str, Any]:
    unit, name = _running(world, manifest, service), service.partition("/")[0]
    # Of a native one the port may be its socket's
    mine = [entry for entry in manifest["ports"] if entry["service"] == name]
    own = [entry["port"] for entry in mine if entry["unit"] == unit or not entry["container"]]
    if own and port in (None, own[0]):
        return {"address": "127.0.0.1", "port": own[0]}
    if port is None:
        raise Refused(f"{service} has no port of the host: name the one that it listens on, as in {service}:5432")
    container = _container(manifest, unit, service)
    if not container:
        return {"address": "127.0.0.1", "port": port}
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    ran = world.run("docker", "inspect", "--format", form, container)
    addresses = ran.output.split() if ran.code == 0 else []
    # One on the host's network has no address of its own
    return {"address": addresses[0] if addresses else "127.0.0.1", "port": port}


def _container(manifest: Manifest, unit: str, service: str) -> str:
    """The name of a service's container in a unit; "" where it has none."""
    name = service.partition("/")[0]
    found = (entry["name"] for entry in manifest["containers"] if entry["unit"] == unit and entry["service"] == name)
    return next(found, "")


def _running(world: World, manifest: Manifest, service: str) -> str:
    """The unit of a service that runs now: the slot that serves, the replica that is named, else the first. Raises
    Refused."""
    own = [slot for slot in manifest["slots"] if slot["service"] == service]
    serving = [live["unit"] for slot in own if (live := slots.live(world, slot))]
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
