"""A service's backup, made and remembered: whole, or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from agent import away, lock, mounts, quoting, store
from agent.backups import restic
from agent.documents.backups import (
    BackupAnswer,
    BackupRecord,
    BackupSize,
    GoodBackup,
    ServiceBackups,
)
from agent.documents.manifest import Backup, Manifest
from agent.outcome import Refused
from agent.store import STATE
from agent.world import TIMED_OUT, CommandResult, World

RECORDS = f"{STATE}/backups"
# One at a time: restic refuses what meets a removal of old backups, or a check
LOCK = "/run/infra/backups.lock"
PATIENCE = 3 * 3600.0  # seconds
RESTORING = f"{STATE}/restoring.json"  # there while a restore is not finished
UNFINISHED = "unfinished"
Say = Callable[[str], None]


def entries(world: World) -> dict[str, Backup]:
    """What the release that serves says of backups, by service."""
    release = store.current(world)
    return {entry["service"]: entry for entry in release.manifest["backups"]} if release else {}


def entry_of(world: World, service: str) -> Backup:
    """Raises Refused for a service that has no backup here."""
    services = entries(world)
    if service not in services:
        has = (
            f"services with a backup: {', '.join(sorted(services))}" if services else "no service of this host has one"
        )
        raise Refused(f"{quoting.quote(service)} has no backup defined on this host; {has}")
    if there := next(filter(None, (away.where(world, unit) for unit in services[service]["units"])), ""):
        raise Refused(
            f"the data of {service} is not on this host: it moved to {there}. If that host is lost, remove the file "
            "below /etc/infra/away here and reboot: this host then uses the older copy that it has"
        )
    return services[service]


def demand_disk(world: World) -> None:
    """Raises Refused while the disk that this host's data is on is not mounted."""
    if release := store.current(world):
        mounts.demand(world, release.manifest)


def back_up(world: World, service: str, say: Say) -> BackupAnswer:
    """Takes a backup now, and lets go of those that are not to be kept any more. Raises Refused, and remembers why."""
    entry = entry_of(world, service)
    with lock.lock(f"backup of {service}", say, LOCK, PATIENCE):
        began = world.wall()
        try:
            if world.exists(RESTORING):
                raise Refused("a restore was interrupted, so the data in place is incomplete: see infra status")
            demand_disk(world)
            restic.ready(world)
            say(f"backing up {service}")
            stored = _back_up_dump(world, entry) if entry["dump"] else _back_up_files(world, entry)
        except (Refused, OSError) as error:
            reason = str(error) if isinstance(error, Refused) else quoting.error(error)
            remember(world, service, {"failed": {"at": world.wall(), "why": reason}})
            raise Refused(f"no backup of {service}: {reason}") from None
        good: GoodBackup = {**stored, "at": world.wall(), "seconds": round(world.wall() - began, 1)}
        remember(world, service, {"good": good, "failed": None})
        return {"service": service, **good, "warning": _forget_old(world, entry)}


def _back_up_dump(world: World, entry: Backup) -> BackupSize:
    """restic gets the end of its input only when the command has ended well. An agent that is killed closes it too:
    what is under way is marked as unfinished until both have ended. So there is no backup of half a dump."""
    service = entry["service"]
    _forget_unfinished(world, service)
    marks = restic.marks(world, service, UNFINISHED)
    dump, stored, size = world.pipe(
        ["docker", "exec", entry["container"], *entry["dump"]],
        restic.command("backup", "--json", "--stdin", "--stdin-filename", f"{service}.dump", *marks),
        restic.LONG,
        restic.environment(world),
    )
    if stored.code not in (0, TIMED_OUT):
        raise Refused(f"restic: {restic.reason(stored)}")
    if dump.code:
        how = "did not finish" if dump.code == TIMED_OUT else f"ended with {dump.code}"
        raise Refused(f"its dump {how}: {dump.last_lines(3)}")
    if not size:
        raise Refused(f"its dump is empty: {dump.last_lines(3) or 'it printed nothing'}")
    if stored.code:
        raise Refused("restic did not finish")
    ran = restic.run(world, "tag", "--set", f"service={service}", _snapshot(stored), timeout=3600)
    if ran.code:
        raise Refused(f"restic: {restic.reason(ran)}")
    return {"snapshot": restic.choose_snapshot(world, service, None).id, "bytes": size}


