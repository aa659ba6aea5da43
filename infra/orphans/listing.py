"""`infra orphans`: what there is, in lines, and what a person chose of it."""

from dataclasses import replace

from catalogue.stack import Stack
from infra.errors import InfraError
from infra.orphans import command, costs
from infra.orphans.command import Found, Orphan


def look(stack: Stack, whole: bool) -> tuple[Found, list[Orphan]]:
    """What interrupted creations left, and, for the `whole` of it, what else has the stack's tags. Raises
    InfraError."""
    known = command.exported(stack.name)
    found = command.left_by_kills(known)
    return found, command.tagged(stack, known, {orphan.id for orphan in found.orphans}) if whole else []


def lines(found: Found, others: list[Orphan], whole: bool) -> list[str]:
    everything = [*found.orphans, *others]
    said = [
        f"{orphan.kind} {orphan.id} ({orphan.region}): {orphan.origin}; {costs.shown(costs.monthly(orphan))}"
        for orphan in everything
    ]
    said += [f"{creation.name} ({creation.type}): {command.NOT_LOOKED_FOR}" for creation in found.unknown]
    if left := [creation.name for creation in found.ended]:
        said.append(f"interrupted, and nothing is left of it in AWS: {', '.join(left)}")
    if not everything and not found.unknown and whole:
        said.append("no orphans: what AWS has with this stack's tags is in the state")
    elif found.orphans:
        said.append("If an update of this stack is running right now, these are its own. If not: --adopt")
    if others:
        said.append("What no update knows of may belong to another state of this name; if not: --delete ID")
    return said


def chosen(everything: list[Orphan], adopt: bool, delete: list[str]) -> tuple[list[Orphan], str]:
    """What is to be done, and the question to ask before. `delete` names orphans by ID, or REGION/ID. Raises InfraError
    for one that is no orphan's, or the id of several."""
    named = [_named(everything, name) for name in delete]
    gone = [replace(orphan, is_wanted=False) for orphan in everything if orphan in named]
    kept = [orphan for orphan in everything if adopt and orphan.creation and orphan not in named]
    doubled = [orphan for orphan in kept if not orphan.is_wanted]
    taken, deleted = [o.place for o in kept if o.is_wanted], [o.place for o in [*doubled, *gone]]
    parts = [f"take {', '.join(taken)} into the state"] if taken else []
    parts += [f"have the next update delete {', '.join(deleted)}"] if deleted else []
    question = " and ".join(parts)
    return [*kept, *gone], f"{question[:1].upper()}{question[1:]}?"


def _named(everything: list[Orphan], name: str) -> Orphan:
    found = [orphan for orphan in everything if name in (orphan.id, orphan.place)]
    if not found:
        listed = ", ".join(orphan.place for orphan in everything) or "none"
        raise InfraError(f"--delete {name}: no orphan has this id; orphans: {listed}")
    if len(found) > 1:
        places = ", ".join(orphan.place for orphan in found)
        raise InfraError(f"--delete {name}: {len(found)} orphans have this id: {places}; name the one that is to go")
    return found[0]
