"""Back to the state before a switch: files, links, units and what they run, then a look whether it serves."""

from __future__ import annotations

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
    stacks,
    store,
    transaction,
    units,
)
from agent.complaints import Complaints
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


def roll_back(world: World, job: Job, switch: Transaction, reason: str, interrupted: bool = False) -> Outcome:
    """Undoes a switch, however far it got. Safe to repeat; what cannot be undone now is tried again by the next job,
    and when the host boots. When it was `interrupted` a unit may have been started from the new files meanwhile."""
    job.say(f"rolling back: {reason}")
    switch.reason = switch.reason or reason
    try:
        switch.store(world)
    except OSError as error:
        # A full disk keeps nothing from being undone
        job.say(f"cannot record the rollback: {quoting.error(error)}")
    try:
        if switch.base != switch.release and store.current_id(world) == switch.release:
            # The commit failed after its one write
            store.make_current(world, switch.base)
        undoing = _Undoing(world, job, switch)
        undoing.run(interrupted)
        paths, complaints = undoing.paths, undoing.complaints
        barred = transaction.barred_paths(world, [*switch.certificates, *switch.before])
        warnings = list(dict.fromkeys([*undoing.warnings, *barred]))
        if stays := transaction.remove_created(world, switch):
            more = f" and {len(stays) - SHOWN} more" if len(stays) > SHOWN else ""
            warnings.append(
                f"directories of this release stay, since they are not empty: {', '.join(stays[:SHOWN])}{more}"
            )
        if switch.accounts:
            warnings.append(f"changes of accounts are not rolled back: {', '.join(switch.accounts)}")
        outcome = _not_all_back(switch, paths, complaints) if paths else _outcome(switch, complaints, warnings)
        job.record(outcome)
        if not paths:
            # Else the state before is kept, and the next job puts back the rest
            transaction.end(world)
        return outcome
    except Exception as error:
        line = (
            f"rollback failed on {switch.host}: {quoting.cut(switch.reason, HALF)}; "
            f"the rollback stopped at {quoting.error(error)}. "
            "Fix that on the host; the next pulumi up, or a reboot, continues it"
        )
        return Outcome("rollback failed", switch.release, line)


