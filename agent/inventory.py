"""What runs on a host beside its release: noted down before a switch and compared after a rollback, which claims only
then that all is as before. The release's own files and units are in the transaction, its services in the probes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from agent import existing
from agent.engine import Declined
from agent.world import World

SETTLES = 20.0  # seconds in which what was disturbed runs again by itself
PAUSE = 1.0
BOOT = "/proc/sys/kernel/random/boot_id"
EPHEMERAL = 32768  # ports that the kernel gives away at random begin here
ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# They end with a session or when nothing asks them
COME_AND_GO = ("user@", "user-runtime-dir@", "session-", "infra-")
# These are there after another boot as well
LASTING = ("networks", "volumes")
STARTED_AT_BOOT = {"enabled", "enabled-runtime", "generated"}
WORDS = {
    "containers": "the container {name} ran before, and does not now",
    "networks": "Docker's network {name} existed before, and is gone",
    "volumes": "the volume {name} existed before, and is gone",
    "units": "{name} ran before, and does not now",
    "listening": "a program listened at {name} before, and none does now",
}


def taken(world: World, manifests: Collection[dict[str, Any]]) -> dict[str, Any]:
    """Kind → key → name of what runs and is not of one of these manifests; a kind that the host does not answer for has
    no entry. `boot` is the host's boot."""
    own = {
        kind: {entry["name"] for manifest in manifests for entry in manifest[kind]}
        for kind in ("containers", "networks", "units")
    }
    found = _looked(world)
    others = {
        kind: {key: name for key, name in of.items() if name not in own.get(kind, ())} for kind, of in found.items()
    }
    return {"boot": _boot(world), **others}


def lost(world: World, before: dict[str, Any], but: Collection[int] = ()) -> list[str]:
    """What of an inventory is not there any more after SETTLES seconds; ports in `but` are passed over. After another
    boot only what outlives one counts."""
    kinds = [kind for kind in WORDS if kind in before]
    if before.get("boot") != _boot(world):
        kinds = [kind for kind in kinds if kind in LASTING]
    end = world.now() + SETTLES
    while True:
        now = _looked(world)
        missing = {
            kind: {key: name for key, name in before[kind].items() if key not in now[kind]}
            for kind in kinds
            if kind in now
        }
        missing["units"] = _enabled(world, missing.get("units", {}))
        missing["listening"] = {
            key: name for key, name in missing.get("listening", {}).items() if _port(key) not in but
        }
        if not any(missing.values()) or world.now() >= end:
            return [WORDS[kind].format(name=name) for kind in WORDS for name in missing.get(kind, {}).values()]
        world.sleep(PAUSE)


def _boot(world: World) -> str:
    # The kernel refuses to be asked for more than it could ever say there
    return (world.head(BOOT, 64) or b"").decode().strip()


def _looked(world: World) -> dict[str, dict[str, str]]:
    looks = {
        "containers": _containers, "networks": _networks, "volumes": _volumes, "units": _units, "listening": _listening,
    }  # fmt: skip
    found = {}
    for kind, look in looks.items():
        try:
            found[kind] = look(world)
        except (OSError, Declined, ValueError):
            # Not installed yet, or deaf: nothing is said of it
            continue
    return found


def _containers(world: World) -> dict[str, str]:
    running = [entry for entry in existing.listed(world) if entry.get("State") == "running"]
    return {entry["Id"]: entry["Names"][0].lstrip("/") for entry in running if not _is_ours(entry)}


def _networks(world: World) -> dict[str, str]:
    listed = [entry for entry in json.loads(world.docker_has("/networks")) if not _is_ours(entry)]
    # Docker makes its own ones each time that it starts
    return {entry["Id"]: entry["Name"] for entry in listed if entry["Name"] not in ("bridge", "host", "none")}


def _volumes(world: World) -> dict[str, str]:
    names = [entry["Name"] for entry in json.loads(world.docker_has("/volumes"))["Volumes"] or []]
    # A container that was started with --rm takes its own along
    return {name: name for name in names if not ANONYMOUS.fullmatch(name)}


def _is_ours(entry: dict[str, Any]) -> bool:
    return str((entry.get("Labels") or {}).get(existing.PROJECT, "")).startswith(existing.OURS)


def _units(world: World) -> dict[str, str]:
    ran = world.run(
        "systemctl", "list-units", "--type=service,socket,timer", "--state=active", "--plain", "--no-legend", timeout=30
    )  # fmt: skip
    if ran.code:
        raise OSError(ran.output)
    rows = [line.split(None, 4) for line in ran.output.splitlines()]
    # A service that has done its work and `exited` runs nothing
    names = [row[0] for row in rows if len(row) > 3 and row[3] != "exited" and not row[0].startswith(COME_AND_GO)]
    return {name: name for name in names}


def _enabled(world: World, names: dict[str, str]) -> dict[str, str]:
    """Those that systemd starts at boot: others are started by what asks them, and end by themselves."""
    how = {name: world.run("systemctl", "is-enabled", name, timeout=30).output.split() for name in names}
    return {name: name for name in names if STARTED_AT_BOOT & {*how[name][-1:]}}


def _listening(world: World) -> dict[str, str]:
    ran = world.run("ss", "-Hnlt", timeout=30)
    if ran.code:
        raise OSError(ran.output)
    places = {fields[3] for line in ran.output.splitlines() if len(fields := line.split()) > 3}
    return {place: place for place in places if 0 < _port(place) < EPHEMERAL}


def _port(place: str) -> int:
    number = place.rpartition(":")[2]
    return int(number) if number.isdigit() else 0
