"""A service's data in its place: what was there is set aside, other data comes, and what uses it starts on that."""

from __future__ import annotations

from agent import health, quoting, slots, steps, units
from agent.documents.manifest import Manifest
from agent.outcome import Failed, Refused
from agent.restore import SPARE
from agent.store import Release
from agent.world import World


def demand_room(world: World, path: str, size: int, what: str = "the backup") -> None:
    """Raises Refused where so many bytes, and something to spare, are not free at a path."""
    if size + SPARE > (free := world.free(path)):
        raise Refused(
            f"{what} takes {size // 1024**2} MiB, and {free // 1024**2} MiB are free at {quoting.quote(path)}, of "
            "which 1 GiB must stay free: make room, or give the host a larger disk (infra:hosts.NAME.volume)"
        )


def foreign_parent(world: World, path: str) -> str:
    """Why another account than root could put a link in the place of what is there; "" where none could."""
    if why := world.why_barred(path):
        return why
    parts = path.strip("/").split("/")[:-1]
    # The root itself is root's
    for count in range(1, len(parts) + 1):
        parent = f"/{'/'.join(parts[:count])}"
        directory = world.directory_entry(parent)
        if directory is None and world.exists(parent):
            return f"{parent} is not a directory, or is a link"
        if directory and (directory.owner != "root" or (directory.mode & 0o022 and not directory.mode & 0o1000)):
            return f"{parent} belongs to {directory.owner} or is writable by others, who could redirect the data"
    return ""


def active_units(world: World, names: list[str]) -> list[str]:
    """Those that run, or are on their way down. Raises Failed where systemd does not answer."""
    return [unit for unit, state in units.settled_states(world, names).items() if state["active"]]


def stop(world: World, manifest: Manifest, names: list[str]) -> None:
    """Raises Failed where one goes on, or its container does."""
    units.stop(world, list(reversed(names)))
    if still := active_units(world, names):
        raise Failed(f"still running after the stop: {', '.join(still)}")
    # systemd stops nothing of a unit whose start has failed, and its container may be there
    if still_running := running_containers(world, manifest, names):
        units.must(world, "docker", "stop", *still_running)


def running_containers(world: World, manifest: Manifest, names: list[str]) -> list[str]:
    """The containers of units that run. Raises Failed where Docker does not answer."""
    own = {entry["name"] for entry in manifest["containers"] if entry["unit"] in names}
    if not own:
        return []
    ran = world.run("docker", "ps", "--format", "{{.Names}}", timeout=60)
    if ran.code:
        raise Failed(f"the running containers are unknown: docker ps: {ran.last_lines(1)}")
    return [name for name in ran.output.split() if name in own]


def exchange(world: World, path: str, aside: str, staged: str | None) -> None:
    """Sets what is at a path aside, and puts what was staged there, or an empty directory like it."""
    owned = world.directory_entry(path)
    if world.exists(path):
        world.rename_tree(path, aside)
    if staged:
        world.rename_tree(staged, path)
    elif owned:
        world.directory(path, owned.mode, owned.owner, owned.group)


def keys_of(release: Release, services: set[str]) -> list[str]:
    """The release steps of these services."""
    return [step["key"] for step in release.manifest["steps"] if step["service"] in services]


def start(world: World, release: Release, services: set[str], starting: list[str], patience: health.Patience) -> None:
    """Starts units on the data that is there now, after the release steps of their services that it has not seen.
    Raises Failed."""
    late = [step for step in steps.pending(world, release.manifest) if step["service"] in services]
    remaining = steps.run_within_the_switch(world, release, late, starting, patience)
    if remaining:
        units.start(world, remaining, patience.deadline)


def judge(world: World, release: Release, services: list[str], ill: list[str], patience: health.Patience) -> None:
    """All of it is healthy; what was not before may still be so, for a reason that is none of the data's. Raises
    Failed."""
    try:
        wait_for(world, release, services, patience)
    except Failed as failure:
        if not ill:
            raise
        wait_for(world, release, [name for name in services if name not in ill], patience)
        patience.say(f"was unhealthy before and still is: {failure}")


def wait_for(world: World, release: Release, services: list[str], patience: health.Patience) -> None:
    """Waits until services are healthy. Raises Failed."""
    probes = slots.own_probes(world, release.manifest, services)
    health.wait(world, probes, {}, patience)
