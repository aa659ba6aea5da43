"""`infra orphans`: what there is, in lines, and what a person chose of it."""

from dataclasses import replace

from catalogue.stack import Stack
from infra.errors import InfraError
from infra.orphans import command, costs
from infra.orphans.command import Leftovers, Orphan


def look(stack: Stack, whole: bool) -> tuple[Leftovers, list[Orphan]]:
    """What interrupted creations left, and, for the `whole` of it, what else has the stack's tags. Raises
    InfraError."""
    pulumi_state = command.export_state(stack.name)
    leftovers = command.find_leftovers(pulumi_state)
    return leftovers, command.find_tagged(
        stack, pulumi_state, {orphan.id for orphan in leftovers.orphans}
    ) if whole else []


def lines(leftovers: Leftovers, others: list[Orphan], whole: bool) -> list[str]:
    everything = [*leftovers.orphans, *others]
    text_lines = [
        f"{orphan.kind} {orphan.id} ({orphan.region}): {orphan.origin}; {costs.price_text(costs.monthly(orphan))}"
        for orphan in everything
    ]
    text_lines += [f"{creation.name} ({creation.type}): {command.NOT_LOOKED_FOR}" for creation in leftovers.unknown]
    if ended_names := [creation.name for creation in leftovers.traceless]:
        text_lines.append(f"interrupted creations that left nothing in AWS: {', '.join(ended_names)}")
    if not everything and not leftovers.unknown and whole:
        text_lines.append("no orphans: every resource in AWS with this stack's tags is in the state")
    elif leftovers.orphans:
        text_lines.append("If an update of this stack is running now, these may be its resources. If not: --adopt")
    if others:
        text_lines.append(
            "No update created these. Check that no other stack with this name owns them, then delete with --delete ID"
        )
    return text_lines


def choose(everything: list[Orphan], adopt: bool, delete: list[str]) -> tuple[list[Orphan], str]:
    """What is to be done, and the question to ask before. `delete` names orphans by ID, or REGION/ID. Raises InfraError
    for one that is no orphan's, or the id of several."""
    unwanted_orphans = [_find_orphan(everything, name) for name in delete]
    deletions = [replace(orphan, is_wanted=False) for orphan in everything if orphan in unwanted_orphans]
    adoptable = [orphan for orphan in everything if adopt and orphan.creation and orphan not in unwanted_orphans]
    doubled = [orphan for orphan in adoptable if not orphan.is_wanted]
    adopted, deleted = [o.place for o in adoptable if o.is_wanted], [o.place for o in [*doubled, *deletions]]
    parts = [f"adopt {', '.join(adopted)} into the state"] if adopted else []
    parts += [f"have the next update delete {', '.join(deleted)}"] if deleted else []
    question = " and ".join(parts)
    return [*adoptable, *deletions], f"{question[:1].upper()}{question[1:]}?"


def _find_orphan(everything: list[Orphan], name: str) -> Orphan:
    matches = [orphan for orphan in everything if name in (orphan.id, orphan.place)]
    if not matches:
        orphan_places = ", ".join(orphan.place for orphan in everything) or "none"
        raise InfraError(f"--delete {name}: no orphan has this id; orphans: {orphan_places}")
    if len(matches) > 1:
        places = ", ".join(orphan.place for orphan in matches)
        raise InfraError(f"--delete {name}: {len(matches)} orphans have this id: {places}; name the one to delete")
    return matches[0]
