"""How a person gets to a service of this host: into its container, under its account, to its port. Each time is noted
down: who, when, and the name of the program that was run.

A command does not travel as words of a command line, which sudo and systemd would write into the journal: it waits in a
file for `enter`, which runs next, with the person's own input and terminal.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import select
import signal
import uuid
from typing import Any, cast

from agent import managers, slots, store, units
from agent.documents.answers import Reached
from agent.documents.manifest import Manifest
from agent.outcome import Refused
from agent.store import STATE
from agent.world import World

NOTED = f"{STATE}/reached.json"
MOST = 200
ASKED = "/run/infra/reached"
LIVES = 60  # seconds that a command waits to be entered
# In the container's own words: many have no better shell
SHELL = ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"]


def grant_access(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    """`asked` has `how` (exec, shell, forward, host), `service` ("" for the host itself), `words` (the command), `tty`
    and `port`. The answer has `enter`, an id for `enter`; `address` and `port`; or `host`. Raises Refused."""
    release = store.current(world)
    if release is None:
        raise Refused("this host has no release yet")
    how, name = asked["how"], asked["service"]
    access: dict[str, Any]
    if how == "host":
        access = {"host": True}
    elif how == "forward":
        access = _port(world, release.manifest, name, asked["port"])
    else:
        words = asked["words"] if how == "exec" else SHELL
        access = {"enter": _waits(world, _way(world, release.manifest, name, words, asked["tty"]))}
    # Of a whole line in one word its first, too
    first = (asked["words"][:1] or [""])[0].split()
    program = os.path.basename(first[0]) if first else str(access.get("port", ""))
    _note(world, {"who": asked["who"], "how": how, "service": name, "program": program})
    return access


def access_records(world: World) -> list[Reached]:
    """Who got to what, the latest last: `at` (seconds since 1970), `who`, `how`, `service`, `program`."""
    try:
        entries = json.loads(world.read(NOTED) or b"[]")
        return [cast("Reached", entry) for entry in entries if isinstance(entry, dict)]
    except (ValueError, TypeError, RecursionError):
        return []


def _note(world: World, entry: dict[str, Any]) -> None:
    """In a file, and in the journal, where it stays when the file is removed. A full disk keeps no one out."""
    entries = [*access_records(world), {"at": round(world.wall()), **entry}][-MOST:]
    with contextlib.suppress(OSError):
        world.write(NOTED, json.dumps(entries).encode(), 0o600, "root", "root")
    line = f"{entry['who']}: {entry['how']} {entry['service']} {entry['program']}".strip()
    world.run("systemd-cat", "-t", "infra", stdin=json.dumps({"say": line}) + "\n")


def _waits(world: World, way: dict[str, Any]) -> str:
    """What `enter` is to run; what an earlier one left that never came is gone after a while."""
    world.directory(ASKED, 0o700, "root", "root")
    now = round(world.wall())
    for name in world.listing(ASKED):
        if not (0 <= now - int(name.partition("-")[0], 16) < LIVES):
            world.remove(f"{ASKED}/{name}")
    id = f"{now:x}-{uuid.uuid4().hex}"
    world.write(f"{ASKED}/{id}", json.dumps(way).encode(), 0o600, "root", "root")
    return id


def _way(world: World, manifest: Manifest, service: str, words: list[str], tty: bool) -> dict[str, Any]:
    """`argv` for root, or the `account` and `group` of a unit ("" for its own) and the `pid` of its main process, whose
    directory and environment the `words` get."""
    unit = _running(world, manifest, service)
    if name := _container(manifest, unit, service):
        return {"argv": ["docker", "exec", "--interactive", *(["--tty"] if tty else []), name, *words]}
    account, own = managers.split(unit)
    shown = managers.ask(world, account, "show", "-p", "MainPID", "-p", "User", "-p", "Group", own).output
    properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    pid = properties.get("MainPID", "0")
    if not pid.isdigit() or pid == "0":
        raise Refused(f"{service} has no process that a command could run beside ({own})")
    # An account's own manager has no say in whose account it is
    user, group = (account, "") if account else (properties.get("User") or "root", properties.get("Group", ""))
    return {"pid": int(pid), "account": user, "group": group, "words": words}


def enter(world: World, id: str) -> int:
    """Runs the command that waits under this id, with this process's input and output; its exit code, as shells say
    it. Ends it where no one takes what it prints any more: the connection is gone. Raises Refused, and OSError where it
    cannot be started."""
    path = f"{ASKED}/{os.path.basename(id)}"
    text = world.read(path)
    if text is None:
        raise Refused("the command has expired: run it again")
    world.remove(path)
    way = json.loads(text)
    # A terminal's Ctrl-C is the command's
    for key in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(key, signal.SIG_IGN)
    # What began this may ignore it, and the command would too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
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
        environment = _become(way["pid"], way["account"], way["group"])
        os.execvpe(way["words"][0], way["words"], environment)
    except FileNotFoundError:
        code = 127
        os.write(2, f"infra: {(way.get('argv') or way['words'])[0]}: not found\n".encode())
    except Refused as refusal:
        os.write(2, f"infra: {refusal}\n".encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no program can have this name"
        os.write(2, f"infra: {(way.get('argv') or way['words'])[0]!a}: {reason}\n".encode())
    finally:
        os._exit(code)


def _become(pid: int, account: str, group: str) -> dict[str, str]:
    """Takes over an account, and its service's directory; the service's environment, with this one's terminal. Whose a
    command is the process does not say: it can have become another's. Raises Refused where it has, or has ended."""
    try:
        entry = pwd.getpwuid(int(account)) if account.isdigit() else pwd.getpwnam(account)
        gid = entry.pw_gid if not group else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise Refused(f"the account {account} or its group does not exist on this host") from None
    place = f"/proc/{pid}"
    try:
        with open(f"{place}/status") as file:
            status = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
        with open(f"{place}/environ", "rb") as file:
            pairs = [one.partition(b"=") for one in file.read().split(b"\0") if b"=" in one]
        directory = os.readlink(f"{place}/cwd")
    except FileNotFoundError:
        raise Refused("the service's process has ended: run the command again") from None
    if {int(number) for number in status["Uid"].split()} != {entry.pw_uid}:
        raise Refused(f"the service's process no longer belongs to {entry.pw_name}: its environment is not available")
    environment = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    os.setgroups(os.getgrouplist(entry.pw_name, gid))
    os.setgid(gid)
    os.setuid(entry.pw_uid)
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
        raise Refused(
            f"{service} publishes no port on the host: name the port that it listens on, as in {service}:5432"
        )
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
    names = (entry["name"] for entry in manifest["containers"] if entry["unit"] == unit and entry["service"] == name)
    return next(names, "")


def _running(world: World, manifest: Manifest, service: str) -> str:
    """The unit of a service that runs now: the slot that serves, the replica that is named, else the first. Raises
    Refused."""
    own = [slot for slot in manifest["slots"] if slot["service"] == service]
    serving = [live["unit"] for slot in own if (live := slots.live(world, slot))]
    named = [probe["unit"] for probe in manifest["probes"] if probe["service"] == service]
    own_units = serving or named or slots.units_of_service(manifest, service)
    if not own_units:
        services = sorted({probe["service"] for probe in manifest["probes"]})
        raise Refused(f"this host runs no {service}; services: {', '.join(services)}")
    states = units.active(world, own_units)
    running = [unit for unit in own_units if states[unit]]
    if not running:
        raise Refused(f"{service} is not running: infra logs {service} shows why, infra restart {service} starts it")
    return running[0]
