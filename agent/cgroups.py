"""What control groups use, of either version of the kernel's interface."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
UNIFIED = str(ROOT / "cgroup.controllers")  # there under version 2 only
# Units that only hold others: what happens in them happens to one of those
HOLDERS = re.compile(r".*\.slice|user@.*\.service")


def memory_of(pid: int) -> int | None:
    """See World.memory_of."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        places = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}
        if "memory" in places:
            folder, used, dropped = (
                ROOT / "memory" / places["memory"][1:],
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        else:
            folder, used, dropped = ROOT / places[""][1:], "memory.current", "inactive_file"
        stat = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, int((folder / used).read_text()) - int(stat.get(dropped, 0)))
    except (OSError, KeyError, ValueError, IndexError):
        return None


def own_kills(counts: dict[str, int], groups: dict[str, str], repeats: bool) -> dict[str, int]:
    """How often the kernel killed something of a unit itself, by how often systemd said so of each (`counts`) and by
    the units' control groups (path; none of a unit that is gone). Under version 2 what happens in a group is counted in
    every group above it too: then it `repeats`. Slices and users' managers have nothing of their own. Pure."""
    counts = {unit: count for unit, count in counts.items() if not HOLDERS.fullmatch(unit.rsplit("/", 1)[-1])}
    if not repeats:
        return counts
    own = {
        unit: count - sum(counts[below] for below in _next_below(unit, counts, groups))
        for unit, count in counts.items()
    }
    return {unit: count for unit, count in own.items() if count > 0}


def _next_below(unit: str, counts: dict[str, int], groups: dict[str, str]) -> list[str]:
    """The units in a unit's control group that are in no other unit's inside it."""
    place = groups.get(unit)
    below = [other for other in counts if place and groups.get(other, "").startswith(f"{place}/")]
    return [other for other in below if not any(groups[other].startswith(f"{groups[between]}/") for between in below)]
