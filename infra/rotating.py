"""Another value of a secret for the services that use it: set in the stack, then brought to one host after the other as
`infra deploy` brings an image, through the gate, and back where they do not become healthy with it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalogue.deployed_images import DeployRequest, standing
from catalogue.loading import Catalogue
from catalogue.parts import release_order
from catalogue.shapes import is_mapping
from catalogue.stack import Stack
from catalogue.updates import APPROVED_IMAGES, DEPLOYING, UNSETTLED
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
Versions = Mapping[str, str]


@dataclass(frozen=True)
class Share:
    """What a rotation is on one `host`: all `services` that restart there, those that use the secret and what shares a
    compose file with them. `places` are its names in a release's manifest."""

    host: str
    services: list[str]
    places: list[str]


@dataclass(frozen=True)
class Rotation:
    """A secret (`path`), and the hosts that have what uses it, in the order of their releases."""

    path: str
    shares: list[Share]

    def command(self, stack: str) -> str:
        """The one that brings the value that the stack has."""
        return f"infra secret rotate {self.path} --again --stack {stack}"


def plan_rotation(catalogue: Catalogue, path: str, again: bool) -> Rotation:
    """Raises InfraError for what not only services use, and for a value that is to be changed elsewhere."""
    stack = catalogue.stack
    if not again:
        secret.settable(catalogue, path)
    entries = {entry.path: entry for entry in secret.stack_secrets(catalogue)}
    entry = entries.get(path)
    if entry is None or not entry.is_set:
        raise InfraError(f"{path} has no value to be replaced: infra secret set {path} --stack {stack.name}")
    shares = [share for host in release_order(stack) if (share := _share(catalogue, host, entry))]
    services = {name for share in shares for name in share.services}
    if not shares or not {*entry.used_by} <= services:
        uses = ", ".join(entry.used_by) or "nothing"
        raise InfraError(
            f"{path} is used by {uses}, and not by services alone: infra secret set {path} --stack "
            f"{stack.name}, then pulumi up --stack {stack.name}"
        )
    return Rotation(path, shares)


def _share(catalogue: Catalogue, host: str, entry: secret.Secret) -> Share | None:
    systems = catalogue.systems_on(host)
    users = [s.name for system in systems for s in system.active if s.name in entry.used_by]
    if not users:
        return None
    together = [s for system in systems for s in system.compose_services]
    units = {service.unit for service in together if service.name in users}
    beside = [s.name for s in together if s.unit in units and s.name not in users]
    return Share(host, [*users, *beside], [f"{name}/{entry.name}" for name in users])


@dataclass(frozen=True)
class Ready:
    """A rotation that nothing stands in the way of: the stack's outputs, and by host the digests that it has, or had
    before a run that was `interrupted` there."""

    rotation: Rotation
    outputs: LastOutputs
    versions: Mapping[str, Versions]
    interrupted: frozenset[str] = frozenset()

    def pending(self, digests: Mapping[str, Versions]) -> list[Share]:
        """Where the value is to be brought: not where a host has it already, by the digests of what the stack has."""
        return [
            share
            for share in self.rotation.shares
            if share.host in self.interrupted
            or any(digests[share.host].get(place) != own for place, own in self.versions[share.host].items())
        ]


def ready(catalogue: Catalogue, rotation: Rotation, again: bool, ask_lock: run.Ask, say: Say) -> Ready:
    """Looks at stack and hosts, and settles what an update left in AWS, before anything is set. Raises InfraError."""
    stack = catalogue.stack
    outputs = hosts.outputs(stack)
    command = rotation.command(stack.name)
    is_interrupted = (project_root() / UNSETTLED.format(stack=stack.name)).exists()
    for share in rotation.shares:
        bringing.ensure_whole(catalogue, outputs, share.host)
        bringing.ask_settled(stack, outputs, share.host, command)
    if is_interrupted and not again:
        raise InfraError(f"{rotation.path} was being rotated, and that was interrupted: {command}")
    run.settle(stack.name, say, ask_lock)
    noted = _interrupted_host(stack, rotation) if is_interrupted else {}
    versions = {share.host: noted.get(share.host) or _versions(stack, share) for share in rotation.shares}
    # Without a note of the host any of them may have what is not recorded
    interrupted = {*(noted or versions)} if is_interrupted else set[str]()
    return Ready(rotation, outputs, versions, frozenset(interrupted))


