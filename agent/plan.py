"""What a switch is going to do to a host: worked out as a value before anything is touched."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from agent import adopting, rolling, slots, steps, units
from agent.adopting import Adoptions
from agent.desired_state import Difference, difference
from agent.documents.manifest import Step
from agent.outcome import Failed, Refused
from agent.rolling import Roll
from agent.slots import Rollout
from agent.store import Release
from agent.world import World


@dataclass(frozen=True)
class Plan:
    """`stops` are stopped by the files that they were started from, `leaves` go for good, `starts` are (re)started in
    the release's order, `rolls` one after the other; `states` are what the units were before. Of the release's steps
    `early` run before the switch, `late` within it. `adoptions` are of existing containers (agent/adopting.py)."""

    base: Release | None
    target: Release
    change: Difference
    states: dict[str, dict[str, bool]]
    stops: list[str]
    leaves: list[str]
    starts: list[str]
    enables: list[str]
    rollouts: list[Rollout]
    early: list[Step]
    late: list[Step]
    rolls: list[Roll]
    adoptions: Adoptions

    @property
    def is_empty(self) -> bool:
        work = self.change.paths or self.leaves or self.starts or self.enables or self.rollouts or self.rolls
        work = work or self.early or self.late
        return not work and self.base is not None and self.base.id == self.target.id

    @property
    def starting_units(self) -> list[str]:
        """The units that this switch (re)starts."""
        return [*self.at_once, *(roll.unit for roll in self.rolls)]

    @property
    def at_once(self) -> list[str]:
        """Those of them that (re)start together."""
        return [*self.starts, *(rollout.next["unit"] for rollout in self.rollouts)]


def _has_socket(running: list[str], name: str) -> bool:
    """A unit whose port systemd holds is restarted and never only stopped: the next request would start it again."""
    return f"{name.rsplit('.', 1)[0]}.socket" in running and not name.endswith(".socket")


def plan(world: World, base: Release | None, target: Release, restarts: Collection[str] = ()) -> Plan:
    """Reads the host and changes nothing; the units `restarts` restart though nothing of them changed. Raises Refused
    where systemd does not answer."""
    old = base.unit_names if base else []
    try:
        states = units.settled_states(world, list(dict.fromkeys([*target.unit_names, *old])))
    except Failed as failure:
        raise Refused(str(failure)) from None
    change = difference(world, target.files, target.manifest["links"], base.manifest if base else None)
    changed = {*units.units_with_files(target.manifest, set(change.paths)), *restarts}
    rollouts = slots.rollouts(world, target.manifest, changed, states)
    ordinary = [name for name in target.unit_names if name not in slots.units_of(target.manifest)]
    resting = slots.resting(world, target.manifest)
    stops = [
        name
        for name in ordinary
        if name in old and name in changed and states[name]["active"] and not _has_socket(old, name)
    ]
    leaves = [name for name in old if name not in target.unit_names]
    starts = [name for name in ordinary if name not in resting and (name in changed or not states[name]["active"])]
    # What its own unit runs already is restarted with it, unless that unit has adopted it
    adopting_units = [name for name in starts if not states[name]["active"] or world.exists(adopting.path_of(name))]
    disturbed = [*units.units_with_files(target.manifest, set(change.paths)), *leaves]
    adoptions = adopting.plan(world, target, adopting_units, disturbed)
    moving = [rollout.next["unit"] for rollout in rollouts]
    early, late = steps.split(world, target.manifest, {*stops, *leaves, *starts, *moving})
    before = base.manifest if base else None
    disturbance = rolling.Disturbance(starts, stops, {name for step in late for name in step["needs"]})
    rolls = rolling.rolls(before, target.manifest, disturbance, states)
    alone = {roll.unit for roll in rolls}
    return Plan(
        base,
        target,
        replace(
            change,
            write=change.write + adoptions.writes,
            link=change.link | {rollout.link: rollout.next["target"] for rollout in rollouts},
            remove=change.remove
            + adoptions.removes
            + slots.leftover_links(world, base.manifest if base else None, target.manifest),
        ),
        states,
        stops=[name for name in stops if name not in alone],
        leaves=leaves,
        starts=[name for name in starts if name not in alone],
        enables=[
            name
            for name in [*slots.running(world, target.manifest, rollouts), *sorted(resting)]
            # What it is wanted by may have changed with its file
            if not states[name]["enabled"] or name in changed
        ],
        rollouts=rollouts,
        early=early,
        late=late,
        rolls=rolls,
        adoptions=adoptions,
    )
