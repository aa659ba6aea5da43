"""Data that a container would lose: its image declares a place for it, and nothing there outlives the container."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from agent import quoting
from agent.documents import docker
from agent.engine import Declined
from agent.outcome import Refused
from agent.store import Release
from agent.world import World


def check(world: World, target: Release) -> None:
    """Asked once the images are here. Raises Refused, with what to write."""
    # A release that an earlier version made does not say what is mounted
    containers = [entry for entry in target.manifest["containers"] if entry.get("image")]
    declared = {image: _declared_volumes(world, image) for image in sorted({entry["image"] for entry in containers})}
    lost = [
        f"{entry['service']}: {path} (volumes: [{entry['name']}-data:{path}], or tmpfs: [{path}] where it may be lost)"
        for entry in containers
        for path in declared[entry["image"]]
        if not any(PurePosixPath(path).is_relative_to(PurePosixPath(place)) for place in entry["covered"])
    ]
    if lost:
        raise Refused(
            "an image declares a data directory (VOLUME) that is not kept, so each release would lose its "
            f"data: {'; '.join(dict.fromkeys(lost))}. Add that to the catalogue and run again"
        )


def _declared_volumes(world: World, image: str) -> list[str]:
    try:
        details: docker.Image = json.loads(world.docker_has(f"/images/{image}/json"))
        return sorted(path for path in details["Config"]["Volumes"] or {} if path.startswith("/"))
    except (OSError, Declined) as error:
        raise Refused(f"Docker cannot inspect {image}: {quoting.quote(str(error))}. Run again") from None
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Refused(f"the answer of Docker about {image} cannot be read. Pull it again and run again") from None