def _interrupted_host(stack: Stack, rotation: Rotation) -> dict[str, Versions]:
    """The host that an interrupted run was at → what it had before: it may have either value now."""
    note = notes.read(Path(NOTE.format(stack=stack.name)))
    noted = note.get("versions") if is_mapping(note) and note.get("path") == rotation.path else None
    if not is_mapping(note) or not is_mapping(noted):
        return {}
    # An earlier version rotated on one host alone, and did not name it
    host = str(note.get("host") or rotation.shares[0].host)
    return {host: {str(place): str(own) for place, own in noted.items()}}


def _versions(stack: Stack, share: Share) -> dict[str, str]:
    """`SERVICE/NAME` → digest of the value that a host has. Raises InfraError."""
    answer = remote.ask(hosts.targets(stack, share.host)[share.host], "contents")
    there = versions_of(environment_files(answer))
    if lacking := [place for place in share.places if place not in there]:
        raise InfraError(f"{share.host} has no value of {', '.join(lacking)} yet: pulumi up --stack {stack.name}")
    return {place: there[place] for place in share.places}


@dataclass
class Former:
    """The former value of a secret, as the stack's file had it; without one (`--again`) it cannot be brought back."""

    file: Path | None = None
    before: bytes = b""
    after: bytes = b""
    path: str = ""
    is_restored: bool = False

    def restore(self, say: Say) -> None:
        """Puts the stack's file back, unless it was changed again since, and says so."""
        if self.file is None or self.is_restored:
            return
        if self.file.read_bytes() != self.after:
            say(f"{self.file.name} was changed meanwhile: the previous value of {self.path} is not put back there")
            return
        put(self.file, self.before)
        self.is_restored = True
        say(f"restored the previous value of {self.path} in {self.file.name}")


def set_value(stack: Stack, path: str, put_value: Callable[[], None]) -> Former:
    """Sets it. Raises InfraError."""
    file = config_file(stack.name) or project_root() / f"Pulumi.{stack.name}.yaml"
    before = file.read_bytes()
    put_value()
    return Former(file, before, file.read_bytes(), path)


@dataclass(frozen=True)
class Ways:
    """How a lock is asked about, where progress is shown, and what is called where services keep the value that they
    had (`undo`)."""

    ask_lock: run.Ask
    say: Say
    undo: Callable[[], None]


def bring(catalogue: Catalogue, now: Ready, share: Share, ways: Ways) -> str:
    """Brings the stack's value to the services of one host, and says how that ended. Raises InfraError."""
    stack, rotation = catalogue.stack, now.rotation
    note = Path(NOTE.format(stack=stack.name))
    notes.keep(note, {"path": rotation.path, "host": share.host, "versions": dict(now.versions[share.host])})
    words = bringing.targets(catalogue.stack, [share.host])
    forward, back = _variables(catalogue, now, share), _variables(catalogue, now, share, is_back=True)
    update = bringing.Update(rotation.command(stack.name), words, forward, back)
    try:
        bringing.bring(stack.name, update, ways.say, ways.ask_lock, ways.undo)
    finally:
        if not (project_root() / UNSETTLED.format(stack=stack.name)).exists():
            notes.forget(note)
    standby = f"; {', '.join(stack.standbyRegions)} gets it by the next pulumi up" if stack.standbyRegions else ""
    return f"{', '.join(share.services)} on {share.host} run with the new value of {rotation.path}{standby}"


def _variables(catalogue: Catalogue, now: Ready, share: Share, is_back: bool = False) -> dict[str, str]:
    """What the update is given: everything else stays by the digest that it was brought with."""
    host = share.host
    outputs = now.outputs
    before = outputs.get("deployed", {})
    deployed = {**before, **standing(catalogue, {host: before.get(host, {})})}
    deploying: DeployRequest = {
        "host": host, "services": share.services, "deployed": deployed, "versions": dict(now.versions[host]),
    }  # fmt: skip
    if not is_back:
        deploying["basis"], deploying["release"] = before, hosts.release_of(outputs, host)
    return {APPROVED_IMAGES: json.dumps(outputs.get("images", {})), DEPLOYING: json.dumps(deploying)}
