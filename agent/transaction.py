"""A switch under way: the state before it, on disk before anything is touched, so that it can always be undone."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from agent import accounts, answers, existing, inventory, quoting, slots, store
from agent.desired_state import DesiredFile, digest
from agent.documents.inventory import Inventory
from agent.documents.manifest import Manifest
from agent.documents.transaction import (
    EarlierAnswer,
    EarlierDirectory,
    EarlierFile,
    EarlierLink,
    EarlierText,
    ExistingContainer,
    PathState,
    RolledReplica,
)
from agent.job import Job
from agent.outcome import Refused
from agent.places import Entry
from agent.plan import Plan
from agent.store import STATE
from agent.world import PERMISSIONS, World

TRANSACTION = f"{STATE}/transaction.json"
BEFORE = f"{STATE}/before"


@dataclass
class Transaction:
    """`before` has an entry a path: what was there. `states` are what the units were, `sick` the services that were
    unhealthy. `certificates` has entries like `before` for what certbot replaced, `existing` the containers that are
    set aside (see agent/existing.py), `adopted` those that run on, `answers` what answered at the addresses of services
    that the base does not have.
    `made` are the directories that it makes, the deepest first, `accounts` what it changes of accounts, `rolled` the
    replicas that were restarted, or had begun to. `inventory` is what else ran (agent/inventory.py).
    `committed` is the mark of a release that was the current one before the switch as well. `reason` says why it goes
    back, once it does."""

    job: str
    kind: str
    who: str
    host: str
    release: str
    base: str | None
    began: float
    before: list[PathState]
    states: dict[str, dict[str, bool]]
    stops: list[str]
    starts: list[str]
    sick: list[str]
    reason: str = ""
    committed: bool = False
    certificates: list[PathState] = field(default_factory=list[PathState])
    existing: list[ExistingContainer] = field(default_factory=list[ExistingContainer])
    adopted: list[ExistingContainer] = field(default_factory=list[ExistingContainer])
    answers: list[EarlierAnswer] = field(default_factory=list[EarlierAnswer])
    inventory: Inventory = field(default_factory=Inventory)
    made: list[str] = field(default_factory=list[str])
    accounts: list[str] = field(default_factory=list[str])
    rolled: list[RolledReplica] = field(default_factory=list[RolledReplica])

    @property
    def paths(self) -> set[str]:
        return {entry["path"] for entry in self.before if entry["kind"] not in ("directory", "owned")}

    def store(self, world: World) -> None:
        world.write(TRANSACTION, json.dumps(asdict(self), sort_keys=True).encode(), 0o600, "root", "root")


def begin(
    world: World, job: Job, plan: Plan, unhealthy: list[str], certificates: Sequence[PathState] = ()
) -> Transaction:
    """From here on a switch may be half done, and the next job undoes it."""
    manifest, served = plan.target.manifest, _services(plan.base.manifest if plan.base else None)
    starting = [*plan.starting_units, *slots.resting(world, manifest)]
    stopping = [*plan.stops, *plan.leaves]
    aside = _containers_to_replace(world, plan, starting, stopping)
    slot_links = {rollout.link for rollout in plan.rollouts}
    before = [*_directories(world, manifest), *_remember_paths(world, plan.change.paths, slot_links)]
    new = [probe for probe in slots.probes(world, manifest, plan.rollouts) if probe["service"] not in served]
    switch = Transaction(
        job.id, job.kind, job.who, job.host, plan.target.id, store.current_id(world), world.wall(),
        before, plan.states, plan.stops, plan.at_once, unhealthy,
        certificates=list(certificates), existing=aside, adopted=plan.adoptions.adopted,
        answers=answers.collect(world, new),
        inventory=inventory.take(world, [manifest, *([plan.base.manifest] if plan.base else [])]),
        made=_missing_directories(world, manifest, plan.change.paths),
        accounts=accounts.changes(world, manifest["accounts"]),
    )  # fmt: skip
    switch.store(world)
    return switch


def _containers_to_replace(
    world: World, plan: Plan, starting: list[str], stopping: list[str]
) -> list[ExistingContainer]:
    """Those at names of the release, and those that units had adopted which change or leave. Raises Refused."""
    base, adoptions = plan.base.manifest if plan.base else None, plan.adoptions
    run_on = {*adoptions.stays, *(entry["id"] for entry in adoptions.adopted)}
    aside = [
        e for e in existing.conflicts(world, plan.target.manifest, starting, base, stopping) if e["id"] not in run_on
    ]
    former = {id for _, id in adoptions.former} - run_on - {entry["id"] for entry in aside}
    aside += [entry for id in sorted(former) if (entry := existing.describe(world, "", id))]
    names = {entry["name"] for entry in plan.target.manifest["containers"]}
    return [
        ExistingContainer({
            **entry, "differs": adoptions.differs.get(entry["name"], []), "leaves": entry["name"] not in names,
        })
        for entry in aside
    ]  # fmt: skip


def commit(world: World, switch: Transaction) -> None:
    """From here on the release is the current one, and a kill is followed by the rest of the commit."""
    store.make_current(world, switch.release)
    if switch.base == switch.release:
        # Else the link to the current release is the mark: one write, and nothing in between
        replace(switch, committed=True).store(world)


def is_committed(world: World, switch: Transaction) -> bool:
    return switch.committed if switch.base == switch.release else store.current_id(world) == switch.release


def _services(manifest: Manifest | None) -> set[str]:
    return {probe["service"] for probe in manifest["probes"]} if manifest else set()


def load_unfinished(world: World) -> Transaction | None:
    """The switch that is under way, or was left. What a newer agent noted besides is passed over. Raises Refused for a
    record that cannot be read."""
    text = world.read(TRANSACTION)
    if not text:
        return None
    try:
        entry = json.loads(text)
        own_fields = {name: value for name, value in entry.items() if name in Transaction.__dataclass_fields__}
        return Transaction(**own_fields)
    except (ValueError, RecursionError, TypeError, AttributeError) as error:
        raise Refused(
            f"the record of an interrupted switch cannot be read ({quoting.error(error)}): the files "
            f"that it replaced are in {BEFORE}; restore what is needed, then remove {TRANSACTION}"
        ) from None


def end(world: World) -> None:
    world.remove(TRANSACTION)
    world.remove_tree(BEFORE)


def _directories(world: World, manifest: Manifest) -> list[EarlierDirectory]:
    """Whose the directories are that are already present."""
    paths = [item["path"] for item in manifest["directories"] if not item.get("if_missing")]
    return [directory_state(path, entry) for path in paths if (entry := world.directory_entry(path)) is not None]


def directory_state(path: str, present: Entry) -> EarlierDirectory:
    return {
        "path": path, "kind": "directory", "slot": False,
        "owner": present.owner, "group": present.group, "mode": present.mode,
    }  # fmt: skip


def _missing_directories(world: World, manifest: Manifest, paths: list[str]) -> list[str]:
    """What a switch makes on the way to its files, and what its services get."""
    missing: set[str] = set()
    for path in [*(item["path"] for item in manifest["directories"]), *map(posixpath.dirname, paths)]:
        while path not in ("", "/") and path not in missing and not world.exists(path):
            missing.add(path)
            path = posixpath.dirname(path)
    return sorted(missing, key=lambda path: (-path.count("/"), path))


def remove_created(world: World, switch: Transaction) -> list[str]:
    """What a switch made goes again where nothing is in it by now; those that stay."""
    for path in switch.made:
        if world.exists(path) and not world.why_barred(path):
            world.remove_empty(path)
    return [path for path in reversed(switch.made) if world.exists(path)]


def _remember_paths(world: World, paths: list[str], slot_links: set[str]) -> list[PathState]:
    """What is at each path now. Contents are copied aside with owner and mode, so that putting them back takes no
    space."""
    world.remove_tree(BEFORE)
    world.directory(BEFORE, 0o700, "root", "root")
    entries: list[PathState] = []
    for number, path in enumerate(paths):
        present, is_slot = world.entry(path), path in slot_links
        if present.kind == "other":
            raise Refused(obstacle_line(path, present.what))
        if present.kind == "link":
            entries.append(_link_state(path, present.target, is_slot))
        elif present.kind == "file":
            copy = f"{BEFORE}/{number}"
            world.write(copy, present.content, present.mode, present.owner, present.group)
            entries.append(_file_state(path, present, is_slot, copy))
        else:
            entries.append({"path": path, "kind": "absent", "slot": is_slot})
    return entries


def _link_state(path: str, target: str, is_slot: bool = False) -> EarlierLink:
    return {"path": path, "kind": "link", "slot": is_slot, "target": target}


def _file_state(path: str, present: Entry, is_slot: bool, copy: str) -> EarlierFile:
    return {
        "path": path, "kind": "file", "slot": is_slot, "copy": copy, "sha256": digest(present.content),
        "owner": present.owner, "group": present.group, "mode": present.mode,
    }  # fmt: skip


def obstacle_line(path: str, what: str) -> str:
    """Why a release cannot have a file at a path."""
    return f"{path} is {what}, but the release has a file or a link there: move it away and run again"


def barred_paths(world: World, entries: Sequence[PathState]) -> list[str]:
    """What is not put back: where an account laid a link on the way, nothing of ours is behind it."""
    barred = {entry["path"]: world.why_barred(entry["path"]) for entry in entries}
    return [f"{path} was not changed: {why}" for path, why in barred.items() if why]


def put_back(world: World, entries: Sequence[PathState], rest: list[str] | None = None) -> list[str]:
    """Everything as it was; what of it could not be put back, and why. Each entry is tried by itself; `rest` gets those
    that are left alone. Safe to repeat: a copy that is gone was put back already."""
    failures: list[str] = []
    for entry in entries:
        try:
            if alone := barred_paths(world, [entry]):
                (rest if rest is not None else failures).extend(alone)
            else:
                _put_back(world, entry)
        except (OSError, KeyError, ValueError) as error:
            failures.append(f"{entry['path']} could not be put back: {quoting.error(error)}")
    return failures


def differing(world: World, entries: Sequence[PathState], failures: list[str]) -> list[str]:
    """What is not as it was after all has been put back, but for what `failures` name already. Each entry is looked at
    by itself."""
    complaints: list[str] = []
    for path, entry in {entry["path"]: entry for entry in entries}.items():
        try:
            if not world.why_barred(path) and not _is_as_before(entry, world.entry(path)):
                complaints.append(f"{path} is not restored")
        except (OSError, KeyError, ValueError) as error:
            complaints.append(f"{path} cannot be checked: {quoting.error(error)}")
    return [
        line for line in complaints if not any(failure.startswith(line.split(" ")[0] + " ") for failure in failures)
    ]


def _is_as_before(entry: PathState, present: Entry) -> bool:
    if entry["kind"] == "link":
        return (present.kind, present.target) == ("link", entry["target"])
    if entry["kind"] != "file":
        return entry["kind"] != "absent" or present.kind == "absent"
    # An older agent noted down no hash
    content = present.kind == "file" and entry.get("sha256", digest(present.content)) == digest(present.content)
    # A number stood for one that had no name then
    owners = [(entry.get("owner", "0"), present.owner), (entry.get("group", "0"), present.group)]
    owned = all(before.isdigit() or before == now for before, now in owners)
    return content and owned and present.mode & PERMISSIONS == entry.get("mode", present.mode) & PERMISSIONS


def inline_entries(world: World, files: list[str], links: list[str]) -> list[EarlierText | EarlierLink]:
    """Entries that need no copy aside: small files without secrets, with their text, and links. What is not there has
    none."""
    present_files = [(path, entry) for path in files if (entry := world.entry(path)).kind == "file"]
    targets = {path: target for path in links if (target := world.link_target(path)) is not None}
    return [
        *(_text_state(path, entry) for path, entry in present_files),
        *(_link_state(path, target) for path, target in targets.items()),
    ]


def _text_state(path: str, present: Entry) -> EarlierText:
    return {
        "path": path, "kind": "text", "slot": False, "content": present.content.decode(errors="surrogateescape"),
        "owner": present.owner, "group": present.group, "mode": present.mode,
    }  # fmt: skip


def _put_back(world: World, entry: PathState) -> None:
    path = entry["path"]
    if entry["kind"] == "directory":
        world.directory(path, entry["mode"], entry["owner"], entry["group"])
        return
    if entry["kind"] == "owned":
        if world.exists(path):
            for words in (("chown", f"{entry['owner']}:{entry['group']}"), ("chmod", f"{entry['mode']:04o}")):
                ran = world.run(*words, path)
                if ran.code:
                    raise OSError(f"{words[0]}: {ran.last_lines(1)}")
        return
    if entry["kind"] == "text":
        content = entry["content"].encode(errors="surrogateescape")
        world.write(path, content, entry["mode"], entry["owner"], entry["group"])
        return
    if entry["kind"] == "aside":
        if world.exists(entry["aside"]):
            world.remove_tree(path)
            world.remove(path)
            world.rename_tree(entry["aside"], path)
        return
    present = world.entry(path)
    if entry["kind"] == "absent":
        if present.kind != "absent":
            world.remove(path)
    elif entry["kind"] == "link":
        if (present.kind, present.target) != ("link", entry["target"]):
            world.link(path, entry["target"])
    else:
        copy = world.entry(entry["copy"])
        before = DesiredFile(path, copy.content, copy.mode, copy.owner, copy.group)
        # What the switch had not come to needs no space to be as it was
        if copy.kind == "file" and before.differs(world):
            world.move(entry["copy"], path)
