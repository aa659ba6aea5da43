"""How long after it was switched on a host's milestones were reached, in this boot. Reads only."""

from __future__ import annotations

import json

from agent import managers
from agent.documents.answers import MilestoneResult
from agent.store import Release
from agent.world import World

STARTED = "39f53479d3a045ac8e11786248231fbf"


def boot_times(world: World, release: Release) -> list[MilestoneResult]:
    """An entry a milestone: `name`, `unit`, `within`, and `seconds` (None when it was not reached yet)."""
    beginning, offset = _begin(world)
    return [
        {**milestone, "seconds": _seconds_to_start(world, milestone["unit"], beginning, offset)}
        for milestone in release.manifest["milestones"]
    ]


def _begin(world: World) -> tuple[int, int]:
    """Microseconds of the kernel's clock at which this boot of the host began, and what went before that clock.

    In a container the kernel is another machine's and has run for long: there the boot begins with systemd.
    """
    properties = world.run(
        "systemctl", "show", "-p", "UserspaceTimestampMonotonic", "-p", "FirmwareTimestampMonotonic"
    ).output
    times = {
        name: int(value) for name, value in (line.split("=", 1) for line in properties.splitlines() if "=" in line)
    }
    if world.run("systemd-detect-virt", "--quiet", "--container").code == 0:
        return times["UserspaceTimestampMonotonic"], 0
    return 0, times.get("FirmwareTimestampMonotonic", 0)


def _seconds_to_start(world: World, unit: str, beginning: int, offset: int) -> float | None:
    """When the unit was first up; it may have been restarted since."""
    ran = world.run(
        "journalctl",
        "-b",
        *managers.manager_matches(world, unit),
        f"MESSAGE_ID={STARTED}",
        "-o",
        "json",
        "--no-pager",
        "-q",
    )
    times = [int(json.loads(line)["__MONOTONIC_TIMESTAMP"]) for line in ran.output.splitlines() if line.startswith("{")]
    since = [time for time in times if time >= beginning]
    return round((min(since) - beginning + offset) / 1e6, 1) if since else None
