"""What a host remembers: its releases, which one is current, and the history of its jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from agent.desired_state import DesiredFile, assignments, digest
from agent.documents.jobs import HistoryEntry
from agent.documents.manifest import LEFT_OUT, Manifest
from agent.outcome import Refused
from agent.shapes import JsonObject, object_of
from agent.world import World

STATE = "/var/lib/infra"
RELEASES = f"{STATE}/releases"
CURRENT = f"{STATE}/current"
HISTORY = f"{STATE}/history"
NOTED = f"{STATE}/noted-secrets.json"  # of a release that is not kept yet
ENTRY = re.compile(r"[0-9]{8,}-.*\.json")
REMEMBERED = 200
OLDEST_FORMAT, FORMAT = 2, 3
# What earlier formats did not have
LATER: JsonObject = {
    "accounts": [], "requirements": [], "milestones": [], "names": [], "alerts": [], "networks": [], "containers": [],
    "steps": [], "backups": [], "artefacts": [], "published": [], "replicas": [], "held": [],
    "kind": "", "region": "", "metrics": {}, **LEFT_OUT,
}  # fmt: skip


# What every format has
NEEDED = {
    "files", "links", "environment_files", "directories", "units", "probes", "certificates", "trusted_roots",
    "reactions", "commands", "logins", "slots", "ports", "memory", "health", "keep",
}  # fmt: skip


class Damaged(Refused):
    """A kept release that cannot be read any more."""


UNREADABLE = (Refused, ValueError, KeyError, TypeError, OSError)  # what reading a kept release may raise


@dataclass(frozen=True)
class Release:
    """A release as a host keeps it: everything that is needed to go back to it, secrets included."""

    id: str
    manifest: Manifest
    files: list[DesiredFile]

    @property
    def images(self) -> list[str]:
        return images_of(self.manifest)

    @property
    def unit_names(self) -> list[str]:
        return [unit["name"] for unit in self.manifest["units"]]


def by_service(manifest: Manifest) -> dict[str, list[str]]:
    """Service → the images of its container and of its release steps, or its artefacts."""
    units = {unit["name"]: unit["images"] for unit in manifest["units"]}
    images_by_service: dict[str, set[str]] = {}
    for entry in manifest["containers"]:
        images_by_service.setdefault(entry["service"], set()).update(units.get(entry["unit"], []))
    for entry in manifest.get("spread", []):
        # A host that runs copies of it has its image for the group's unit
        if entry["unit"] in units:
            images_by_service.setdefault(entry["service"], set()).update(units[entry["unit"]])
    for entry in manifest["artefacts"]:
        images_by_service.setdefault(entry["service"], set()).add(entry["image"])
    return {service: sorted(images) for service, images in images_by_service.items()}


def images_of(manifest: Manifest) -> list[str]:
    """Those that its containers are made from."""
    return sorted({image for unit in manifest["units"] for image in unit["images"]})


def keep(world: World, release: Release) -> None:
    """Stores a release; the manifest comes last, so that half a release is none. A damaged copy is written again, its
    manifest in place: a release without one could not be gone back to, nor left."""
    if not _is_whole(world, release.id):
        world.directory(STATE, 0o700, "root", "root")
        for file in release.files:
            _write(world, f"{RELEASES}/{release.id}/files{file.path}", file.content)
        _write(world, f"{RELEASES}/{release.id}/manifest.json", serialize(release.manifest))
    forget_noted_secrets(world)


def _is_whole(world: World, id: str) -> bool:
    try:
        load(world, id)
    except Refused:
        return False
    return True


def manifest(world: World, id: str) -> Manifest:
    """What a stored release is made of. Raises Refused when it is not here, or another agent's."""
    text = world.read(f"{RELEASES}/{id}/manifest.json")
    if text is None:
        raise Refused(
            f"release {id[:12]} is not kept here; kept: {', '.join(i[:12] for i in kept_ids(world)) or 'none'}"
        )
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    content = object_of(parsed)
    format_number = content.get("format")
    if not isinstance(format_number, int):
        raise Damaged(f"release {id[:12]} is damaged: its manifest cannot be read")
    if not OLDEST_FORMAT <= format_number <= FORMAT:
        raise Refused(f"release {id[:12]} was made for another agent (format {format_number})")
    if not set(content) >= NEEDED:
        raise Damaged(f"release {id[:12]} is damaged: parts of its manifest are missing")
    # An earlier agent kept it spelled otherwise
    if digest(text) != id and digest(serialize(content)) != id:
        raise Damaged(f"release {id[:12]} is damaged: its manifest has changed")
    return complete(cast("Manifest", content))


