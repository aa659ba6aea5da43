"""Systems whose data another host has: their units rest here, whatever a release, the monitor or a boot would start.
A move writes the records: see agent/moving.py."""

from __future__ import annotations

import json
from typing import cast

from agent import units
from agent.documents.manifest import Manifest
from agent.documents.moves import MoveRecord
from agent.managers import group_by_account, has_manager, split, systemctl
from agent.world import World

HELD, GONE = "/run/infra/away", "/etc/infra/away"  # as in agent/moving.py
DROP_IN = "zz-infra-away-"


def records(world: World) -> dict[str, MoveRecord]:
    """System → where its data is. One that cannot be read says nothing; its units are held by systemd all the same."""
    record_of_system: dict[str, MoveRecord] = {}
    for place in (HELD, GONE):
        for name in world.listing(place):
            if name.endswith(".json") and (record := _read(world, f"{place}/{name}")):
                record_of_system[name[: -len(".json")]] = record
    return record_of_system


def resting_systems(world: World, manifest: Manifest | None) -> dict[str, str]:
    """What rests → where its data is, of what the release has: what it gave away for good is no concern of its."""
    own = {unit["name"] for unit in manifest["units"]} if manifest else set[str]()
    concerned = {name: record for name, record in records(world).items() if own & {*record["units"]}}
    return {str(record.get("what", name)): _place(record) for name, record in concerned.items()}


def _place(record: MoveRecord) -> str:
    # Of a system that went from host to host the place names the host
    region = record["region"]
    return region.rstrip("@") if "@" in region else f"{record['to']} in {region}"


def record_of(world: World, system: str) -> MoveRecord | None:
    return _read(world, f"{GONE}/{system}.json")


def resting(world: World) -> set[str]:
    """The units of those systems."""
    return {unit for record in records(world).values() for unit in record["units"]}


def where(world: World, unit: str) -> str:
    """The host that has the data of a unit's system; "" where this one has."""
    return next((_place(record) for record in records(world).values() if unit in record["units"]), "")


def fence(world: World, system: str, record: MoveRecord) -> None:
    """Has systemd skip the units of a system until `lift`."""
    world.directory(GONE, 0o755, "root", "root")
    world.write(f"{GONE}/{system}.json", json.dumps(record, sort_keys=True).encode(), 0o644, "root", "root")
    lines = [f"ConditionPathExists=!{place}/{system}.json" for place in (HELD, GONE)]
    text = "\n".join(["# The data of these services is on another host", "[Unit]", *lines, ""])
    for path in _fences(system, record["units"]):
        world.write(path, text.encode(), 0o644, "root", "root")
    _reload(world, record["units"])


def overlapping(world: World, system: str, names: list[str]) -> dict[str, MoveRecord]:
    """The records of other moves that some of the units rest by."""
    others = {name: record_of(world, name) for name in records(world) if name != system}
    return {name: record for name, record in others.items() if record and {*record["units"]} & {*names}}


def let_go(world: World, system: str, names: list[str]) -> None:
    """Some units of a record are not held by it any more: their data came by another move."""
    record = record_of(world, system)
    if record is None:
        return
    remaining = [unit for unit in record["units"] if unit not in names]
    fenced_units = [unit for unit in record["units"] if unit in names]
    for path in _fences(system, fenced_units):
        world.remove(path)
    if remaining:
        record["units"] = remaining
        text = json.dumps(record, sort_keys=True)
        world.write(f"{GONE}/{system}.json", text.encode(), 0o644, "root", "root")
    else:
        world.remove(f"{GONE}/{system}.json")
    _reload(world, fenced_units)


def lift(world: World, system: str, names: list[str]) -> None:
    """The data is here."""
    world.remove(f"{GONE}/{system}.json")
    for path in _fences(system, names):
        world.remove(path)
    _reload(world, names)


def _reload(world: World, names: list[str]) -> None:
    units.must(world, "systemctl", "daemon-reload")
    for account in group_by_account(names):
        if account and has_manager(world, account):
            systemctl(world, account, "daemon-reload")


def _fences(system: str, names: list[str]) -> list[str]:
    paths: list[str] = []
    for name in names:
        account, unit = split(name)
        paths.append(f"/etc/systemd/{'user' if account else 'system'}/{unit}.d/{DROP_IN}{system}.conf")
    return paths


def _read(world: World, path: str) -> MoveRecord | None:
    try:
        record = json.loads(world.read(path) or b"null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    entry = cast("dict[str, object]", record)
    names = entry.get("units")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[object]", names)):
        return None
    is_whole = all(isinstance(entry.get(key), str) for key in ("id", "to", "region"))
    return cast("MoveRecord", entry) if is_whole else None
