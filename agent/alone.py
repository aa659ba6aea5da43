"""A release that is to change some services and nothing else. Who sends it has seen to it that the release differs from
the one that serves in their images alone (components/alone.py); here nothing else is touched on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agent import adopting, units
from agent.documents.manifest import Manifest
from agent.outcome import Refused
from agent.plan import Plan


def narrow(ready: Plan, services: Iterable[str], restarts: Iterable[str] = ()) -> Plan:
    """The plan with what differs between the two releases, and nothing else: what was edited or stopped by hand stays
    as it is. The units `restarts` restart in any case. All of it where no services are named. Raises Refused."""
    names = {*services}
    if not names:
        return ready
    if ready.base is None:
        raise Refused(
            f"this host has no release yet, so {', '.join(sorted(names))} cannot be deployed alone: run pulumi up"
        )
    differing = _differing(ready.base.manifest, ready.target.manifest)
    mine = [rollout for rollout in ready.rollouts if rollout.service in names]
    differing |= {rollout.link for rollout in mine}
    change = replace(
        ready.change,
        write=[file for file in ready.change.write if file.path in differing],
        remove=[path for path in ready.change.remove if path in differing],
        link={path: to for path, to in ready.change.link.items() if path in differing},
    )
    touched = units.units_with_files(ready.target.manifest, {*change.paths})
    changed = {*touched, *restarts}
    adoptions = ready.adoptions.for_paths({adopting.path_of(name) for name in touched})
    return replace(
        ready,
        change=replace(change, write=change.write + adoptions.writes, remove=change.remove + adoptions.removes),
        adoptions=adoptions,
        stops=[name for name in ready.stops if name in changed],
        leaves=[name for name in ready.leaves if name in changed],
        starts=[name for name in ready.starts if name in changed],
        enables=[name for name in ready.enables if name in changed],
        rollouts=mine,
        rolls=[roll for roll in ready.rolls if roll.unit in changed],
        early=[step for step in ready.early if step["service"] in names],
        late=[step for step in ready.late if step["service"] in names],
    )


def _differing(before: Manifest, after: Manifest) -> set[str]:
    """The paths of files and links that are not the same in both manifests."""
    paths: set[str] = set()
    for kind in ("files", "links", "environment_files"):
        one, other = ({entry["path"]: entry for entry in manifest[kind]} for manifest in (before, after))
        paths |= {path for path in {*one, *other} if one.get(path) != other.get(path)}
    return paths
