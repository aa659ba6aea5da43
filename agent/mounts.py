"""What a release needs to be mounted: without its data disk, its directories would be made on the root disk."""

from __future__ import annotations

import os

from agent.documents.manifest import Manifest
from agent.outcome import Refused
from agent.world import World


def demand(world: World, manifest: Manifest) -> None:
    """Raises Refused where something is not mounted."""
    # Kept releases of an earlier version have none
    needed_places = manifest.get("mounts", [])
    lines = os.fsdecode(world.read("/proc/mounts") or b"").split("\n") if needed_places else []
    places = {fields[1] for line in lines if len(fields := line.split(" ")) > 3}
    if missing := [place for place in needed_places if place not in places]:
        raise Refused(
            f"{' and '.join(missing)} of the data disk is not mounted: systemctl status srv.mount on the host says "
            "why; pulumi up mounts it (docs/data-disk.md)"
        )