class _Undoing:
    """A switch that is undone, step by step: `paths` are those that could not be put back, `complaints` what else went
    wrong, `warnings` what was left alone."""

    def __init__(self, world: World, job: Job, switch: Transaction) -> None:
        self._world, self._job, self._switch = world, job, switch
        self._base = _base(world, switch.base) if switch.base else None
        # Of a release that cannot be read, what reacts to its files is the base's
        manifests = store.readable_manifest(world, switch.release), self._base.manifest if self._base else None
        self._manifests = [manifest for manifest in manifests if manifest]
        self._slot_links = [entry for entry in switch.before if entry["slot"] and entry["kind"] == "link"]
        self._others = [entry for entry in switch.before if entry not in self._slot_links]
        self._complaints = Complaints(world)
        self.paths: list[str] = []
        self.warnings: list[str] = []

    @property
    def complaints(self) -> list[str]:
        return self._complaints.lines

    def run(self, interrupted: bool) -> None:
        """Everything back, in the order in which nothing serves from files that are not there."""
        since = self._world.wall()
        self._await_managers()
        self._lead_back()
        self._stop_started_units()
        self._restore_files()
        self._restart_units(interrupted)
        probes = self._probes()
        self._resume_requests(probes, since)
        self._await_health(probes, since)
        self._compare()

    def _await_managers(self) -> None:
        for account in self._base.manifest["accounts"] if self._base else []:
            if account["lingering"]:
                self._complaints.attempt(accounts.await_manager, account["name"])

    def _lead_back(self) -> None:
        """The proxy leads to the slots that served, before anything of theirs changes."""
        if self._slot_links:
            self.paths += transaction.put_back(self._world, self._slot_links, self.warnings)
            self._complaints.attempt(units.react, self._manifests, {entry["path"] for entry in self._slot_links})

    def _stop_started_units(self) -> None:
        """By the files that they were started from, and while systemd still knows them."""
        world, switch = self._world, self._switch
        new_replicas = [Roll(**replica) for replica in switch.rolled if replica["is_new"]]
        if self._manifests:
            self._complaints.attempt(rolling.take_out, self._manifests[0], new_replicas)
        if self._base:
            # Requests wait for these too, or go on waiting
            concerned = {*switch.starts, *switch.stops}
            manifest = self._base.manifest
            holding.close(world, manifest, holding.entries_to_hold(manifest, manifest, concerned))
        units.stop(world, [*switch.starts, *(replica.unit for replica in new_replicas)])
        units.disable(world, [name for name, state in switch.states.items() if not state["enabled"]])
        failed_manifest = store.readable_manifest(world, switch.release)
        base_manifest = self._base.manifest if self._base else None
        self._complaints.add(stacks.remove_left(world, failed_manifest, base_manifest))

    def _restore_files(self) -> None:
        world, switch = self._world, self._switch
        self.paths += transaction.put_back(world, [*switch.certificates, *self._others], self.warnings)
        self._complaints.attempt(units.react, self._manifests, switch.paths)
        self._complaints.attempt(forwarding.restore, self._manifests, self._job.say)
        self._complaints.add(existing.give_back(world, switch.existing))

    def _restart_units(self, interrupted: bool) -> None:
        world, switch, base = self._world, self._switch, self._base
        replicas = _restore_units(world, switch, base.manifest if base else None, interrupted, self._complaints)
        if base:
            rolling.undo(world, self._complaints, base.manifest, replicas, switch.sick)
        own_units = {unit["name"] for unit in base.manifest["units"]} if base else set[str]()
        self._complaints.add(_units_that_differ(world, switch, own_units))
        self._complaints.add(existing.start_again(world, [*switch.existing, *switch.adopted]))

    def _probes(self) -> list[AimedProbe]:
        """Of what served, without the services that were unhealthy before."""
        probes = slots.probes(self._world, self._base.manifest) if self._base else []
        return [probe for probe in probes if probe["service"] not in self._switch.sick]

    def _resume_requests(self, probes: list[AimedProbe], since: float) -> None:
        """Requests that waited for a service are led to it once it is healthy by itself."""
        world = self._world
        if self._base:
            manifest = self._base.manifest
            awaited_units = {entry["unit"] for entry in holding.waiting(world, manifest["held"])}
            own_probes: list[AimedProbe] = [
                {**probe, "public": None} for probe in probes if probe["unit"] in awaited_units
            ]
            self._complaints.attempt(health.wait, own_probes, {}, health.Patience.of(manifest, since))
        for manifest in self._manifests:
            self._complaints.attempt(holding.open_again, manifest, manifest["held"])
            # The next job goes on with it, and none waits for ever
            waiting_still = holding.waiting(world, manifest["held"])
            self.paths += [f"{entry['link']} still leads to the port that holds requests" for entry in waiting_still]

    def _await_health(self, probes: list[AimedProbe], since: float) -> None:
        if self._base:
            manifest = self._base.manifest
            successes = {probe["service"]: int(manifest["health"]["successes"]) for probe in probes}
            self._complaints.attempt(health.wait, probes, successes, health.Patience.of(manifest, since))

    def _compare(self) -> None:
        """What is not as it was before the switch, after all of it."""
        world, switch = self._world, self._switch
        self._complaints.add(answers.complaints(world, switch.answers, DEADLINE))
        self._complaints.add(transaction.differing(world, self._others, self.paths))
        self._complaints.add(inventory.losses(world, switch.inventory))
        self.paths = list(dict.fromkeys(self.paths))