def readable_manifest(world: World, id: str) -> Manifest | None:
    """That of a stored release; None where it cannot be read."""
    try:
        return manifest(world, id)
    except UNREADABLE:
        return None


def complete(manifest: Manifest) -> Manifest:
    """With what it means where it says nothing: parts that its format did not have, English."""
    return cast("Manifest", {**LATER, **manifest})


def serialize(manifest: Mapping[str, Any]) -> bytes:
    """As rendering/archive.py does, so that its hash is the id of the release."""
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")


def load(world: World, id: str) -> Release:
    """A stored release. Raises Refused when it is not here, or not whole."""
    release = kept_release(world, id)
    entries = [*release.manifest["files"], *release.manifest["environment_files"]]
    damaged = {entry["path"] for entry in entries} - {file.path for file in release.files}
    if damaged:
        raise Refused(f"release {id[:12]} is damaged: {min(damaged)} has changed")
    return release


def kept_release(world: World, id: str) -> Release:
    """A stored release with those of its files that are what they were."""
    own_manifest = manifest(world, id)
    files: list[DesiredFile] = []
    for entry in [*own_manifest["files"], *own_manifest["environment_files"]]:
        content = world.read(f"{RELEASES}/{id}/files{entry['path']}")
        if content is not None and entry.get("sha256", digest(content)) == digest(content):
            files.append(DesiredFile.of(entry, content))
    return Release(id, own_manifest, files)


def secrets_of(world: World, id: str) -> set[str]:
    """The values of a kept release's secrets."""
    place = f"{RELEASES}/{id}/files"
    return _secrets_within(manifest(world, id), lambda path: world.read(f"{place}{path}"))


def _secrets_within(manifest: Manifest, content: Callable[[str], bytes | None]) -> set[str]:
    """The values of a release's secrets; `content` is what its file at a path has."""
    secrets: set[str] = set()
    for item in manifest["environment_files"]:
        text = content(item["path"]) or b""
        # A damaged one stops no job
        values = assignments(text.decode(errors="replace"), item)
        secrets |= {values[name].strip("'") for name in item["secrets"] if name in values}
    return secrets


def note_secrets(world: World, release: Release) -> None:
    """Of a release that is not kept yet, but whose steps begin to run: what they log is masked from here on. Its copy
    takes the note's place; where none is made, the next job removes it, so that the lines of a failed step are masked
    too."""
    contents = {file.path: file.content for file in release.files}
    values = sorted(_secrets_within(release.manifest, contents.get))
    if values:
        world.directory(STATE, 0o700, "root", "root")
        _write(world, NOTED, json.dumps(values).encode(errors="surrogatepass"))


def forget_noted_secrets(world: World) -> None:
    if world.exists(NOTED):
        world.remove(NOTED)


def known_secrets(world: World) -> set[str]:
    """The values of all secrets on the host: those of kept releases, and of one whose steps run."""
    try:
        noted: object = json.loads(world.read(NOTED) or b"[]")
    except (ValueError, RecursionError):
        noted = []
    texts = cast("list[object]", noted) if isinstance(noted, list) else []
    secrets = {text for text in texts if isinstance(text, str)}
    return secrets.union(*(secrets_of(world, id) for id in readable(world)))


def current_id(world: World) -> str | None:
    target = world.link_target(CURRENT)
    return target.rsplit("/", 1)[1] if target else None


def current(world: World) -> Release | None:
    """The release that serves. Raises Damaged where its manifest cannot be read, Refused for another agent's."""
    id = current_id(world)
    return kept_release(world, id) if id else None


