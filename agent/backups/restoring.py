"""A service's data, back from a backup: in its place, with what was there set aside, or into a directory.

What is about to happen is on disk before anything is touched: whatever ends a restore, the data that was there is put
back, by the restore itself, by the next job or at boot.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent import alive, data, health, lock, quoting, slots, steps, store, transaction, units
from agent.backups import making, restic
from agent.documents.backups import RestoreAnswer, RestoreRecord
from agent.documents.manifest import Backup
from agent.outcome import Failed, Refused, reason_of
from agent.store import STATE, Release
from agent.world import TIMED_OUT, World

RECORD = making.RESTORING
PURPOSE = "restoring a backup"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Replacement:
    """The data of a backup that takes the place of a service's own: the release that serves, the service's entry in it,
    and the backup. `staged` is path → where its content of the backup is, on the same disk; a dump has none."""

    release: Release
    entry: Backup
    snapshot: restic.Snapshot
    staged: dict[str, str]


def restore_into(world: World, service: str, id_prefix: str | None, directory: str, say: Say) -> RestoreAnswer:
    """Puts a backup into a directory that is empty or not there yet. Raises Refused."""
    entry = making.entry_of(world, service)
    if not re.fullmatch(r"(/[^/\0-\x1f]+)+", directory) or {".", ".."} & {*directory.split("/")}:
        raise Refused(f"{quoting.quote(directory)} is not an absolute directory, such as /root/restored")
    if world.exists(directory):
        raise Refused(f"{quoting.quote(directory)} already exists: name a new directory")
    _demand_own_parent(world, directory)
    snapshot = restic.choose_snapshot(world, service, id_prefix)
    data.demand_room(world, directory, restic.size(world, snapshot))
    say(f"restoring {service} from backup {snapshot} into {directory}")
    world.directory(directory, 0o700, "root", "root")
    ran = restic.run(world, "restore", snapshot.id, "--target", directory)
    if ran.code:
        raise Refused(f"restic: {restic.reason(ran)}; the files restored so far are in {quoting.quote(directory)}")
    return {
        "service": service,
        "snapshot": snapshot.id,
        "at": snapshot.at,
        "into": directory,
        "dump": bool(entry["dump"]),
    }


def restore_in_place(world: World, service: str, id_prefix: str | None, say: Say) -> RestoreAnswer:
    """Gives a service the data of a backup, the newest where there is no `id_prefix`, and starts it and what depends on
    it. What was there is kept beside it. Raises Refused, after which it has its own data again."""
    # A connection that is cut ends no restore
    say = alive.outlive_connection(say)
    # What is stopped meanwhile is not dumped
    with lock.lock(f"restore of {service}", say, making.LOCK, making.PATIENCE), lock.lock(PURPOSE, say):
        undo_interrupted(world, say)
        if transaction.load_unfinished(world):
            raise Refused(
                "a release was interrupted on this host: pulumi up finishes it or rolls it back; then run again"
            )
        release, entry = store.current(world), making.entry_of(world, service)
        assert release, "it has an entry"
        snapshot = restic.choose_snapshot(world, service, id_prefix)
        if missing := [path for path in entry["paths"] if not entry["dump"] and path not in snapshot.paths]:
            raise Refused(
                f"backup {snapshot} of {service} does not have {', '.join(missing)}: restore it with --to DIR"
            )
        making.demand_disk(world)
        for path in entry["paths"]:
            _demand_own_parent(world, path)
        for volume in entry["volumes"]:
            units.must(world, "docker", "volume", "create", volume)
        data.demand_room(world, entry["paths"][0], restic.size(world, snapshot))
        say(f"restoring {service} from backup {snapshot}")
        staged = {} if entry["dump"] else _fetch(world, entry, snapshot)
        return _switch(world, Replacement(release, entry, snapshot, staged), say)


def _demand_own_parent(world: World, path: str) -> None:
    """Raises Refused where another account than root could put a link in the place of what is restored."""
    if why := data.foreign_parent(world, path):
        raise Refused(
            f"{why}: restore with --to into a directory that root owns, such as /root/restored, and copy "
            "the data from there"
        )


def _beside(path: str, what: str) -> str:
    return f"{path}.{what}"


def _fetch(world: World, entry: Backup, snapshot: restic.Snapshot) -> dict[str, str]:
    """Path → where its content of the backup is, on the same disk. Raises Refused."""
    staged: dict[str, str] = {}
    try:
        for path in entry["paths"]:
            place = _beside(path, "restored")
            world.remove_tree(place)
            world.directory(place, 0o700, "root", "root")
            staged[path] = f"{place}{path}"
            ran = restic.run(world, "restore", snapshot.id, "--target", place, "--include", path)
            if ran.code or not world.exists(staged[path]):
                why = restic.reason(ran) if ran.code else f"the backup has no {path}"
                raise Refused(f"restic: {why}; nothing was touched")
    except BaseException:
        for path in staged:
            world.remove_tree(_beside(path, "restored"))
        raise
    return staged


def _switch(world: World, replacement: Replacement, say: Say) -> RestoreAnswer:
    release, entry, snapshot = replacement.release, replacement.entry, replacement.snapshot
    service, patience = entry["service"], health.Patience.of(release.manifest, world.wall(), say)
    dependents = [unit for name in entry["dependents"] for unit in slots.units_of_service(release.manifest, name)]
    concerned = [unit for unit in release.unit_names if unit in {*entry["units"], *dependents}]
    # One that starts again and again is to run as well: what is wrong with it may be its data
    running = data.active_units(world, concerned)
    ill = _unhealthy(world, release, entry["dependents"])
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(world.wall()))
    restoration: RestoreRecord = {
        "service": service, "snapshot": snapshot.id, "running": running, "stops": concerned,
        "moved": [{"path": path, "aside": _beside(path, f"before-{stamp}")} for path in entry["paths"]],
    }  # fmt: skip
    _write(world, restoration)
    try:
        say(f"stopping {', '.join(running) or 'nothing'}")
        data.stop(world, release.manifest, concerned)
        for moved in restoration["moved"]:
            data.exchange(world, moved["path"], moved["aside"], replacement.staged.get(moved["path"]))
        starting = [unit for unit in slots.running(world, release.manifest) if unit in concerned]
        if entry["dump"]:
            _start_and_load(world, replacement, patience)
            starting = [unit for unit in starting if unit not in entry["units"]]
        again = {service, *entry["dependents"]}
        steps.forget_done(world, data.keys_of(release, again))
        data.start(world, release, again, starting, patience)
        data.judge(world, release, [service, *entry["dependents"]], ill, patience)
    except BaseException as error:
        reason = reason_of(error) if isinstance(error, Exception) else "it was interrupted"
        say("restoring the earlier data")
        failures = undo(world, restoration, say)
        how = (
            f"; some of it could not be restored: {'; '.join(failures)}"
            if failures
            else ", and its earlier data is back in place"
        )
        raise Refused(f"{service} could not be restored from backup {snapshot}{how}: {reason}") from None
    finally:
        for path in replacement.staged:
            world.remove_tree(_beside(path, "restored"))
    world.remove(RECORD)
    aside = [moved["aside"] for moved in restoration["moved"] if world.exists(moved["aside"])]
    return {"service": service, "snapshot": snapshot.id, "at": snapshot.at, "aside": aside, "started": concerned}


def _unhealthy(world: World, release: Release, services: list[str]) -> list[str]:
    """Those that do not answer now."""
    own_probes = slots.own_probes(world, release.manifest, services)
    return [name.partition("/")[0] for name, status in health.once(world, own_probes).items() if status != 200]


def _start_and_load(world: World, replacement: Replacement, patience: health.Patience) -> None:
    """Starts the empty service, and has it read the dump. Raises Failed."""
    entry = replacement.entry
    units.start(world, entry["units"], patience.deadline)
    data.wait_for(world, replacement.release, [entry["service"]], patience)
    load(world, entry["container"], entry, replacement.snapshot, patience.say)


def load(world: World, container: str, entry: Backup, snapshot: restic.Snapshot, say: Say) -> int:
    """Has a container read a dump: the bytes that it read. Raises Failed."""
    say(f"loading the dump of {entry['service']}")
    dump, load_command, size = world.pipe(
        restic.command("dump", snapshot.id, f"/{entry['service']}.dump"),
        ["docker", "exec", "-i", container, *entry["load"]],
        restic.LONG,
        restic.environment(world),
    )
    if load_command.code not in (0, TIMED_OUT):
        raise Failed(f"the load command ended with {load_command.code}: {load_command.last_lines(3)}")
    if dump.code:
        raise Failed(f"restic: {restic.reason(dump)}")
    if load_command.code or not size:
        raise Failed(f"the dump was not loaded: {'it is empty' if not size else 'it took too long'}")
    return size


def undo_interrupted(world: World, say: Say) -> None:
    """Puts back what an interrupted restore set aside. Raises Refused where it cannot."""
    text = world.read(RECORD)
    if not text:
        return
    try:
        restoration: RestoreRecord = json.loads(text)
        say(f"a restore of {restoration['service']} was interrupted: its earlier data is restored")
        failures = undo(world, restoration, say, keep=True)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Refused(
            f"the record of an interrupted restore cannot be read: the earlier data is beside its place as "
            f"*.before-DATE; move it back by hand, then remove {RECORD}"
        ) from None
    if failures:
        raise Refused(f"an interrupted restore of {restoration['service']} could not be undone: {'; '.join(failures)}")


def undo(world: World, restoration: RestoreRecord, say: Say, keep: bool = False) -> list[str]:
    """The data that was there, and what ran; what of the data could not be put back. Safe to repeat. Long after the
    restore something may have been written to its place: with `keep` it is set aside too."""
    units.stop(world, list(reversed(restoration["stops"])))
    try:
        if still := data.active_units(world, restoration["stops"]):
            return [f"{restoration['moved'][0]['aside']} stays where it is, since these still run: {', '.join(still)}"]
    except Failed as failure:
        return [str(failure)]
    failures: list[str] = []
    for moved in restoration["moved"]:
        try:
            if world.exists(moved["aside"]):
                if keep and world.exists(moved["path"]):
                    world.rename_tree(moved["path"], moved["aside"].replace(".before-", ".interrupted-"))
                world.remove_tree(moved["path"])
                world.rename_tree(moved["aside"], moved["path"])
            world.remove_tree(_beside(moved["path"], "restored"))
        except OSError as error:
            failures.append(f"{moved['aside']} could not be put back: {quoting.error(error)}")
    if failures:
        return failures
    # From here on the data is right, whatever does not start
    world.remove(RECORD)
    try:
        if restoration["running"]:
            units.start(world, restoration["running"])
    except Failed as failure:
        say(f"a service that ran before does not start again: {failure}")
    return []


def _write(world: World, restoration: RestoreRecord) -> None:
    world.directory(STATE, 0o700, "root", "root")
    world.write(RECORD, json.dumps(restoration, sort_keys=True).encode(), 0o600, "root", "root")
