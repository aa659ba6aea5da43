"""Back to the state before a switch: files, links, units and what they run, then a look whether it serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent import (
    accounts,
    answers,
    existing,
    forwarding,
    health,
    holding,
    inventory,
    quoting,
    rolling,
    slots,
    store,
    transaction,
    units,
)
from agent.documents.manifest import AimedProbe, Manifest
from agent.job import Job
from agent.outcome import Failed, Outcome
from agent.rolling import Roll
from agent.store import Release
from agent.transaction import Transaction
from agent.world import World

DEADLINE = 180.0  # seconds in which what answered before a switch answers again
LOOK_AGAIN = 3.0  # seconds in which a program that cannot run has ended
SHOWN = 3  # directories that stay and are named
HALF = quoting.REASON // 2  # of a line that has two reasons


def roll_back(world: World, job: Job, begun: Transaction, reason: str, interrupted: bool = False) -> Outcome:
    """Undoes a switch, however far it got. Safe to repeat; what cannot be undone now is tried again by the next job,
    and when the host boots. When it was `interrupted` a unit may have been started from the new files meanwhile."""
    job.say(f"rolling back: {reason}")
    begun.reason = begun.reason or reason
    try:
        begun.store(world)
    except OSError as error:
        # A full disk keeps nothing from being undone
        job.say(f"cannot record the rollback: {quoting.error(error)}")
    try:
        if begun.base != begun.release and store.current_id(world) == begun.release:
            # The commit failed after its one write
            store.make_current(world, begun.base)
        warnings: list[str] = []
        paths, complaints = _undo_switch(world, job, begun, interrupted, warnings)
        warnings = list(
            dict.fromkeys([*warnings, *transaction.barred_paths(world, [*begun.certificates, *begun.before])])
        )
        if stays := transaction.remove_created(world, begun):
            more = f" and {len(stays) - SHOWN} more" if len(stays) > SHOWN else ""
            warnings.append(
                f"directories of this release stay, since they are not empty: {', '.join(stays[:SHOWN])}{more}"
            )
        if begun.accounts:
            warnings.append(f"changes of accounts are not rolled back: {', '.join(begun.accounts)}")
        outcome = _not_all_back(begun, paths, complaints) if paths else _outcome(begun, complaints, warnings)
        job.record(outcome)
        if not paths:
            # Else the state before is kept, and the next job puts back the rest
            transaction.end(world)
        return outcome
    except Exception as error:
        line = (
            f"rollback failed on {begun.host}: {quoting.cut(begun.reason, HALF)}; "
            f"the rollback stopped at {quoting.error(error)}. "
            "Fix that on the host; the next pulumi up, or a reboot, continues it"
        )
        return Outcome("rollback failed", begun.release, line)


def _undo_switch(
    world: World, job: Job, begun: Transaction, interrupted: bool, warnings: list[str]
) -> tuple[list[str], list[str]]:
    """Everything back: the paths that could not be put back, and what else went wrong; `warnings` gets what was left
    alone."""
    since = world.wall()
    base = _base(world, begun.base) if begun.base else None
    complaints: list[str] = []
    paths: list[str] = []
    manifests = [*_manifest(world, begun.release), *([base.manifest] if base else [])]

    def attempt(step: Callable[..., object], *arguments: Any) -> None:
        try:
            step(world, *arguments)
        except Failed as failure:
            complaints.append(str(failure))
        except OSError as error:
            complaints.append(quoting.error(error))

    for account in base.manifest["accounts"] if base else []:
        if account["lingering"]:
            attempt(accounts.await_manager, account["name"])
    slot_links = [entry for entry in begun.before if entry["slot"] and entry["kind"] == "link"]
    if slot_links:
        paths += transaction.put_back(world, slot_links, warnings)
        attempt(units.react, manifests, {entry["path"] for entry in slot_links})
    # By the files that they were started from, and while systemd still knows them
    joined = [Roll(**one) for one in begun.rolled if one["is_new"]]
    if manifests:
        attempt(rolling.take_out, manifests[0], joined)
    # Requests wait for these too, or go on waiting
    waiting_entries = (
        holding.entries_to_hold(base.manifest, base.manifest, {*begun.starts, *begun.stops}) if base else []
    )
    if base:
        holding.close(world, base.manifest, waiting_entries)
    units.stop(world, [*begun.starts, *(one.unit for one in joined)])
    units.disable(world, [name for name, state in begun.states.items() if not state["enabled"]])
    others = [entry for entry in begun.before if entry not in slot_links]
    paths += transaction.put_back(world, [*begun.certificates, *others], warnings)
    attempt(units.react, manifests, begun.paths)
    attempt(forwarding.restore, manifests, job.say)
    complaints += existing.give_back(world, begun.existing)
    alone = _restore_units(world, begun, base.manifest if base else None, interrupted, attempt)
    if base:
        rolling.undo(world, attempt, base.manifest, alone, begun.sick)
    complaints += _units_that_differ(world, begun, {unit["name"] for unit in base.manifest["units"]} if base else set())
    complaints += existing.start_again(world, begun.existing)
    probes: list[AimedProbe] = []
    if base:
        probes = [probe for probe in slots.probes(world, base.manifest) if probe["service"] not in begun.sick]
        waited_for = {entry["service"] for entry in holding.waiting(world, base.manifest["held"])}
        own = [{**probe, "public": None} for probe in probes if probe["service"] in waited_for]
        attempt(health.wait, own, {}, health.Patience.of(base.manifest, since))
    for manifest in manifests:
        attempt(holding.open_again, manifest, manifest["held"])
        # The next job goes on with it, and none waits for ever
        waiting_still = holding.waiting(world, manifest["held"])
        paths += [f"{entry['link']} still leads to the port that holds requests" for entry in waiting_still]
    if base:
        needed = {probe["service"]: int(base.manifest["health"]["successes"]) for probe in probes}
        attempt(health.wait, probes, needed, health.Patience.of(base.manifest, since))
    complaints += answers.complaints(world, begun.answers, DEADLINE)
    complaints += transaction.differing(world, others, paths)
    complaints += inventory.losses(world, begun.inventory)
    return list(dict.fromkeys(paths)), complaints


def _manifest(world: World, id: str) -> list[Manifest]:
    """The manifest of the release that is undone. Where it cannot be read, what reacts to its files is the base's."""
    try:
        return [store.manifest(world, id)]
    except store.UNREADABLE:
        return []