def _forget_unfinished(world: World, service: str) -> None:
    """What one that was killed left. It is removed with the next old backups; nothing restores it meanwhile."""
    unfinished = restic.snapshots(world, service, UNFINISHED)
    if unfinished:
        restic.run(world, "forget", *(snapshot.id for snapshot in unfinished), timeout=3600)


def _back_up_files(world: World, entry: Backup) -> BackupSize:
    if missing := [path for path in entry["paths"] if not world.exists(path)]:
        raise Refused(f"{', '.join(missing)} does not exist")
    ran = restic.run(world, "backup", "--json", *restic.marks(world, entry["service"]), *entry["paths"])
    if ran.code == restic.INCOMPLETE:
        raise Refused(f"some files could not be read, the backup has all others: {restic.reason(ran)}")
    if ran.code:
        raise Refused(f"restic: {restic.reason(ran)}")
    id = _snapshot(ran)
    # The summary has the id
    return {"snapshot": id, "bytes": int(restic.answer(ran).get("total_bytes_processed", 0))}


def _snapshot(ran: CommandResult) -> str:
    summary = restic.answer(ran)
    id = cast("dict[str, object]", summary).get("snapshot_id") if isinstance(summary, dict) else None
    if not isinstance(id, str) or not id:
        raise Refused(f"restic did not report which backup it made: {ran.last_lines(2)}")
    return id


def _forget_old(world: World, entry: Backup) -> str:
    """Forgets what is not kept any more; what of that did not happen, "" where all did."""
    keeps = [word for span, count in entry["keep"].items() if count for word in (f"--keep-{span}", str(count))]
    marks = restic.marks(world, entry["service"])
    # What was made by hand before something risky outlives the night
    ran = restic.run(world, "forget", "--prune", "--group-by", "host,tags", "--keep-within", "2d", *keeps, *marks)
    return f"old backups of {entry['service']} could not be removed: {restic.reason(ran)}" if ran.code else ""


def record(world: World, service: str) -> BackupRecord:
    """What is remembered of a service's backups; an entry that is damaged is none."""
    try:
        content = json.loads(world.read(f"{RECORDS}/{service}.json") or b"{}")
    except (ValueError, RecursionError):
        return {}
    entries = cast("dict[str, object]", content) if isinstance(content, dict) else {}
    return cast("BackupRecord", {name: value for name, value in entries.items() if _is_whole(name, value)})


def _is_whole(name: str, value: object) -> bool:
    time = cast("dict[str, object]", value).get("at") if isinstance(value, dict) else value
    return isinstance(time, (int, float)) or (value is None and name != "since")


def remember(world: World, service: str, news: BackupRecord) -> None:
    world.directory(RECORDS, 0o700, "root", "root")
    text = json.dumps({**record(world, service), **news}, sort_keys=True)
    world.write(f"{RECORDS}/{service}.json", text.encode(), 0o600, "root", "root")


def note_begin(world: World, manifest: Manifest) -> None:
    """From a release on a service's backups are waited for."""
    for entry in manifest["backups"]:
        if not record(world, entry["service"]):
            remember(world, entry["service"], {"since": world.wall()})


def list_backups(world: World) -> list[ServiceBackups]:
    """Each service that has backups: those that there are, and what is remembered."""
    return [_service_backups(world, service) for service in sorted(entries(world))]


def _service_backups(world: World, service: str) -> ServiceBackups:
    remembered = record(world, service)
    remembered.pop("since", None)
    backups = restic.snapshots(world, service)
    return {**remembered, "service": service, "backups": [{"id": backup.id, "at": backup.at} for backup in backups]}


def verify(world: World, everything: bool, say: Say) -> str:
    """Checks the repository, and reads a tenth of its data or all of it. Raises Refused."""
    with lock.lock("verifying backups", say, LOCK, PATIENCE):
        return _verify_repository(world, everything, say)


def _verify_repository(world: World, everything: bool, say: Say) -> str:
    say(f"checking the repository and reading {'all' if everything else 'a tenth'} of its data")
    restic.run(world, "unlock", timeout=300)
    # Another tenth each day
    part = f"--read-data-subset={int(world.wall() // 86400) % 10 + 1}/10"
    ran = restic.run(world, "check", "--read-data" if everything else part)
    if (
        ran.code
        and restic.ABSENT.search(ran.output)
        and not any(record(world, name).get("good") for name in entries(world))
    ):
        return "there is no backup to verify yet"
    if ran.code:
        raise Refused(f"the repository of backups is damaged or cannot be read: {restic.reason(ran)}")
    return "no errors found"
