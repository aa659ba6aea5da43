"""Containers that run already, made by hand, and are what a release would create: adopted instead of replaced. They run
on untouched; a drop-in of the release's unit starts, watches and stops them by their ids, until the unit's next change
makes the release's own in their place. Until the commit nothing of them is changed, and no stop of a unit stops them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent import blocks, cgroups, existing, quoting, validate
from agent.definitions import Image, Wanted, containers_to_create, differences
from agent.desired_state import DesiredFile
from agent.documents.manifest import Manifest
from agent.documents.transaction import ExistingContainer
from agent.engine import Declined
from agent.quoting import count
from agent.shapes import DockerDetails
from agent.store import Release
from agent.world import World

SYSTEM = "/etc/systemd/system"
DROP_IN = "90-infra-adopted.conf"
FOLLOWED = ("json-file", "local", "journald")  # logs that `docker logs` can follow
AUTO_REMOVED = "started with --rm"
NOTE = re.compile(r"^# container ([0-9a-f]{12,64}) (\S+)$", re.MULTILINE)
UP = re.compile(r"^ExecStartPre=(/usr/bin/docker-compose .*) up -d --remove-orphans$")
# What a misshapen file, or a misshapen answer of Docker's, makes
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


class Verdict(NamedTuple):
    """What becomes of an existing container with a name of a release's: adopted, or replaced because it `differs`."""

    wanted: Wanted
    id: str
    differs: list[str]
    log: str

    @property
    def is_equal(self) -> bool:
        return not self.differs


def path_of(unit: str) -> str:
    return f"{SYSTEM}/{unit}.d/{DROP_IN}"


def judge(
    containers: Iterable[Wanted], details: Mapping[str, DockerDetails], images: Mapping[str, DockerDetails]
) -> list[Verdict]:
    """Each container that there is, by its name, against the one that is to be. `images` are Docker's answers by id,
    and by the names that a release has for them. Pure."""
    verdicts: list[Verdict] = []
    for one in containers:
        there = details.get(one.entry["name"])
        if there is None:
            continue
        try:
            target = images.get(one.entry["image"])
            image = images.get(there.get("Image", ""))
            state, host = there["State"], there["HostConfig"]
            config: dict[str, str] = host.get("LogConfig") or {}
            is_steady = state["Running"] and not state.get("Paused") and not state.get("Restarting")
            differs = [
                *([] if is_steady else ["not running"]),
                *([AUTO_REMOVED] if host.get("AutoRemove") else []),
                *(
                    differences(one, there, Image.of(target) if target else None, Image.of(image))
                    if image
                    else ["image"]
                ),
            ]
            log = config.get("Type", "")
        except UNREADABLE as error:
            differs, log = [f"cannot be compared: {quoting.error(error)}"], ""
        verdicts.append(Verdict(one, str(there.get("Id", "")), differs, log))
    return verdicts


def containers_of(manifest: Manifest, files: Mapping[str, str], units: Collection[str]) -> list[Wanted]:
    """The containers that these units would create. `files` are the release's texts by path. Raises one of UNREADABLE
    for a compose file that cannot be read."""
    own = {path for unit in manifest["units"] if unit["name"] in units for path in unit["files"]}
    names = {entry["name"] for entry in manifest["containers"] if entry["unit"] in units}
    documents = {
        # Not other programs' files, such as Kong's, which may have `services` too
        path: blocks.parse(files[path])
        for path in own
        if validate.is_compose(path) and path in files
    }
    return [one for one in containers_to_create(manifest, documents, files) if one.entry["name"] in names]


