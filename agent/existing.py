"""Existing containers with a name that a release needs, which no release made: started by hand, or by another compose
project. One that is what the release would create is adopted (agent/adopting.py). The others a switch stops and sets
aside under another name; a rollback starts exactly them again; once the release is committed they are removed, and
their volumes kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from agent import quoting
from agent.documents import docker
from agent.documents.docker import ListedContainer, RestartPolicy
from agent.documents.manifest import Container, Manifest
from agent.documents.transaction import ExistingContainer
from agent.engine import Declined
from agent.outcome import Failed, Refused
from agent.world import World

PROJECT, UNIT = "com.docker.compose.project", "object_systemd_unit"
OURS = "infra-"  # how our projects' names begin; as in rendering/compose.py


def list_containers(world: World) -> list[ListedContainer]:
    """Every container, as Docker lists it. Raises OSError where Docker does not answer."""
    return json.loads(world.docker_has("/containers/json?all=1"))


def conflicts(
    world: World,
    manifest: Manifest,
    units: list[str],
    base: Manifest | None = None,
    stops: Sequence[str] = (),
) -> list[ExistingContainer]:
    """What a start of these units would find at its containers' names, the earliest started first: id, name, running,
    restart policy, networks, volumes. Not what the `base` release made and removes itself when its unit `stops`.

    Raises Refused where one could not be put back, OSError where Docker does not answer.
    """
    removed = {entry["name"]: entry for entry in (base or {}).get("containers", []) if entry["unit"] in stops}
    own_containers = {entry["name"]: entry for entry in manifest["containers"] if entry["unit"] in units}
    if not own_containers:
        return []
    descriptions: list[ExistingContainer | None] = []
    for container in list_containers(world):
        name = next(
            (name.lstrip("/") for name in container.get("Names") or [] if name.lstrip("/") in own_containers), None
        )
        labels: dict[str, str] = container.get("Labels") or {}
        if not name or is_of(labels, own_containers[name]):
            continue
        if name not in removed or not is_of(labels, removed[name]):
            descriptions.append(describe(world, name, container["Id"]))
    return sorted((entry for entry in descriptions if entry), key=lambda entry: entry["started"])


def is_of(labels: dict[str, str], entry: Container) -> bool:
    """Did the unit of this release make it. An older release has no project of its own, and only its unit's label."""
    project = entry.get("project")
    if project:
        return labels.get(PROJECT) == project
    return labels.get(UNIT) == entry["unit"] and not labels.get(PROJECT, "").startswith(OURS)


def describe(world: World, name: str, id: str) -> ExistingContainer | None:
    """A container as it is now; None where it is gone meanwhile. Raises Refused for one that could not be put back."""
    try:
        details = _inspect(world, id)
    except Declined:
        return None
    host = details["HostConfig"]
    if host.get("AutoRemove"):
        raise Refused(
            f"the container {name} was started with --rm, so a stop would remove it for good. Start it without --rm, "
            "or remove it, and run again"
        )
    policy: RestartPolicy = host.get("RestartPolicy") or {}
    count = policy.get("MaximumRetryCount") or 0
    return {
        "id": id, "name": name or details["Name"].lstrip("/"), "running": _is_running(details),
        "started": details["State"].get("StartedAt", ""),
        "restart": f"{policy.get('Name') or 'no'}{f':{count}' if count else ''}", "networks": _networks(details),
        "volumes": sorted(mount["Name"] for mount in details.get("Mounts") or [] if mount.get("Type") == "volume"),
    }  # fmt: skip


def _inspect(world: World, id: str) -> docker.Container:
    return json.loads(world.docker_has(f"/containers/{id}/json"))


def _is_running(details: docker.Container) -> bool:
    return bool(details["State"]["Running"])


def _networks(details: docker.Container) -> list[str]:
    return sorted(details["NetworkSettings"]["Networks"])


def _aside(entry: ExistingContainer) -> str:
    return f"{entry['name']}.before-{entry['id'][:12]}"


def set_aside(world: World, entries: list[ExistingContainer]) -> None:
    """Stopped, not removed, under another name, and not started by Docker meanwhile. Raises Failed."""
    ids = [entry["id"] for entry in entries]
    _must(world, "update", "--restart=no", *ids)
    _must(world, "stop", *ids)
    for entry in entries:
        _must(world, "rename", entry["id"], _aside(entry))


def give_back(world: World, entries: list[ExistingContainer]) -> list[str]:
    """Their names and restart policies, before the units are started again that may run them; what could not be done.
    Safe to repeat."""
    return _try_each(world, entries, _give_back)


def _give_back(world: World, entry: ExistingContainer) -> None:
    details = _inspect(world, entry["id"])
    if details["Name"].lstrip("/") != entry["name"]:
        # What a unit of ours made meanwhile and its stop did not remove
        for other in list_containers(world):
            labels: dict[str, str] = other.get("Labels") or {}
            if f"/{entry['name']}" in (other.get("Names") or []) and labels.get(PROJECT, "").startswith(OURS):
                _must(world, "rm", "--force", other["Id"])
        _must(world, "rename", entry["id"], entry["name"])
    _must(world, "update", f"--restart={entry['restart']}", entry["id"])


def start_again(world: World, entries: list[ExistingContainer]) -> list[str]:
    """Those that ran run again, the earliest first, and are what they were; what of that is not so. Safe to repeat."""
    return _try_each(world, entries, _start_again)


def _start_again(world: World, entry: ExistingContainer) -> None:
    if entry["running"] and not _is_running(_inspect(world, entry["id"])):
        _must(world, "start", entry["id"])
    details = _inspect(world, entry["id"])
    if entry["running"] and not _is_running(details):
        raise Failed("it is not running")
    if missing := sorted(set(entry["networks"]) - set(_networks(details))):
        raise Failed(f"it is no longer in the network {missing[0]}")


def remove(world: World, entries: list[ExistingContainer]) -> list[str]:
    """After the commit. Returns what to say of it: their volumes stay."""
    lines: list[str] = []
    for entry in entries:
        volumes = f"; its volumes are kept: {', '.join(entry['volumes'])}" if entry["volumes"] else ""
        complaint = (
            f"the existing container {entry['name']} could not be removed: it is stopped, with the name {_aside(entry)}"
        )
        try:
            _inspect(world, entry["id"])
            ran = world.run("docker", "rm", "--force", entry["id"])
            reasons = entry.get("differs")
            differs = f" (it differs: {', '.join(reasons)})" if reasons else ""
            what_became = (
                f"the existing container {entry['name']} was removed{volumes}"
                if entry.get("leaves")
                else f"the existing container {entry['name']} was replaced{differs}{volumes}"
            )
            lines.append(complaint if ran.code else what_became)
        except Declined:
            continue
        except (OSError, ValueError, KeyError) as error:
            # The release is committed, and serves
            lines.append(f"{complaint}: {quoting.error(error)}")
    return lines


def _try_each(
    world: World, entries: list[ExistingContainer], step: Callable[[World, ExistingContainer], None]
) -> list[str]:
    failures: list[str] = []
    for entry in entries:
        try:
            step(world, entry)
        except Declined:
            failures.append(f"the container {entry['name']} is gone ({entry['id'][:12]})")
        except (Failed, OSError, ValueError, KeyError) as error:
            failures.append(f"the container {entry['name']} is not as it was: {quoting.error(error)}")
    return failures


def _must(world: World, *words: str) -> None:
    ran = world.run("docker", *words)
    if ran.code != 0:
        raise Failed(f"docker {words[0]}: {ran.last_lines()}")
