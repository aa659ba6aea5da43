"""A release that is to change some services and nothing else: `infra deploy` brings one, whatever else may have been
written since the last whole update."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent import slots, units
from agent.outcome import Refused
from agent.plan import Plan

SHOWN = 5


def narrowed(ready: Plan, services: list[str]) -> Plan:
    """The plan without what it would do to others; all of it where no services are named. Raises Refused, naming what
    else the release changes."""
    if not services:
        return ready
    named = ", ".join(services)
    if ready.base is None:
        raise Refused(f"this host has no release yet, and {named} alone is none: run pulumi up")
    before, manifest = ready.base.manifest, ready.target.manifest
    own = _units(before, services) | _units(manifest, services)
    mine = [rollout for rollout in ready.rollouts if rollout.service in services]
    # A slot of another service that does not run is its own affair
    foreign = {rollout.link for rollout in ready.rollouts} - {rollout.link for rollout in mine}
    change = replace(ready.change, link={path: to for path, to in ready.change.link.items() if path not in foreign})
    files = {
        path for each in (before, manifest) for unit in each["units"] if unit["name"] in own for path in unit["files"]
    }
    files |= {rollout.link for rollout in mine}
    others = sorted({*change.paths} - files) + sorted({*ready.leaves} - own)
    if not others:
        rest = [_others(each, services, own, files) for each in (before, manifest)]
        others = sorted(key for key in {*rest[0], *rest[1]} if rest[0].get(key) != rest[1].get(key))
    if others:
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        raise Refused(
            f"more than {named} differs from what is on this host: {', '.join(others[:SHOWN])}{more}. Run pulumi up "
            "for all of it, or deploy from the state of the project that it was run with"
        )
    # What is stopped for another reason is not started by this
    changed = {*units.changed(manifest, {*change.paths})} | own
    return replace(
        ready,
        change=change,
        starts=[name for name in ready.starts if name in changed],
        enables=[name for name in ready.enables if name in changed],
        rollouts=mine,
    )


def _units(manifest: dict[str, Any], services: list[str]) -> set[str]:
    found = {unit for service in services for unit in slots.units_of_service(manifest, service)}
    return found | {entry["unit"] for entry in manifest["containers"] if entry["service"] in services}


def _others(manifest: dict[str, Any], services: list[str], own: set[str], files: set[str]) -> dict[str, Any]:
    """A manifest without what it says of these services."""

    def is_theirs(entry: Any) -> bool:
        if not isinstance(entry, dict):
            return False
        names = {entry.get("name"), entry.get("unit")} & own
        return bool(names) or entry.get("service") in services or entry.get("path") in files

    return {
        key: [entry for entry in value if not is_theirs(entry)] if isinstance(value, list) else value
        for key, value in manifest.items()
    }
