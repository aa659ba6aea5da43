"""Another value of a secret for the services that use it: set in the stack, then brought to their host as `infra
deploy` brings an image, through the gate, and back where they do not become healthy with it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalogue.deployed_images import DeployRequest, standing
from catalogue.loading import Catalogue
from catalogue.shapes import is_mapping
from catalogue.stack import APPROVED_IMAGES, DEPLOYING, UNSETTLED, Stack
from infra import bringing, hosts, notes, remote, secret
from infra.bringing import Say
from infra.errors import InfraError
from infra.hosts import LastOutputs
from infra.move import run
from infra.paths import config_file, project_root
from infra.secret_hosts import environment_files, versions_of
from infra.writing import put

# What served before an interrupted rotation, as long as it is not settled
NOTE = ".infra/rotating-{stack}.json"


@dataclass(frozen=True)
class Rotation:
    """A secret (`path`), the `host` that has what uses it, and all `services` that restart: those that use it, and what
    shares a compose file with them. `places` are its names in a release's manifest."""

    path: str
    host: str
    services: list[str]
    places: list[str]

    def command(self, stack: str) -> str:
        """The one that brings the value that the stack has."""
        return f"infra secret rotate {self.path} --again --stack {stack}"


def plan_rotation(catalogue: Catalogue, path: str, again: bool) -> Rotation:
    """Raises InfraError for what no service of one host uses alone, and for a value that is to be changed elsewhere."""
    stack = catalogue.stack.name
    if not again:
        secret.settable(catalogue, path)
    entries = {entry.path: entry for entry in secret.stack_secrets(catalogue)}
    entry = entries.get(path)
    if entry is None or not entry.is_set:
        raise InfraError(f"{path} has no value to be replaced: infra secret set {path} --stack {stack}")
    on = {host: [s for system in catalogue.systems_on(host) for s in system.active] for host in catalogue.stack.hosts}
    users = {host: [s.name for s in services if s.name in entry.used_by] for host, services in on.items()}
    using = [host for host, names in users.items() if names]
    if len(using) != 1 or {*users[using[0]]} != {*entry.used_by}:
        uses = ", ".join(entry.used_by) or "nothing"
        raise InfraError(
            f"{path} is used by {uses}, and not by services of one host alone: infra secret set {path} --stack "
            f"{stack}, then pulumi up --stack {stack}"
        )
    (host,) = using
    together = [s for system in catalogue.systems_on(host) for s in system.compose_services]
    units = {service.unit for service in together if service.name in users[host]}
    beside = [s.name for s in together if s.unit in units and s.name not in users[host]]
    return Rotation(path, host, [*users[host], *beside], [f"{name}/{entry.name}" for name in users[host]])


@dataclass(frozen=True)
class Ready:
    """A rotation that nothing stands in the way of: the stack's outputs, and the digests that its host has, or had
    before a run that was interrupted."""

    rotation: Rotation
    outputs: LastOutputs
    versions: Mapping[str, str]
    is_interrupted: bool = False


def ready(catalogue: Catalogue, rotation: Rotation, again: bool, ask_lock: run.Ask, say: Say) -> Ready:
    """Looks at stack and host, and settles what an update left in AWS, before anything is set. Raises InfraError."""
    stack = catalogue.stack
    outputs = hosts.outputs(stack)
    bringing.ensure_whole(catalogue, outputs, rotation.host)
    command = rotation.command(stack.name)
    is_interrupted = (project_root() / UNSETTLED.format(stack=stack.name)).exists()
    bringing.ask_settled(stack, outputs, rotation.host, command)
    if is_interrupted and not again:
        raise InfraError(f"{rotation.path} was being rotated, and that was interrupted: {command}")
    run.settle(stack.name, say, ask_lock)
    return Ready(rotation, outputs, _versions(stack, rotation, is_interrupted), is_interrupted)


def _versions(stack: Stack, rotation: Rotation, is_interrupted: bool) -> dict[str, str]:
    """`SERVICE/NAME` → digest of the value that was brought last: the host's, or where an interrupted run may have
    brought another one, what was noted before it. Raises InfraError."""
    note = notes.read(Path(NOTE.format(stack=stack.name))) if is_interrupted else None
    noted = note.get("versions") if is_mapping(note) and note.get("path") == rotation.path else None
    if is_mapping(noted):
        return {place: str(version) for place, version in noted.items()}
    answer = remote.ask(hosts.targets(stack, rotation.host)[rotation.host], "contents")
    there = versions_of(environment_files(answer))
    if lacking := [place for place in rotation.places if place not in there]:
        raise InfraError(f"{rotation.host} has no value of {', '.join(lacking)} yet: pulumi up --stack {stack.name}")
    return {place: there[place] for place in rotation.places}


def set_value(stack: Stack, path: str, put_value: Callable[[], None], say: Say) -> Callable[[], None]:
    """Sets it; what is returned puts the stack's file back, unless it was changed again since, and says so. Raises
    InfraError."""
    file = config_file(stack.name) or project_root() / f"Pulumi.{stack.name}.yaml"
    before = file.read_bytes()
    put_value()
    after = file.read_bytes()

    def undo() -> None:
        if file.read_bytes() != after:
            say(f"{file.name} was changed meanwhile: {path} has its new value there, and not on the host")
            return
        put(file, before)
        say(f"restored the previous value of {path} in {file.name}")

    return undo


def bring(catalogue: Catalogue, now: Ready, ask_lock: run.Ask, say: Say, undo: Callable[[], None]) -> str:
    """Brings the stack's value to the services, and says how that ended; `undo` is called where they keep the one that
    they had. Raises InfraError."""
    stack, rotation = catalogue.stack, now.rotation
    note = Path(NOTE.format(stack=stack.name))
    notes.keep(note, {"path": rotation.path, "versions": dict(now.versions)})
    say(f"{rotation.path}: {', '.join(rotation.services)} on {rotation.host} restart with the new value")
    words = bringing.targets(catalogue, rotation.host)
    forward, back = _variables(catalogue, now), _variables(catalogue, now, is_back=True)
    update = bringing.Update(rotation.command(stack.name), words, forward, back)
    try:
        bringing.bring(stack.name, update, say, ask_lock, undo)
    finally:
        if not (project_root() / UNSETTLED.format(stack=stack.name)).exists():
            notes.forget(note)
    standby = f"; {', '.join(stack.standbyRegions)} gets it by the next pulumi up" if stack.standbyRegions else ""
    return f"{', '.join(rotation.services)} on {rotation.host} run with the new value of {rotation.path}{standby}"


def _variables(catalogue: Catalogue, now: Ready, is_back: bool = False) -> dict[str, str]:
    """What the update is given: everything else stays by the digest that it was brought with."""
    host = now.rotation.host
    outputs = now.outputs
    before = outputs.get("deployed", {})
    deployed = {**before, **standing(catalogue, {host: before.get(host, {})})}
    deploying: DeployRequest = {
        "host": host, "services": now.rotation.services, "deployed": deployed, "versions": dict(now.versions),
    }  # fmt: skip
    if not is_back:
        deploying["basis"], deploying["release"] = before, hosts.release_of(outputs, host)
    return {APPROVED_IMAGES: json.dumps(outputs.get("images", {})), DEPLOYING: json.dumps(deploying)}


def is_there(digests: Mapping[str, str], now: Ready) -> bool:
    """Has the host the stack's value already, by its digest."""
    return all(digests.get(place) == version for place, version in now.versions.items())
