"""What a killed agent or a host that lost its power left: finished when it was committed, undone when it was not."""

from dataclasses import replace

from agent import slots, store, transaction
from agent.job import Job
from agent.outcome import Outcome
from agent.rollback import roll_back
from agent.transaction import Transaction
from agent.world import World


def recover(world: World, job: Job, why: str) -> tuple[Transaction, Outcome] | None:
    """How the unfinished switch ended, or None when there is none. Safe to repeat."""
    begun = transaction.unfinished(world)
    if begun is None:
        return None
    if store.current_id(world) != begun.release:
        return begun, roll_back(world, replace(job, host=begun.host), begun, begun.reason or why)
    slots.settle(world, store.load(world, begun.release).manifest)
    transaction.end(world)
    line = f"applied on {begun.host}: release {begun.release[:12]} was committed before {why}; finished now"
    return begun, Outcome("applied", begun.release, line, sorted(begun.paths), begun.starts)
