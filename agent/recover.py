"""What a killed agent or a host that lost its power left: finished when it was committed, undone when it was not."""

from __future__ import annotations

from agent import certificates, existing, slots, store, transaction
from agent.backups import making
from agent.job import Job
from agent.outcome import Outcome
from agent.rollback import roll_back
from agent.transaction import Transaction
from agent.world import World


def recover(world: World, job: Job, why: str) -> tuple[Transaction, Outcome] | None:
    """How the unfinished switch ended, or None when there is none. Safe to repeat."""
    begun = transaction.load_unfinished(world)
    if begun is None:
        certificates.give_back(world)
        return None
    # The transaction has them
    certificates.forget(world)
    job = job.instead_of(begun.job, begun.kind, begun.who, begun.host)
    if not transaction.is_committed(world, begun):
        if begun.reason and why not in begun.reason:
            begun.reason = f"{begun.reason}; and then {why}"
        return begun, roll_back(world, job, begun, why, interrupted=True)
    store.note_served(world, begun.release)
    warnings: list[str] = []
    try:
        manifest = store.manifest(world, begun.release)
        warnings += slots.settle(world, manifest)
        making.note_begin(world, manifest)
    except store.UNREADABLE:
        # It serves; the next release of the same files writes its copy again
        warnings.append(f"the kept copy of release {begun.release[:12]} cannot be read")
    warnings += existing.remove(world, begun.existing)
    line = f"applied on {begun.host}: release {begun.release[:12]} was committed before {why}; it is complete now"
    outcome = Outcome("applied", begun.release, line, sorted(begun.paths), begun.starts, warnings=warnings)
    outcome.line = "; ".join([line, *warnings])
    job.record(outcome)
    transaction.end(world)
    return begun, outcome
