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
from typing import TypedDict, Union, cast

from agent import managers, slots, store, units
from agent.documents.answers import Access, AccessRecord
from agent.documents.manifest import Manifest
from agent.documents.requests import AccessPayload
from agent.outcome import Refused
from agent.store import STATE
from agent.world import World

NOTED = f"{STATE}/reached.json"
MOST = 200
WAITING = "/run/infra/reached"
LIVES = 60  # seconds that a command waits to be entered
# In the container's own words: many have no better shell
SHELL = ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"]


class _ContainerCommand(TypedDict):
    """For root."""

    argv: list[str]


class _UnitCommand(TypedDict):
    """For a unit's `account` and `group` ("" for its own), in the directory and environment of its main process."""

    pid: int
    account: str
    group: str
    words: list[str]


_Command = Union[_ContainerCommand, _UnitCommand]  # that waits to be entered


def grant_access(world: World, payload: AccessPayload) -> Access:
    """The way to a service, which is noted down. Raises Refused."""
    release = store.current(world)
    if release is None:
        raise Refused("this host has no release yet")
    how, name = payload["how"], payload["service"]
    access: Access
    if how == "host":
        access = {"host": True}
    elif how == "forward":
        access = _port(world, release.manifest, name, payload["port"])
    else:
        words = payload["words"] if how == "exec" else SHELL
        access = {"enter": _store_command(world, _command(world, release.manifest, name, words, payload["tty"]))}
    # Of a whole line in one word its first, too
    first = (payload["words"][:1] or [""])[0].split()
    program = os.path.basename(first[0]) if first else str(access.get("port", ""))
    _note(world, {"at": round(world.wall()), "who": payload["who"], "how": how, "service": name, "program": program})
    return access


def access_records(world: World) -> list[AccessRecord]:
    """Who got to what, the latest last: `at` (seconds since 1970), `who`, `how`, `service`, `program`."""
    try:
        entries = json.loads(world.read(NOTED) or b"[]")
        return [cast("AccessRecord", entry) for entry in entries if isinstance(entry, dict)]
    except (ValueError, TypeError, RecursionError):
        return []


def _note(world: World, entry: AccessRecord) -> None:
    """In a file, and in the journal, where it stays when the file is removed. A full disk keeps no one out."""
    entries = [*access_records(world), entry][-MOST:]
    with contextlib.suppress(OSError):
        world.write(NOTED, json.dumps(entries).encode(), 0o600, "root", "root")
    line = f"{entry['who']}: {entry['how']} {entry['service']} {entry['program']}".strip()
    world.run("systemd-cat", "-t", "infra", stdin=json.dumps({"say": line}) + "\n")


def _store_command(world: World, command: _Command) -> str:
    """The id by which `enter` runs it; what an earlier one left that never came is gone after a while."""
    world.directory(WAITING, 0o700, "root", "root")
    now = round(world.wall())
    for name in world.listing(WAITING):
        if not (0 <= now - int(name.partition("-")[0], 16) < LIVES):
            world.remove(f"{WAITING}/{name}")
    id = f"{now:x}-{uuid.uuid4().hex}"
    world.write(f"{WAITING}/{id}", json.dumps(command).encode(), 0o600, "root", "root")
    return id


def _command(world: World, manifest: Manifest, service: str, words: list[str], tty: bool) -> _Command:
    """What runs `words` in a service."""
    if copy := _copy_here(world, manifest, service):
        return {"argv": ["docker", "exec", "--interactive", *(["--tty"] if tty else []), copy, *words]}
    unit = _running(world, manifest, service)
    if name := _container(manifest, unit, service):
        return {"argv": ["docker", "exec", "--interactive", *(["--tty"] if tty else []), name, *words]}
    account, own = managers.split(unit)
    output = managers.ask(world, account, "show", "-p", "MainPID", "-p", "User", "-p", "Group", own).output
    properties = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
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
    path = f"{WAITING}/{os.path.basename(id)}"
    text = world.read(path)
    if text is None:
        raise Refused("the command has expired: run it again")
    world.remove(path)
    command: _Command = json.loads(text)
    # A terminal's Ctrl-C is the command's
    for key in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(key, signal.SIG_IGN)
    # What began this may ignore it, and the command would too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        _become_command(command)
    reader = select.poll()
    reader.register(1, 0)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        if reader.poll(100):
            os.kill(child, signal.SIGHUP)
            reader.unregister(1)


def _become_command(command: _Command) -> None:
    """Becomes the command, in a child: it returns never."""
    code = 126
    words = command["argv"] if "argv" in command else command["words"]
    try:
        for key in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(key, signal.SIG_DFL)
        if "argv" in command:
            os.execvp(words[0], words)
        environment = _become_account(command["pid"], command["account"], command["group"])
        os.execvpe(words[0], words, environment)
    except FileNotFoundError:
        code = 127
        os.write(2, f"infra: {words[0]}: not found\n".encode())
    except Refused as refusal:
        os.write(2, f"infra: {refusal}\n".encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no program can have this name"
        os.write(2, f"infra: {words[0]!a}: {reason}\n".encode())
    finally:
        os._exit(code)


def _become_account(pid: int, account: str, group: str) -> dict[str, str]:
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


def _port(world: World, manifest: Manifest, service: str, port: int | None) -> Access:
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


def _copy_here(world: World, manifest: Manifest, service: str) -> str:
    """The id of a spread service's container on this host; "" of any other service. Raises Refused where none runs."""
    for entry in manifest.get("spread", []):
        if entry["service"] == service:
            filters = [f"label=com.docker.swarm.service.name={entry['name']}", "status=running"]
            words = [word for one in filters for word in ("--filter", one)]
            if ids := world.run("docker", "ps", "--quiet", "--no-trunc", *words).output.split():
                return ids[0]
            raise Refused(f"no copy of {service} runs on this host: infra status shows where they are")
    return ""


def _running(world: World, manifest: Manifest, service: str) -> str:
    """The unit of a service that runs now: the slot that serves, the replica that is named, else the first. Raises
    Refused."""
    own = [slot for slot in manifest["slots"] if slot["service"] == service]
    serving = [live["unit"] for slot in own if (live := slots.live(world, slot))]
    probe_units = [probe["unit"] for probe in manifest["probes"] if probe["service"] == service]
    own_units = serving or probe_units or slots.units_of_service(manifest, service)
    if not own_units:
        services = sorted({probe["service"] for probe in manifest["probes"]})
        raise Refused(f"this host runs no {service}; services: {', '.join(services)}")
    states = units.active(world, own_units)
    running = [unit for unit in own_units if states[unit]]
    if not running:
        raise Refused(f"{service} is not running: infra logs {service} shows why, infra restart {service} starts it")
    return running[0]