def _base(world: World, id: str) -> Release | None:
    """The release that served. Its files are put back from what was remembered, and not from here."""
    try:
        return store.kept_release(world, id)
    except store.UNREADABLE:
        return None


def _restore_units(
    world: World, begun: Transaction, base: Manifest | None, interrupted: bool, attempt: Callable[..., None]
) -> list[str]:
    """What ran before runs again, by its earlier files; the replicas that are left to restart one after the other."""
    states = begun.states
    now = units.states(world, list(states))
    new = [name for name in states if not states[name]["active"] and now[name]["active"]]
    units.stop(world, new)
    attempt(units.enable, [name for name in states if states[name]["enabled"] and not now[name]["enabled"]])
    # What ran without a release of ours too
    order = list(dict.fromkeys([*(unit["name"] for unit in (base or {}).get("units", ())), *states]))
    changed = units.of_paths(base, begun.paths) if base and interrupted else []
    replicas = {member["unit"] for group in (base or {"replicas": []})["replicas"] for member in group["members"]}
    touched = {*begun.starts, *begun.stops, *changed, *(one["unit"] for one in begun.rolled)}
    again = [
        name
        for name in order
        if name in states and states[name]["active"] and (name in touched or not now[name]["active"])
    ]
    # Where none of them runs, none serves meanwhile
    alone = [name for name in again if name in replicas] if any(now[name]["active"] for name in replicas) else []
    attempt(units.start, [name for name in again if name not in alone], base["health"]["deadline"] if base else 0.0)
    return alone


def _units_that_differ(world: World, begun: Transaction, own: set[str]) -> list[str]:
    """What was asked of systemd is not yet so: a unit that does not stop is no rollback. Those of the base, `own`, are
    asked for their health; another one that ran before has to run."""
    others = [name for name in begun.states if name in {*begun.starts, *begun.stops} and name not in own]
    if any(begun.states[name]["active"] for name in others):
        world.sleep(LOOK_AGAIN)
    try:
        now = units.settled_states(world, list(begun.states))
    except Failed as failure:
        return [str(failure)]
    complaints: list[str] = []
    for name, before in begun.states.items():
        if name in others and before["active"] and not now[name]["active"]:
            complaints.append(f"{name} ran before and does not now: it {units.why_not(world, name)}")
        # What a timer or a watch starts may run by itself
        if now[name]["active"] and not before["active"] and name in begun.starts:
            complaints.append(f"{name} did not run before, but does not stop")
        if now[name]["enabled"] != before["enabled"]:
            was = "enabled" if before["enabled"] else "not enabled"
            complaints.append(f"{name} was {was} before, but is no longer")
    return complaints


def _not_all_back(begun: Transaction, paths: list[str], complaints: list[str]) -> Outcome:
    line = (
        f"rollback failed on {begun.host}: {quoting.cut(begun.reason, HALF)}; "
        f"not all files are restored: {quoting.join([*paths, *complaints], '; ', HALF)}. "
        "Remove what is in the way on the host; the next pulumi up, or a reboot, restores the rest"
    )
    return Outcome("rollback failed", begun.release, line)


def _outcome(begun: Transaction, complaints: list[str], warnings: list[str]) -> Outcome:
    serves = f"release {begun.base[:12]} serves again" if begun.base else "the host is as before"
    if complaints:
        line = (
            f"rollback failed on {begun.host}: {quoting.cut(begun.reason, HALF)}; "
            f"the files are restored, but: {quoting.join([*complaints, *warnings], '; ', HALF)}. "
            "Fix that unit on the host, and run pulumi up again"
        )
        return Outcome("rollback failed", begun.release, line)
    reason = begun.reason.rstrip(".")
    line = f"rolled back on {begun.host}: {reason}. {serves[0].upper()}{serves[1:]}; fix it and run again"
    return Outcome("rolled back", begun.release, "; ".join([line, *warnings]), warnings=warnings)
