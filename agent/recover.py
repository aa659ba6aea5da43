"""What a killed agent or a host that lost its power left: finished when it was committed, undone when it was not."""

from __future__ import annotations

from agent import adopting, certificates, slots, stacks, store, transaction
from agent.backups import making
from agent.job import Job
from agent.outcome import Outcome
from agent.rollback import roll_back
from agent.transaction import Transaction
from agent.world import World


def recover(world: World, job: Job, why: str) -> tuple[Transaction, Outcome] | None:
    """How the unfinished switch ended, or None when there is none. Safe to repeat."""
    switch = transaction.load_unfinished(world)
    if switch is None:
        certificates.give_back(world)
        return None
    # The transaction has them
    certificates.forget(world)
    job = job.instead_of(switch.job, switch.kind, switch.who, switch.host)
    if not transaction.is_committed(world, switch):
        if switch.reason and why not in switch.reason:
            switch.reason = f"{switch.reason}; and then {why}"
        return switch, roll_back(world, job, switch, why, interrupted=True)
    store.note_served(world, switch.release)
    warnings: list[str] = []
    try:
        manifest = store.manifest(world, switch.release)
        warnings += slots.settle(world, manifest)
        warnings += stacks.remove_left(world, store.readable_manifest(world, switch.base or ""), manifest)
        making.note_begin(world, manifest)
    except store.UNREADABLE:
        # It serves; the next release of the same files writes its copy again
        warnings.append(f"the kept copy of release {switch.release[:12]} cannot be read")
    warnings += adopting.finish(world, switch.existing, switch.adopted)
    line = f"applied on {switch.host}: release {switch.release[:12]} was committed before {why}; it is complete now"
    outcome = Outcome("applied", switch.release, line, sorted(switch.paths), switch.starts, warnings=warnings)
    outcome.line = "; ".join([line, *warnings])
    job.record(outcome)
    transaction.end(world)
    return switch, outcome