def _base(world: World, id: str) -> Release | None:
    """The release that served. Its files are put back from what was remembered, and not from here."""
    try:
        return store.kept_release(world, id)
    except store.UNREADABLE:
        return None


def _restore_units(
    world: World, switch: Transaction, base: Manifest | None, interrupted: bool, complaints: Complaints
) -> list[str]:
    """What ran before runs again, by its earlier files; the replicas that are left to restart one after the other."""
    states = switch.states
    now = units.states(world, list(states))
    new = [name for name in states if not states[name]["active"] and now[name]["active"]]
    units.stop(world, new)
    complaints.attempt(units.enable, [name for name in states if states[name]["enabled"] and not now[name]["enabled"]])
    # What ran without a release of ours too
    order = list(dict.fromkeys([*(unit["name"] for unit in (base or {}).get("units", ())), *states]))
    changed = units.units_with_files(base, switch.paths) if base and interrupted else []
    replicas = {member["unit"] for group in (base or {"replicas": []})["replicas"] for member in group["members"]}
    touched = {*switch.starts, *switch.stops, *changed, *(one["unit"] for one in switch.rolled)}
    again = [
        name
        for name in order
        if name in states and states[name]["active"] and (name in touched or not now[name]["active"])
    ]
    # Where none of them runs, none serves meanwhile
    alone = [name for name in again if name in replicas] if any(now[name]["active"] for name in replicas) else []
    together = [name for name in again if name not in alone]
    complaints.attempt(units.start, together, base["health"]["deadline"] if base else 0.0)
    return alone


def _units_that_differ(world: World, switch: Transaction, own: set[str]) -> list[str]:
    """What was asked of systemd is not yet so: a unit that does not stop is no rollback. Those of the base, `own`, are
    asked for their health; another one that ran before has to run."""
    others = [name for name in switch.states if name in {*switch.starts, *switch.stops} and name not in own]
    if any(switch.states[name]["active"] for name in others):
        world.sleep(LOOK_AGAIN)
    try:
        now = units.settled_states(world, list(switch.states))
    except Failed as failure:
        return [str(failure)]
    complaints: list[str] = []
    for name, before in switch.states.items():
        if name in others and before["active"] and not now[name]["active"]:
            complaints.append(f"{name} ran before and does not now: it {units.why_not(world, name)}")
        # What a timer or a watch starts may run by itself
        if now[name]["active"] and not before["active"] and name in switch.starts:
            complaints.append(f"{name} did not run before, but does not stop")
        if now[name]["enabled"] != before["enabled"]:
            was = "enabled" if before["enabled"] else "not enabled"
            complaints.append(f"{name} was {was} before, but is no longer")
    return complaints


def _not_all_back(switch: Transaction, paths: list[str], complaints: list[str]) -> Outcome:
    line = (
        f"rollback failed on {switch.host}: {quoting.cut(switch.reason, HALF)}; "
        f"not all files are restored: {quoting.join([*paths, *complaints], '; ', HALF)}. "
        "Remove what is in the way on the host; the next pulumi up, or a reboot, restores the rest"
    )
    return Outcome("rollback failed", switch.release, line)


def _outcome(switch: Transaction, complaints: list[str], warnings: list[str]) -> Outcome:
    serves = f"release {switch.base[:12]} serves again" if switch.base else "the host is as before"
    if complaints:
        line = (
            f"rollback failed on {switch.host}: {quoting.cut(switch.reason, HALF)}; "
            f"the files are restored, but: {quoting.join([*complaints, *warnings], '; ', HALF)}. "
            "Fix that unit on the host, and run pulumi up again"
        )
        return Outcome("rollback failed", switch.release, line)
    reason = switch.reason.rstrip(".")
    line = f"rolled back on {switch.host}: {reason}. {serves[0].upper()}{serves[1:]}; fix it and run again"
    return Outcome("rolled back", switch.release, "; ".join([line, *warnings]), warnings=warnings)
