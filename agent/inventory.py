"""What runs on a host beside its release: noted down before a switch and compared after a rollback, which claims only
then that all is as before. The release's own files and units are in the transaction, its services in the probes."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection
from typing import TypeVar

from agent import existing
from agent.documents import docker
from agent.documents.inventory import Inventory, Kind
from agent.documents.manifest import Manifest
from agent.engine import Declined, NotRunning
from agent.world import World

SETTLES = 20.0  # seconds in which what was disturbed runs again by itself
PAUSE = 1.0
BOOT, FIRST_PROCESS = "/proc/sys/kernel/random/boot_id", "/proc/1/stat"
STARTED = 19  # of the fields after a process's name: when it began
RANDOM_PORTS, EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range", 32768
DOCKER = "/run/docker.pid"
ANONYMOUS = re.compile(r"[0-9a-f]{64}")
OF_DOCKER = {"bridge", "host", "none"}  # made again each time that it starts
# They end with a session, or are the agent's own for a while
COME_AND_GO = ("user@", "user-runtime-dir@", "session-", "infra-job-", "infra-maintenance-", "infra-moving-")
# These are there after another boot as well
LASTING: tuple[Kind, ...] = ("networks", "volumes")
NAMED = 3  # of what is missing of a kind
WORDS: dict[Kind, tuple[str, str, str]] = {
    "containers": ("containers", "ran before and do not run now", "Docker"),
    "networks": ("Docker networks", "existed before and are gone", "Docker"),
    "volumes": ("volumes", "existed before and are gone", "Docker"),
    "units": ("units", "ran before and do not run now", "systemd"),
    "listening": ("ports", "were listened on before and are not now", "ss"),
}
# What another program's answer may be that is none
UNREADABLE = (OSError, Declined, ValueError, LookupError, TypeError, AttributeError, RecursionError)
T = TypeVar("T")


def take(world: World, manifests: Collection[Manifest]) -> Inventory:
    """What runs and is not of one of these manifests."""
    own = {
        kind: {entry["name"] for manifest in manifests for entry in manifest[kind]}
        for kind in ("containers", "networks", "units")
    }
    ports = sorted({int(entry["port"]) for manifest in manifests for entry in manifest["ports"]})
    inventory: Inventory = {"boot": _boot(world), "docker": _docker(world), "ports": ports}
    looks: dict[Kind, Callable[[], dict[str, str]]] = {
        "containers": lambda: _containers_that_stay(world),
        "networks": lambda: _networks(world),
        "volumes": lambda: _volumes(world),
        "units": lambda: _units_that_stay(world),
        "listening": lambda: _listening(world, own["units"], ports),
    }
    for kind, look in looks.items():
        present: dict[str, str] | None = _answer(look) if _has_such(world, kind) else {}
        inventory[kind] = present and {key: name for key, name in present.items() if name not in own.get(kind, ())}
    return inventory


def _has_such(world: World, kind: Kind) -> bool:
    """Does this host have such things at all: a Docker that does not run, or is not there, has none."""
    if kind in ("units", "listening"):
        return kind == "units" or world.has_command("ss")
    try:
        world.docker_has("/_ping")
    except NotRunning:
        return False
    except UNREADABLE:
        pass
    return True


def losses(world: World, before: Inventory) -> list[str]:
    """What of an inventory is not there any more after SETTLES seconds, a line a kind. After another boot only what
    outlives one counts. Raises nothing: what is not known is said to be so."""
    # An older agent noted down nothing of what it did not know
    kinds: list[Kind] = [kind for kind in WORDS if before.get(kind, {}) is None or before.get(kind)]
    if before.get("boot") != _boot(world):
        kinds = [kind for kind in kinds if kind in LASTING]
    end = world.now() + SETTLES
    while True:
        missing: dict[Kind, list[str] | None] = {kind: _missing(world, before, kind) for kind in kinds}
        if not any(names is None or names for names in missing.values()) or world.now() >= end:
            return [_line(kind, names) for kind, names in missing.items() if names is None or names]
        world.sleep(PAUSE)


def _line(kind: Kind, names: list[str] | None) -> str:
    what, happened, source = WORDS[kind]
    if names is None:
        return f"whether other {what} are unchanged is unknown: {source} does not answer"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{what} {', '.join(names[:NAMED])}{more} {happened}"


def _missing(world: World, before: Inventory, kind: Kind) -> list[str] | None:
    """The names of what is gone; None where that is not known."""
    noted = before.get(kind)
    if noted is None:
        return None
    looks: dict[Kind, Callable[[], dict[str, str]]] = {
        "containers": lambda: _containers(world, {"running", "restarting", "paused"}),
        "networks": lambda: _networks(world),
        "volumes": lambda: _volumes(world),
        "units": lambda: _units(world, "active,activating,reloading"),
        "listening": lambda: _listening(world, (), before.get("ports", ())),
    }
    now = _answer(looks[kind])
    if now is None:
        return None
    losses = {key: name for key, name in noted.items() if key not in now}
    if kind == "containers":
        same = before.get("docker") == _docker(world)
        return [name for id, name in losses.items() if not (same and _has_done_its_work(world, id))]
    return list(losses.values())


def _answer(look: Callable[[], T]) -> T | None:
    """None where it is not installed, is deaf, or says what cannot be read."""
    try:
        return look()
    except UNREADABLE:
        return None


def _boot(world: World) -> str:
    """Of this host: a container on a machine has the machine's boot, and a first process of its own."""
    process = (_answer(lambda: world.head(FIRST_PROCESS, 4096)) or b"").rpartition(b")")[2].split()
    boot = _answer(lambda: world.head(BOOT, 64)) or b""
    return (
        f"{boot.decode(errors='replace').strip()} {process[STARTED].decode() if len(process) > STARTED else ''}".strip()
    )