class Adoptions(NamedTuple):
    """What a switch adopts: the drop-ins that it `writes`, those that it `removes` since their units change, the
    containers that are `adopted`, those that were and are replaced now (`former`, as drop-in and id), the ids of those
    that stay, and of others in what each differs."""

    writes: list[DesiredFile]
    removes: list[str]
    adopted: list[ExistingContainer]
    former: list[tuple[str, str]]
    stays: list[str]
    differs: dict[str, list[str]]

    def for_paths(self, paths: Collection[str]) -> Adoptions:
        """Those of units whose drop-ins are among the paths. What others have adopted stays."""
        return self._replace(
            writes=[file for file in self.writes if file.path in paths],
            removes=[path for path in self.removes if path in paths],
            adopted=[entry for entry in self.adopted if path_of(entry.get("unit", "")) in paths],
            former=[(path, id) for path, id in self.former if path in paths],
            stays=self.stays + [id for path, id in self.former if path not in paths],
        )


NONE = Adoptions([], [], [], [], [], {})


def plan(world: World, target: Release, starts: Sequence[str], disturbed: Collection[str]) -> Adoptions:
    """Of the units `starts`, those whose containers run already without them; those of the `disturbed` ones, which
    change or leave, are no longer adopted. Raises OSError where Docker does not answer."""
    removes = [path for unit in disturbed if world.exists(path := path_of(unit))]
    former = [(path, id) for path in removes for id, _ in adopted_ids(world, path)]
    # Also of units that rest: what they have adopted is theirs
    present = [unit for unit in target.unit_names if path_of(unit) not in removes and world.exists(path_of(unit))]
    stays = [id for unit in present for id, _ in adopted_ids(world, path_of(unit))]
    nothing = NONE._replace(removes=removes, former=former, stays=stays)
    units = [unit for unit in starts if unit not in present]
    names = {entry["name"] for entry in target.manifest["containers"] if entry["unit"] in units}
    details = _foreign(world, target.manifest, names) if names else {}
    if not details:
        return nothing
    files = {file.path: file.content.decode(errors="replace") for file in target.files}
    try:
        containers = containers_of(target.manifest, files, units)
    except UNREADABLE as error:
        reason = f"cannot be compared: {quoting.error(error)}"
        return nothing._replace(differs={name: [reason] for name in details})
    verdicts = judge(containers, details, _images(world, containers, details))
    writes: list[DesiredFile] = []
    adopted: list[ExistingContainer] = []
    for unit in units:
        own = [verdict for verdict in verdicts if verdict.is_equal and verdict.wanted.entry["unit"] == unit]
        if own:
            everything = [one for one in containers if one.entry["unit"] == unit]
            text = drop_in(files[f"{SYSTEM}/{unit}"], own, everything)
            writes.append(DesiredFile(path_of(unit), text.encode(), 0o644, "root", "root"))
            entries = [existing.describe(world, verdict.wanted.entry["name"], verdict.id) for verdict in own]
            adopted += [ExistingContainer({**entry, "unit": unit}) for entry in entries if entry]
    return nothing._replace(
        writes=writes,
        removes=[path for path in removes if path not in {file.path for file in writes}],
        adopted=adopted,
        differs={verdict.wanted.entry["name"]: verdict.differs for verdict in verdicts if verdict.differs},
    )


def _foreign(world: World, manifest: Manifest, names: Collection[str]) -> dict[str, DockerDetails]:
    """What Docker says of the containers of these names that are not the release's own, by name."""
    entries = {entry["name"]: entry for entry in manifest["containers"] if entry["name"] in names}
    answers: dict[str, DockerDetails] = {}
    for container in existing.list_containers(world):
        name = next((name.lstrip("/") for name in container.get("Names") or [] if name.lstrip("/") in entries), None)
        if name and not existing.is_of(container.get("Labels") or {}, entries[name]):
            try:
                answers[name] = json.loads(world.docker_has(f"/containers/{container['Id']}/json"))
            except Declined:
                continue  # gone meanwhile
    if not world.exists(cgroups.UNIFIED):
        # There Docker gives every container the host's control groups
        for details in answers.values():
            details.get("HostConfig", {}).pop("CgroupnsMode", None)
    return answers


