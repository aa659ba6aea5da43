"""Backups: how old the last good one is, and what its drill said."""

from __future__ import annotations

from agent import away
from agent.backups import making
from agent.documents.manifest import Alert
from agent.monitor.look import HostFacts, Measured, Measures
from agent.wording import join_phrases, phrase


def age(look: HostFacts, _: Alert) -> Measures:
    """Hours that a service's last good backup is older than it may be."""
    resting = away.resting(look.world)
    for entry in look.manifest["backups"]:
        if resting & {*entry["units"]}:
            # The host that has the data now backs it up
            continue
        record = making.record(look.world, entry["service"])
        good, failed = record.get("good"), record.get("failed")
        since = good["at"] if good else record.get("since", look.world.wall())
        hours = (look.world.wall() - since) / 3600
        parts = [
            phrase("its last successful backup is {hours:.0f} hours old", hours=hours)
            if good
            else phrase("it has no backup")
        ]
        if failed:
            parts.append(phrase("the last attempt failed: {why}", why=failed.get("why")))
        yield Measured(entry["service"], hours - entry["max_age"], join_phrases("; ", parts))


def drills(look: HostFacts, _: Alert) -> Measures:
    """1 for a service whose last drill failed."""
    for entry in look.manifest["backups"]:
        drill = making.record(look.world, entry["service"]).get("drill")
        if drill:
            why = str(drill.get("why") or "")
            yield Measured(entry["service"], 1 if why else 0, why)
