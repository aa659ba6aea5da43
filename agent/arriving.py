"""Data of a system comes from another host: into its place once that host's services are stopped, and used once that
host has given it away for good. See agent/moving.py for the other side.

What is about to happen is on disk before anything is touched: whatever ends an arrival, who runs the move again finds
whether it was begun, and finishes or undoes it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Union

from agent import alive, away, data, health, lock, quoting, steps, store, transaction, units
from agent.backups import making
from agent.documents.moves import (
    ArrivalRecord,
    MoveRecord,
    PrepareAnswer,
    PreparePayload,
    ReadyAnswer,
    ReadyPayload,
    StartAnswer,
    StartPayload,
    UndoAnswer,
    UndoPayload,
)
from agent.outcome import Failed, Refused, reason_of
from agent.slots import probes, running
from agent.store import STATE, Release
from agent.world import World

RECORD = f"{STATE}/arriving.json"
TAKEN = f"{STATE}/taken"
INCOMING = f"{STATE}/incoming"
PURPOSE = "data that arrives from another host"
PATIENCE = 900.0  # seconds: the old host has stopped by then
Say = Callable[[str], None]


def prepare(world: World, payload: PreparePayload, _: Say) -> PrepareAnswer:
    """Where each of `bytes` (path → how many) is to be copied to. What an earlier attempt brought is still there.
    Raises Refused."""
    making.demand_disk(world)
    for volume in payload["volumes"]:
        units.must(world, "docker", "volume", "create", volume)
    places: dict[str, str] = {}
    for path, size in payload["bytes"].items():
        places[path] = f"{path}.incoming"
        if data.foreign_parent(world, path):
            places[path] = f"{INCOMING}{path}"
        world.directory(INCOMING, 0o700, "root", "root")
        # Its rights become those of the data with the first copy
        if not world.exists(places[path]):
            data.demand_room(world, path, size, f"the data of {payload['what']}")
            world.directory(places[path], 0o700, "root", "root")
    return {"places": places}


def ready(world: World, payload: ReadyPayload, say: Say) -> ReadyAnswer:
    """Puts what was copied (`places`) in its place. Nothing uses it before `start`, after a boot neither. Raises
    Refused, after which the host is as it was."""
    system = payload["system"]
    with lock.lock(PURPOSE, say, making.LOCK), lock.lock(PURPOSE, say):
        if world.exists(making.RESTORING) or transaction.load_unfinished(world):
            raise Refused("a release or a restore was interrupted on this host: pulumi up finishes it or rolls it back")
        if _read_record(world):
            raise Refused("another move to this host is unfinished: run that move again first")
        manifest = _release(world).manifest
        own = list(payload["units"])
        was, others = away.record_of(world, system), away.overlapping(world, system, own)
        resting = {unit for record in others.values() for unit in record["units"]}
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(world.wall()))
        arrival: ArrivalRecord = {
            "system": system, "id": payload["id"], "region": payload["region"], "units": own, "was": was,
            "what": payload["what"],
            "running": [] if was else [unit for unit in data.active_units(world, own) if unit not in resting],
            "others": others,
            "moved": [
                {"path": path, "aside": f"{path}.before-{stamp}", "staged": staged}
                for path, staged in payload["places"].items()
            ],
        }  # fmt: skip
        _write(world, arrival)
        try:
            away.fence(world, system, _move_record(payload))
            data.stop(world, manifest, own)
            for moved in arrival["moved"]:
                data.exchange(world, moved["path"], moved["aside"], moved["staged"])
        except BaseException as error:
            failures = _undo(world, arrival, say)
            more = f"; some of it could not be restored: {'; '.join(failures)}" if failures else ""
            why = reason_of(error) if isinstance(error, Exception) else "it was interrupted"
            raise Refused(f"the data of {payload['what']} could not be moved into place{more}: {why}") from None
    return {"ready": True}


def _move_record(payload: ReadyPayload) -> MoveRecord:
    """Until the data is used here, it is with the host that gives it."""
    return {
        "id": payload["id"], "to": payload["from"], "region": payload["region"], "what": payload["what"],
        "units": [*payload["units"]],
    }  # fmt: skip


def start(world: World, payload: StartPayload, say: Say) -> StartAnswer:
    """Starts what uses the data that arrived, and waits until it is healthy. `done` are the release steps that it has
    seen. Safe to repeat. Where it does not run (`why`), `off` is set once nothing here uses that data."""
    system = payload["system"]
    with lock.lock(PURPOSE, say, patience=PATIENCE):
        arrival = _read_record(world)
        if arrival is None or (arrival["system"], arrival["id"]) != (system, payload["id"]):
            raise Refused(f"no data of {payload['what']} has arrived on this host in this move")
        release, since = _release(world), world.wall()
        services = {*payload["services"]}
        if arrival.get("undoing"):
            return _give_up(world, arrival, "an earlier start with this data failed", say)
        if missing := [moved["path"] for moved in arrival["moved"] if world.exists(moved["staged"])]:
            raise Refused(f"the data that arrived is not in place: {', '.join(missing)}")
        try:
            away.lift(world, system, arrival["units"])
            for name in arrival.get("others", {}):
                away.let_go(world, name, arrival["units"])
            steps.note_done(world, data.keys_of(release, services), payload["done"])
            starting = [unit for unit in running(world, release.manifest) if unit in arrival["units"]]
            patience = health.Patience.of(release.manifest, since, say)
            data.start(world, release, services, starting, patience)
            # Through the proxy too: the names lead here next
            own_probes = [
                probe for probe in probes(world, release.manifest) if probe["service"].partition("/")[0] in services
            ]
            health.wait(world, own_probes, {}, patience)
        except (Failed, Refused, OSError) as error:
            return _give_up(world, arrival, reason_of(error), say)
        aside = _finish(world, arrival)
    return {"started": True, "aside": aside}


def _give_up(world: World, arrival: ArrivalRecord, why: str, say: Say) -> StartAnswer:
    """The answer of a start that failed: `off` once nothing here uses what arrived."""
    failures = _undo(world, arrival, say)
    more = f"; some of it could not be restored: {'; '.join(failures)}" if failures else ""
    is_off = not failures or not _is_on(world, arrival["units"])
    return {"started": False, "off": is_off, "why": f"{arrival['what']} did not start on this host{more}: {why}"}


def undo(world: World, payload: UndoPayload, say: Say) -> UndoAnswer:
    """Puts back what was here before data of this move arrived. Raises Refused where it cannot."""
    with lock.lock(PURPOSE, say):
        arrival = _read_record(world)
        if arrival and arrival["id"] == payload["id"] and (failures := _undo(world, arrival, say)):
            raise Refused(f"the earlier data could not be restored: {'; '.join(failures)}")
    return {"undone": arrival is not None}


def _is_on(world: World, names: list[str]) -> bool:
    """Whether one may run still."""
    try:
        return bool(data.active_units(world, names) or data.running_containers(world, _release(world).manifest, names))
    except (Failed, Refused):
        return True


def _finish(world: World, arrival: ArrivalRecord) -> list[str]:
    """Where what was here before is kept."""
    _note(world, arrival, undone=False)
    aside = [moved["aside"] for moved in arrival["moved"] if world.exists(moved["aside"])]
    world.remove(RECORD)
    return aside


def _undo(world: World, arrival: ArrivalRecord, say: Say) -> list[str]:
    """What could not be put back. Safe to repeat: what arrived goes back to where it was copied to, and so is not
    copied again."""
    say(f"restoring the earlier data of {arrival['what']}")
    # From here on no start takes what arrived for being in its place
    _write(world, {**arrival, "undoing": True})
    try:
        data.stop(world, _release(world).manifest, arrival["units"])
        # Before what is older is in its place again
        for name, record in arrival.get("others", {}).items():
            away.fence(world, name, record)
    except Failed as failure:
        return [str(failure)]
    failures: list[str] = []
    for moved in arrival["moved"]:
        try:
            if world.exists(moved["aside"]) or not world.exists(moved["staged"]):
                if world.exists(moved["path"]):
                    world.rename_tree(moved["path"], moved["staged"])
                if world.exists(moved["aside"]):
                    world.rename_tree(moved["aside"], moved["path"])
        except OSError as error:
            failures.append(f"{moved['aside']}: {quoting.error(error)}")
    if failures:
        return failures
    try:
        if arrival["was"]:
            away.fence(world, arrival["system"], arrival["was"])
        else:
            away.lift(world, arrival["system"], arrival["units"])
        _note(world, arrival, undone=True)
        world.remove(RECORD)
        if arrival["running"]:
            units.start(world, arrival["running"])
    except Failed as failure:
        say(f"a service that ran before does not start again: {failure}")
    return []


def _note(world: World, arrival: ArrivalRecord, undone: bool) -> None:
    """What became of the last arrival, for who has lost the answer."""
    record = {"id": arrival["id"], "region": arrival["region"], "at": world.wall(), "undone": undone}
    world.directory(TAKEN, 0o700, "root", "root")
    world.write(f"{TAKEN}/{arrival['system']}.json", json.dumps(record).encode(), 0o600, "root", "root")


def _release(world: World) -> Release:
    release = store.current(world)
    if release is None:
        raise Refused("this host has no release yet: run pulumi up")
    return release


def _read_record(world: World) -> ArrivalRecord | None:
    """Raises Refused where the record is damaged."""
    text = world.read(RECORD)
    if not text:
        return None
    try:
        record = json.loads(text)
        if {"system", "id", "units", "moved", "running", "was", "region", "what"} <= {*record}:
            return record
    except (ValueError, TypeError, RecursionError):
        pass
    raise Refused(
        f"{RECORD}, the record of arriving data, cannot be read: the earlier data is beside it as *.before-DATE"
    )


def _write(world: World, arrival: ArrivalRecord) -> None:
    world.directory(STATE, 0o700, "root", "root")
    world.write(RECORD, json.dumps(arrival, sort_keys=True).encode(), 0o600, "root", "root")


Answer = Union[PrepareAnswer, ReadyAnswer, StartAnswer, UndoAnswer]
# Each takes the payload of its name
ANSWERS: dict[str, Callable[[World, Any, Say], Answer]] = {
    "prepare": prepare, "ready": ready, "start": start, "undo": undo,
}  # fmt: skip


def handle(world: World, what: str, payload: Any, say: Say) -> Answer:
    """What a move asks. A connection that is cut ends nothing of it. Raises Refused."""
    return ANSWERS[what](world, payload, alive.outlive_connection(say))
