"""Is a backup good for anything: restored into scratch volumes, the service started on it and asked for its health, and
all of it removed again. Nothing that serves has any part in it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

from agent import checks, compose, data, lock, units
from agent.backups import making, restic, restoring
from agent.documents.backups import DrillAnswer
from agent.documents.manifest import Backup
from agent.engine import Declined
from agent.outcome import Failed, Refused, reason_of
from agent.store import STATE
from agent.world import CommandResult, World

PLACE = "/run/infra/drills"
SCRATCH = f"{STATE}/drill"
NAME, LABEL = "infra-drill-", "infra.drill"  # as in rendering/backups.py
VOLUMES = "/var/lib/docker/volumes"
DEADLINE = 300.0  # seconds until a container on restored data is healthy
Say = Callable[[str], None]


def drill(world: World, service: str, id_prefix: str | None, say: Say) -> DrillAnswer:
    """What was restored, how long it took, and whether the service was started on it. Raises Refused, and remembers
    why."""
    entry = making.entry_of(world, service)
    with lock.lock(f"drill of {service}", say, making.LOCK, making.PATIENCE):
        began = world.wall()
        snapshot = restic.choose_snapshot(world, service, id_prefix)
        data.demand_room(world, STATE, restic.size(world, snapshot))
        _clear(world, entry)
        try:
            size = _try_restore(world, entry, snapshot, say)
        except (Failed, Refused, OSError) as error:
            reason = str(error) if isinstance(error, Refused) else reason_of(error)
            making.remember(world, service, {"drill": {"at": world.wall(), "snapshot": snapshot.id, "why": reason}})
            raise Refused(f"drill of {service}, backup {snapshot}: {reason}") from None
        finally:
            _clear(world, entry)
        at, is_started = world.wall(), bool(entry["health"])
        seconds = round(at - began, 1)
        making.remember(
            world, service,
            {"drill": {
                "at": at, "snapshot": snapshot.id, "bytes": size, "started": is_started, "seconds": seconds,
            }},
        )  # fmt: skip
        return {
            "service": service, "of": snapshot.at,
            "at": at, "snapshot": snapshot.id, "bytes": size, "started": is_started, "seconds": seconds,
        }  # fmt: skip


def _try_restore(world: World, entry: Backup, snapshot: restic.Snapshot, say: Say) -> int:
    say(f"restoring {entry['service']} from backup {snapshot} into scratch")
    if entry["dump"] and not entry["health"]:
        return _read(world, entry, snapshot)
    size = 0 if entry["dump"] else _files(world, entry, snapshot)
    if not entry["health"]:
        return size
    for volume in entry["scratch"].values():
        units.must(world, "docker", "volume", "create", volume)
    say(f"starting {entry['service']} on it")
    _up(world, entry)
    _wait(world, entry)
    if not entry["dump"]:
        return size
    loaded = restoring.load(world, f"{NAME}{entry['service']}", entry, snapshot, say)
    _wait(world, entry)
    return loaded


def _read(world: World, entry: Backup, snapshot: restic.Snapshot) -> int:
    """Reads a dump whole: the container that loads it depends on others."""
    dump, _, size = world.pipe(
        restic.command("dump", snapshot.id, f"/{entry['service']}.dump"),
        ["cat"],
        restic.LONG,
        restic.environment(world),
    )
    if dump.code or not size:
        raise Failed(f"restic: {restic.reason(dump) if dump.code else 'the dump is empty'}")
    return size


def _files(world: World, entry: Backup, snapshot: restic.Snapshot) -> int:
    """The files, in their scratch volumes where the service is started on them, else in a directory: their bytes."""
    for path in entry["paths"]:
        volume = entry["scratch"].get(path) if entry["health"] else None
        place = f"{VOLUMES}/{volume}/restored" if volume else SCRATCH
        if volume:
            units.must(world, "docker", "volume", "create", volume)
        world.directory(place, 0o700, "root", "root")
        ran = restic.run(world, "restore", snapshot.id, "--target", place, "--include", path, "--verify")
        if ran.code or not world.exists(f"{place}{path}"):
            raise Failed(f"restic: {restic.reason(ran) if ran.code else f'the backup has no {path}'}")
        if volume:
            world.remove_tree(f"{VOLUMES}/{volume}/_data")
            world.rename_tree(f"{place}{path}", f"{VOLUMES}/{volume}/_data")
    return restic.size(world, snapshot)


def _compose(world: World, entry: Backup, *words: str, timeout: float) -> CommandResult:
    program = compose.demand(world.can.compose).path
    return world.run(program, "-p", f"{NAME}{entry['service']}", "-f", f"{PLACE}/compose.yml", *words, timeout=timeout)


def _up(world: World, entry: Backup) -> None:
    world.directory(PLACE, 0o700, "root", "root")
    world.write(f"{PLACE}/compose.yml", entry["drill"].encode(), 0o600, "root", "root")
    ran = _compose(world, entry, "up", "-d", timeout=600)
    if ran.code:
        raise Failed(f"it did not start: {ran.last_lines(3)}")


def _wait(world: World, entry: Backup) -> None:
    end = world.now() + DEADLINE
    while True:
        fault = _fault(world, entry)
        if not fault:
            return
        if world.now() > end:
            log = world.run("docker", "logs", "--tail", "20", f"{NAME}{entry['service']}", timeout=30)
            raise Failed(f"it is not healthy on the restored data: {fault}; its log ends: {log.last_lines(5)}")
        world.sleep(1.0)


def _fault(world: World, entry: Backup) -> str:
    """Why it is not healthy; "" where it is."""
    url = entry["health"]
    if "ADDRESS" in url:
        address = _address(world, f"{NAME}{entry['service']}")
        if not address:
            return "it has no address"
        url = url.replace("ADDRESS", address)
    if url.startswith("http"):
        status = checks.status(world, url)
        return "" if status == 200 else f"it answers {status}" if status else "it does not answer"
    return checks.fault(world, url)


def _address(world: World, container: str) -> str:
    try:
        details = json.loads(world.docker_has(f"/containers/{container}/json"))
        networks = details["NetworkSettings"]["Networks"].values()
        return next((str(network["IPAddress"]) for network in networks if network.get("IPAddress")), "")
    except (OSError, Declined, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def forget_leftovers(world: World) -> None:
    """Ends what a drill that was killed left running: its container has the service's passwords and data."""
    ran = world.run("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}", timeout=60)
    if ran.code or not ran.output.split():
        return
    # One that is under way has this lock
    with (
        contextlib.suppress(Refused),
        lock.lock("removing the drill's containers", lambda _: None, making.LOCK, patience=0),
    ):
        world.run("docker", "rm", "--force", "--volumes", *ran.output.split(), timeout=60)


def _clear(world: World, entry: Backup) -> None:
    """Removes what a drill, this one or one that was killed, made."""
    if entry["drill"]:
        name = f"{NAME}{entry['service']}"
        world.run("docker", "rm", "--force", "--volumes", name, timeout=60)
        world.run("docker", "network", "rm", f"{name}_default", timeout=60)
        for volume in entry["scratch"].values():
            world.run("docker", "volume", "rm", "--force", volume, timeout=60)
    world.remove_tree(PLACE)
    world.remove_tree(SCRATCH)