def _docker(world: World) -> str:
    return (_answer(lambda: world.head(DOCKER, 64)) or b"").decode(errors="replace").strip()


def _containers(world: World, states: Collection[str]) -> dict[str, str]:
    foreign = [
        entry for entry in existing.list_containers(world) if entry.get("State") in states and not _is_ours(entry)
    ]
    return {entry["Id"]: (entry.get("Names") or [entry["Id"][:12]])[0].lstrip("/") for entry in foreign}


def _containers_that_stay(world: World) -> dict[str, str]:
    """Without those that Docker removes when they have ended, and those that are gone by now."""
    stay: dict[str, str] = {}
    for id, name in _containers(world, {"running"}).items():
        with contextlib.suppress(Declined):
            if not _inspect(world, id)["HostConfig"].get("AutoRemove"):
                stay[id] = name
    return stay


def _inspect(world: World, id: str) -> docker.Container:
    return json.loads(world.docker_has(f"/containers/{id}/json"))


def _has_done_its_work(world: World, id: str) -> bool:
    """A job that ended by itself, and that Docker does not start again."""
    details = _answer(lambda: _inspect(world, id))
    if not details:
        return False
    host: docker.HostConfig = details.get("HostConfig") or {}
    policy = (host.get("RestartPolicy") or {}).get("Name") or "no"
    state = details.get("State")
    if not state or policy not in ("no", "on-failure"):
        return False
    return state.get("Status") == "exited" and state.get("ExitCode") == 0


def _networks(world: World) -> dict[str, str]:
    networks: list[docker.Network] = json.loads(world.docker_has("/networks"))
    foreign = [entry for entry in networks if not _is_ours(entry)]
    return {entry["Id"]: entry["Name"] for entry in foreign if entry["Name"] not in OF_DOCKER}


def _volumes(world: World) -> dict[str, str]:
    volumes: docker.Volumes = json.loads(world.docker_has("/volumes"))
    names = [entry["Name"] for entry in volumes["Volumes"] or []]
    # A container that was started with --rm takes its own along
    return {name: name for name in names if not ANONYMOUS.fullmatch(name)}


def _is_ours(entry: docker.ListedContainer | docker.Network) -> bool:
    labels: dict[str, str] = entry.get("Labels") or {}
    return str(labels.get(existing.PROJECT, "")).startswith(existing.OURS)


def _units(world: World, states: str) -> dict[str, str]:
    kinds = "--type=service,socket,timer"
    ran = world.run("systemctl", "list-units", kinds, f"--state={states}", "--plain", "--no-legend", timeout=30)
    if ran.code:
        raise OSError(ran.output)
    rows = [line.split(None, 4) for line in ran.output.splitlines()]
    # A service that has done its work and `exited` runs nothing
    names = [row[0] for row in rows if len(row) > 3 and row[3] != "exited" and not row[0].startswith(COME_AND_GO)]
    return {name: name for name in names}


def _units_that_stay(world: World) -> dict[str, str]:
    """Without those that end by themselves: what a socket, a timer or a request over D-Bus starts, and what was started
    for once. Asked while they run: systemd forgets what has ended."""
    names = list(_units(world, "active"))
    if not names:
        return {}
    property_option = "--property=Id,Type,BusName,TriggeredBy,Transient"
    ran = world.run("systemctl", "show", property_option, *names, timeout=30)
    if ran.code:
        raise OSError(ran.output)
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in ran.output.split("\n\n")
    ]
    by_themselves = {
        state.get("Id")
        for state in blocks
        if state.get("Type") == "dbus"
        or state.get("BusName")
        or state.get("TriggeredBy")
        or state.get("Transient") == "yes"
    }
    return {name: name for name in names if name not in by_themselves}


def _listening(world: World, units: Collection[str], ports: Collection[int]) -> dict[str, str]:
    """Where root's programs listen: not those of sessions, of these units, or at these ports. A port of another
    account's is its own to close."""
    ran = world.run("ss", "-Hnltpe", timeout=30)
    if ran.code:
        raise OSError(ran.output)
    first = int((world.head(RANDOM_PORTS, 64) or b"%d" % EPHEMERAL).split()[0])
    places: dict[str, str] = {}
    for line in ran.output.splitlines():
        fields, process = line.split(), re.search(r"pid=(\d+)", line)
        place = fields[3] if len(fields) > 3 else ""
        port = int(number) if (number := place.rpartition(":")[2]).isdigit() else 0
        if not process or re.search(r"\buid:[1-9]", line) or not 0 < port < first or port in ports:
            continue
        group = (world.head(f"/proc/{process[1]}/cgroup", 4096) or b"").decode(errors="replace")
        if "/user.slice/" not in group and not any(f"/{unit}" in group for unit in units):
            places[place] = place
    return places
