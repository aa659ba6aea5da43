"""A switch under way: what was there before it, on disk before anything is touched, so that it can always be undone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from agent.desired import Wanted
from agent.job import Job
from agent.plan import Plan
from agent.store import STATE
from agent.world import World

TRANSACTION = f"{STATE}/transaction.json"
BEFORE = f"{STATE}/before"


@dataclass
class Transaction:
    """`before` has an entry a path: what was there. `states` are what the units were, `sick` the services that
    were not well. `reason` says why it goes back, once it does."""

    job: str
    kind: str
    who: str
    host: str
    release: str
    base: str | None
    began: float
    before: list[dict[str, Any]]
    states: dict[str, dict[str, bool]]
    stops: list[str]
    starts: list[str]
    sick: list[str]
    reason: str = ""

    @property
    def paths(self) -> set[str]:
        return {entry["path"] for entry in self.before if entry["kind"] != "directory"}

    def store(self, world: World) -> None:
        world.write(TRANSACTION, json.dumps(asdict(self), sort_keys=True).encode(), 0o600, "root", "root")


def begin(world: World, job: Job, plan: Plan, sick: list[str]) -> Transaction:
    """From here on a switch may be half done, and is undone by whoever finds it."""
    slot_links = {rollout.link for rollout in plan.rollouts}
    before = [*_directories(world, plan.target.manifest), *_remembered(world, plan.change.paths, slot_links)]
    begun = Transaction(
        job.id, job.kind, job.who, job.host, plan.target.id, plan.base.id if plan.base else None, world.wall(),
        before, plan.states, plan.stops, plan.touched, sick,
    )  # fmt: skip
    begun.store(world)
    return begun


def unfinished(world: World) -> Transaction | None:
    text = world.read(TRANSACTION)
    return Transaction(**json.loads(text)) if text else None


def end(world: World) -> None:
    world.remove(TRANSACTION)
    world.remove_tree(BEFORE)


def _directories(world: World, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Whose the directories are that are there already."""
    entries = []
    for path in [item["path"] for item in manifest["directories"] if not item.get("if_missing")]:
        if world.exists(path) and world.link_target(path) is None:
            owner, group, mode = world.owner_and_mode(path)
            found = {"owner": owner, "group": group, "mode": mode}
            entries.append({"path": path, "kind": "directory", "slot": False, **found})
    return entries


def _remembered(world: World, paths: list[str], slot_links: set[str]) -> list[dict[str, Any]]:
    """What is at each path now. Contents are copied aside with owner and mode, so that putting them back takes no
    space."""
    world.remove_tree(BEFORE)
    world.directory(BEFORE, 0o700, "root", "root")
    entries: list[dict[str, Any]] = []
    for number, path in enumerate(paths):
        target, content = world.link_target(path), world.read(path)
        entry: dict[str, Any] = {"path": path, "kind": "absent", "slot": path in slot_links}
        if target is not None:
            entry |= {"kind": "link", "target": target}
        elif content is not None:
            owner, group, mode = world.owner_and_mode(path)
            entry |= {"kind": "file", "copy": f"{BEFORE}/{number}"}
            world.write(entry["copy"], content, mode, owner, group)
        entries.append(entry)
    return entries


def put_back(world: World, entries: list[dict[str, Any]]) -> None:
    """Everything as it was. Safe to repeat: a copy that is gone was put back already."""
    for entry in entries:
        if world.barred(entry["path"]):
            # Somebody laid a link on the way: nothing of ours is behind it
            continue
        if entry["kind"] == "directory":
            world.directory(entry["path"], entry["mode"], entry["owner"], entry["group"])
        elif entry["kind"] == "absent":
            world.remove(entry["path"])
        elif entry["kind"] == "link":
            world.link(entry["path"], entry["target"])
        elif (content := world.read(entry["copy"])) is not None:
            owner, group, mode = world.owner_and_mode(entry["copy"])
            # What the switch had not come to needs no space to be as it was
            if Wanted(entry["path"], content, mode, owner, group).differs(world):
                world.move(entry["copy"], entry["path"])