def _images(
    world: World, containers: Iterable[Wanted], details: Mapping[str, DockerDetails]
) -> dict[str, DockerDetails]:
    names = {one.entry["image"] for one in containers if one.entry["name"] in details}
    names |= {str(there["Image"]) for there in details.values() if there.get("Image")}
    answers: dict[str, DockerDetails] = {}
    for name in sorted(names):
        try:
            answers[name] = json.loads(world.docker_has(f"/images/{name}/json"))
        except (Declined, ValueError):
            continue  # not on this host
    return answers


def drop_in(unit: str, adopted: Sequence[Verdict], everything: Sequence[Wanted]) -> str:
    """The drop-in of a unit, whose text is `unit`, that runs the adopted containers, and the release's own beside them.
    One that is gone is made by Compose again."""
    own_keys = {verdict.wanted.key for verdict in adopted}
    keys = [one.key for one in everything if one.key not in own_keys]
    before: list[str] = []
    command = ""
    for line in unit.splitlines():
        if up := UP.match(line):
            starts = "; ".join(f'docker start {v.id} >/dev/null || set -- "$$@" {v.wanted.key}' for v in adopted)
            up_again = f'[ $$# -eq 0 ] || exec {up[1]} up -d --no-deps "$$@"'
            before.append(f"ExecStartPre=/bin/sh -c '{starts}; {up_again}' {' '.join(['adopted', *keys])}")
        elif line.startswith("ExecStartPre="):
            before.append(line)
        elif line.startswith("ExecStart="):
            command = line[len("ExecStart=") :]
    script = command[len("/bin/bash -c '") : -1] if command.startswith("/bin/bash -c '") else f"{command} & wait -n"
    followed = [verdict.id for verdict in adopted if verdict.log in FOLLOWED]
    # Not of the shell that waits: a log that ends is no end of a container
    logs = f"for id in {' '.join(followed)}; do (docker logs --follow --since 5s $$id &); done; " if followed else ""
    notes = [f"# container {verdict.id} {verdict.wanted.entry['name']}" for verdict in adopted]
    return "\n".join([
        "# Written by infra: containers that ran before the release and are what it would create",
        *notes, "[Service]", "ExecStartPre=", *before, "ExecStart=", f"ExecStart=/bin/bash -c '{logs}{script}'", "",
    ])  # fmt: skip


def adopted_ids(world: World, path: str) -> list[tuple[str, str]]:
    """The containers of a drop-in, as id and name."""
    return NOTE.findall((world.read(path) or b"").decode(errors="replace"))


def begin(
    world: World, say: Callable[[str], None], aside: list[ExistingContainer], adopted: list[ExistingContainer]
) -> None:
    """Within a switch: what is replaced makes room. Raises Failed."""
    if adopted:
        say(f"adopting {count(len(adopted), 'existing container')}")
    if aside:
        say(f"stopping and renaming {count(len(aside), 'existing container')}")
        existing.set_aside(world, aside)


def finish(world: World, aside: list[ExistingContainer], adopted: list[ExistingContainer]) -> list[str]:
    """After the commit: what was replaced is removed, and the units of what was adopted stop it, and Docker does not
    start it by itself. Returns what to say of it. Safe to repeat."""
    lines = existing.remove(world, aside)
    if not adopted:
        return lines
    ids = {entry["id"] for entry in adopted}
    for path in sorted({path_of(entry.get("unit", "")) for entry in adopted}):
        text = (world.read(path) or b"").decode(errors="replace")
        own = [id for id, _ in NOTE.findall(text) if id in ids]
        if own and "\nExecStop=" not in text:
            content = f"{text}ExecStop=-/usr/bin/docker stop {' '.join(own)}\n"
            world.write(path, content.encode(), 0o644, "root", "root")
    names = ", ".join(sorted(entry["name"] for entry in adopted))
    lines.append(f"existing containers that are what the release would create were adopted and run on: {names}")
    for words in (("systemctl", "daemon-reload"), ("docker", "update", "--restart=no", *sorted(ids))):
        ran = world.run(*words)
        if ran.code:
            lines.append(f"{' '.join(words[:2])} failed for adopted containers: {ran.last_lines()}")
    return lines