def base(world: World, say: Callable[[str], None]) -> Release | None:
    """The release that serves, from which another one is planned; a damaged copy holds no other one back. Raises
    Refused for another agent's."""
    try:
        return current(world)
    except Damaged as damage:
        say(f"{damage}: files of that release alone stay on the host")
        return None


def make_current(world: World, id: str | None) -> None:
    """From here on the release is the current one, whatever happens; with None there is none."""
    if id is None:
        world.remove(CURRENT)
    else:
        world.link(CURRENT, f"releases/{id}")


def note_served(world: World, id: str) -> None:
    """The current release is the latest that served: `infra rollback` can go back to it from the next one."""
    latest = max([_served_number(world, other) for other in kept_ids(world)], default=0)
    if not (latest and _served_number(world, id) == latest):
        _write(world, f"{RELEASES}/{id}/served", str(latest + 1).encode())


def partial(world: World) -> list[str]:
    """Ids of releases that were not stored to their end: a full disk, or a kill."""
    return [id for id in world.listing(RELEASES) if world.read(f"{RELEASES}/{id}/manifest.json") is None]


def kept_ids(world: World) -> list[str]:
    """Ids of the releases that are stored whole, the latest to serve first. Ordered by a counter: clocks jump."""
    ids = [id for id in world.listing(RELEASES) if world.read(f"{RELEASES}/{id}/manifest.json") is not None]
    return sorted(ids, key=lambda id: -_served_number(world, id))


def readable(world: World) -> list[str]:
    """Those whose manifest this agent can read: a damaged one, or one of a newer agent, stops no job."""
    return [id for id in kept_ids(world) if _is_readable(world, id)]


def unreadable(world: World) -> list[str]:
    return [id for id in kept_ids(world) if not _is_readable(world, id)]


def _is_readable(world: World, id: str) -> bool:
    try:
        manifest(world, id)
    except UNREADABLE:
        return False
    return True


def never_served(world: World, id: str) -> bool:
    return _served_number(world, id) == 0


def returnable(world: World) -> list[str]:
    """Those that can be gone back to: they served once, the latest first."""
    return [id for id in kept_ids(world) if not never_served(world, id)]


def forget(world: World, id: str) -> None:
    world.remove(f"{RELEASES}/{id}/manifest.json")
    world.remove_tree(f"{RELEASES}/{id}")


def record(world: World, entry: HistoryEntry) -> None:
    """Adds a job to the history."""
    names = _entries(world)
    number = int(names[-1].split("-")[0]) + 1 if names else 1
    _write(world, f"{HISTORY}/{number:08d}-{entry['job']}.json", _to_json(entry))
    for name in names[: max(0, len(names) + 1 - REMEMBERED)]:
        world.remove(f"{HISTORY}/{name}")


def history(world: World) -> list[HistoryEntry]:
    """The jobs, oldest first."""
    texts = (world.read(f"{HISTORY}/{name}") for name in _entries(world))
    return [entry for text in texts if text and (entry := _job(text))]


def damaged_jobs(world: World) -> list[str]:
    """The names of the history's entries that cannot be read."""
    return [name for name in _entries(world) if not _job(world.read(f"{HISTORY}/{name}") or b"")]


def _entries(world: World) -> list[str]:
    """The names of the history's files, oldest first: whatever else lies there is none of ours."""
    return [name for name in world.listing(HISTORY) if ENTRY.fullmatch(name)]


def _job(text: bytes) -> HistoryEntry | None:
    """An entry of the history; None where it is damaged: one that a loss of power left half-written stops no job."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_whole = {"job", "kind", "release", "code", "who"} <= {*object_of(entry)}
    return cast("HistoryEntry", entry) if is_whole else None


def last_update(world: World) -> str | None:
    """The release that the last successful update brought, whether or not it was rolled back since."""
    applied_ids = [job["release"] for job in history(world) if job["kind"] == "apply" and job["code"] == 0]
    return applied_ids[-1] if applied_ids else None


def _served_number(world: World, id: str) -> int:
    text = world.read(f"{RELEASES}/{id}/served") or b""
    return int(text) if text.strip().isdigit() else 0


def _to_json(value: HistoryEntry) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _write(world: World, path: str, content: bytes) -> None:
    world.write(path, content, 0o600, "root", "root")
