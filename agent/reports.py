"""What a host answers about itself: its status, its releases, what differs from its release, its boot."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from agent import (
    away,
    builds,
    lock,
    maintenance,
    prune,
    reaching,
    slots,
    stacks,
    store,
    tags,
    transaction,
)
from agent import boot_times as milestones
from agent import drift as differences
from agent.backups import making
from agent.documents.answers import (
    BackupState,
    BootTimes,
    Drift,
    Overview,
    Releases,
    Repair,
    Status,
    UnfinishedSwitch,
)
from agent.measures import machine
from agent.monitor import history, page, trends
from agent.monitor.conditions import firing
from agent.monitor.look import HostFacts
from agent.monitor.names import current_alert
from agent.world import World

REPAIRS_SHOWN = 5
JOBS_SHOWN = 10


def status(world: World) -> Status:
    """How the host is: what it serves, what ran last, what is wrong."""
    id = store.current_id(world)
    release = store.load(world, id) if id else None
    look = HostFacts(world, release) if release else None
    jobs = store.history(world)
    jobs_of_release = [entry for entry in jobs if entry["release"] == id and entry["code"] == 0]
    deliveries = [entry for entry in jobs_of_release if entry["kind"] != "restart"]
    alerts = firing(look) if look else []
    findings = differences.drift(world, look.overrides) if look else differences.drift(world)
    # What an earlier version repaired is shown by the alert's present name
    repairs = [
        cast("Repair", {**asdict(entry), "alert": current_alert(entry.alert)})
        for entry in history.recent_repairs(world)[-REPAIRS_SHOWN:]
    ]
    return {
        "release": id,
        "kept": store.returnable(world),
        "last_job": (jobs or [None])[-1],
        "brought": deliveries[-1] if deliveries else None,
        "unfinished": _unfinished_switch(world),
        "holder": lock.holder(),
        "units": {name: state["active"] for name, state in look.units.items()} if look else {},
        "certificates": [list(entry) for entry in look.certificates] if look else [],
        "alerts": [{"alert": f.alert, "subject": f.subject, "text": f.text} for f in alerts],
        "services": look.services if look else {},
        "drifted": sorted({entry["path"] for entry in findings if look is None or entry["path"] not in look.running}),
        "repairs": repairs,
        "resting": sorted(slots.waiting(world, release.manifest) - away.resting(world)) if release else [],
        "builds": builds.build_labels(world, release.manifest) if release else {},
        "maintenance": maintenance.sites(world),
        "away": away.resting_systems(world, release.manifest if release else None),
        "follows": tags.states(world),
        "group": stacks.group_state(world),
    }


def _unfinished_switch(world: World) -> UnfinishedSwitch | None:
    switch = transaction.load_unfinished(world)
    return {"release": switch.release, "who": switch.who, "reason": switch.reason} if switch else None


def overview(world: World) -> Overview:
    """How the host was in the last month, and what it remembers of its jobs and backups."""
    id = store.current_id(world)
    release = store.load(world, id) if id else None
    look = HostFacts(world, release) if release else None
    at = world.wall()
    size, free = (look.memory.get(name, 0) for name in machine.MEMORY[1:]) if look else (0, 0)
    return {
        "at": at,
        "hours": trends.hours(world),
        "memory": {"subject": "memory", "size": size, "free": free} if size else None,
        "disks": [
            {"subject": path, "size": usage.size, "free": usage.free}
            for path, usage in (machine.disks(look) if look else [])
        ],
        "days": page.days(world, at),
        "jobs": store.history(world)[: -JOBS_SHOWN - 1 : -1],
        "backups": [_backup_state(world, service) for service in sorted(making.entries(world))],
    }


def _backup_state(world: World, service: str) -> BackupState:
    remembered = making.record(world, service)
    remembered.pop("since", None)
    return {**remembered, "service": service}


def boot_times(world: World) -> BootTimes:
    release = store.current(world)
    return {"milestones": milestones.boot_times(world, release) if release else []}


def drift(world: World) -> Drift:
    return {
        "release": store.current_id(world), "drift": differences.drift(world), "maintenance": maintenance.sites(world),
    }  # fmt: skip


def releases(world: World) -> Releases:
    """Those that the host keeps, its jobs, and who got to its services."""
    kept_ids, damaged_ids = store.returnable(world), store.unreadable(world)
    manifests = {id: store.manifest(world, id) for id in kept_ids if id not in damaged_ids}
    return {
        "current": store.current_id(world),
        "kept": kept_ids,
        "history": store.history(world),
        "images": prune.needed_images(world),
        "services": {id: store.by_service(manifest) for id, manifest in manifests.items()},
        "reached": reaching.access_records(world),
        "damaged": damaged_ids,
        "damaged_jobs": store.damaged_jobs(world),
        "builds": builds.build_labels_of(world, manifests),
    }
