"""What a product's owner built and no package brings: artefacts of the registry, each named by its digest. They are
fetched and unpacked while the present release serves; a link of the release puts one in place, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from agent import ecr, quoting, registry, store
from agent.documents.manifest import Manifest
from agent.documents.registries import Layer
from agent.images import PAUSES
from agent.outcome import Refused
from agent.quoting import count
from agent.store import STATE, Release
from agent.trees import Unfit
from agent.world import World

# As in rendering/artefacts.py. Every account may read there
PLACE = "/opt/infra/artefacts"
COMING, UNPACKING = f"{PLACE}/.fetched", f"{PLACE}/.unpacking"
RECORDS = f"{STATE}/artefacts"  # see record_of
# Of a manifest: how many bytes its files have; `infra push` writes it
UNPACKED = "infra.unpacked-bytes"
GUESSED = 4  # times the compressed size, of what does not say
KINDS = ("tar", "tar+gzip", "tar.gzip")
DIGEST = re.compile("sha256:[0-9a-f]{64}")
MiB = 1024**2
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class MissingArtefact:
    """An artefact that is not on its host: where it goes, its layers as its registry has them, and the bytes that its
    files take."""

    image: str
    folder: str
    layers: list[Layer]
    unpacked: int
    authorization: str

    @property
    def name(self) -> str:
        return _name(self.image)

    @property
    def size(self) -> int:
        return sum(layer["size"] for layer in self.layers)


def locate(manifest: Manifest, path: str) -> str:
    """Where a path of the host lies before the release's links are there: in the artefact, or the environment of
    Python, that they lead to."""
    ways = {entry["into"]: entry["target"] for entry in manifest["artefacts"]}
    ways.update((entry["into"], entry["folder"]) for entry in manifest.get("environments", []))
    for into, target in ways.items():
        if path == into or path.startswith(f"{into}/"):
            return target + path[len(into) :]
    return path


def edited_paths(world: World, folder: str) -> list[str] | None:
    """The paths of an artefact that were changed or added since it was unpacked; None where one was deleted. Compiled
    files that Python adds (`__pycache__`) do not count."""
    try:
        record = dict(json.loads(world.read(record_of(folder)) or b""))
    except (ValueError, TypeError):
        return None
    present = world.tree(folder)
    if not record or {*record} - {*present}:
        return None
    differing = {path for path, facts in present.items() if record.get(path) != facts}
    return sorted(path for path in differing if path in record or "__pycache__" not in path.split("/"))


def absent(world: World, target: Release) -> list[MissingArtefact]:
    """The artefacts that are to be fetched, as the registry has them. Raises Refused."""
    image_of_folder = {entry["folder"]: entry["image"] for entry in target.manifest["artefacts"]}
    # What was edited stays, and is drift: a service may run from it
    image_of_folder = {
        folder: image for folder, image in image_of_folder.items() if edited_paths(world, folder) is None
    }
    if unknown := sorted({image for image in image_of_folder.values() if "@" not in image}):
        push = "; ".join(f"uv run infra push {_name(image)} --from YOUR-DIRECTORY" for image in unknown)
        raise Refused(f"{count(len(unknown), 'artefact')} missing in the registry. Push them and run again: {push}")
    hosts = sorted({image.partition("/")[0] for image in image_of_folder.values()})
    logins = ecr.auths(world, hosts) if hosts else {}
    return [
        _missing_artefact(world, folder, image, logins[image.partition("/")[0]]["auth"])
        for folder, image in image_of_folder.items()
    ]


def _missing_artefact(world: World, folder: str, image: str, login: str) -> MissingArtefact:
    ours, name = registry.architecture(world), _name(image)
    offered = _retry(world, lambda: registry.look_up(world, image, ours, login), lambda offered: offered.may_pass)
    if offered.architectures and ours not in offered.architectures:
        others = ", ".join(sorted(offered.architectures))
        raise Refused(
            f"this host is {ours}, but {name} is for {others}: build and push it for {ours} too, and run again"
        )
    if offered.manifest is None:
        push = "Push it again (uv run infra push) or correct the tag, and run again"
        remedy = (
            "Check that this host may pull from it and that it answers, and run again" if offered.may_pass else push
        )
        raise Refused(f"{name}: {offered.fault}. {remedy}")
    try:
        layers = [_checked_layer(layer) for layer in offered.manifest["layers"]]
        if not layers:
            raise TypeError
        size = sum(layer["size"] for layer in layers)
        annotations: dict[str, str] = offered.manifest.get("annotations") or {}
        size_noted = annotations.get(UNPACKED, "")
    except (KeyError, TypeError, AttributeError):
        fault = "its manifest does not describe its layers correctly"
        raise Refused(f"{name} is not an artefact: {fault}. Push it again and run again") from None
    if others := [layer["mediaType"] for layer in layers if not layer["mediaType"].endswith(KINDS)]:
        packed = quoting.quote(others[0])
        raise Refused(f"{name} is packed as {packed}, not as tar or tar+gzip: push it again, and run again")
    return MissingArtefact(
        image, folder, layers, int(size_noted) if str(size_noted).isdigit() else GUESSED * size, f"Basic {login}"
    )


def _retry(world: World, ask: Callable[[], Answer], may_pass: Callable[[Answer], bool]) -> Answer:
    """The first answer that is not one that may pass, or the last."""
    answer = ask()
    for pause in PAUSES:
        if not may_pass(answer):
            break
        world.sleep(pause)
        answer = ask()
    return answer


def _checked_layer(layer: Mapping[str, object]) -> Layer:
    """Raises KeyError and TypeError for what is none. Its digest becomes the name of a file that root writes: who may
    push must not choose that."""
    digest, size, kind = layer["digest"], layer["size"], layer["mediaType"]
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise TypeError
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise TypeError
    return {"digest": digest, "size": size, "mediaType": str(kind)}


def clear(world: World, target: Release, missing: list[MissingArtefact]) -> None:
    """What jobs that did not end have left, and artefacts of releases that were refused: room for what is to come."""
    coming = {layer["digest"].rpartition(":")[2] for artefact in missing for layer in artefact.layers}
    for name in world.listing(COMING):
        if name not in coming:
            world.remove(f"{COMING}/{name}")
    _keep_only(world, {COMING, *(entry["folder"] for entry in target.manifest["artefacts"])})


def bytes_needed(world: World, missing: list[MissingArtefact]) -> int:
    """Bytes of disk that fetching takes: the downloads, as far as they are not here, and what comes out of them."""
    here = sum(int(facts.split()[2]) for facts in world.tree(COMING).values() if not facts.endswith("directory"))
    return max(0, sum(artefact.size + artefact.unpacked for artefact in missing) - here)


def fetch(world: World, missing: list[MissingArtefact], say: Callable[[str], None]) -> None:
    """Brings what is not here; what a connection that broke has brought is not fetched again. Raises Refused."""
    if missing:
        size = sum(artefact.size for artefact in missing)
        say(f"fetching {count(len(missing), 'artefact')}, {size / MiB:.1f} MiB")
        world.directory(PLACE, 0o755, "root", "root")
        world.directory(COMING, 0o700, "root", "root")
    for artefact in missing:
        _unpack(world, artefact, [_download(world, artefact, layer) for layer in artefact.layers], say)


def _download(world: World, artefact: MissingArtefact, layer: Layer) -> str:
    host, _, rest = artefact.image.partition("/")
    path = f"{COMING}/{layer['digest'].rpartition(':')[2]}"
    url = f"https://{host}/v2/{rest.partition('@')[0]}/blobs/{layer['digest']}"
    if why := _retry(world, lambda: world.download(url, artefact.authorization, path, layer["size"]), bool):
        raise Refused(f"{artefact.name} cannot be fetched: {quoting.quote(why)}. Run again to continue from there")
    if world.digest_of(path) != layer["digest"]:
        world.remove(path)
        raise Refused(f"{artefact.name} was damaged in transfer; run again")
    return path


def _unpack(world: World, artefact: MissingArtefact, archives: list[str], say: Callable[[str], None]) -> None:
    world.remove_tree(UNPACKING)
    world.directory(UNPACKING, 0o755, "root", "root")
    try:
        for archive in archives:
            # A disk that is filled to its end would take down what serves
            world.unpack(archive, UNPACKING, max(0, world.free(PLACE) - 64 * MiB))
        for archive in dict.fromkeys(archives):
            world.remove(archive)
        world.settle(UNPACKING)
    except Unfit as error:
        world.remove_tree(UNPACKING)
        raise Refused(f"{artefact.name} cannot be unpacked: {quoting.quote(str(error))}. Push it again") from None
    except OSError:
        world.remove_tree(UNPACKING)
        raise
    # First, so that none that is there as a whole is without
    record = json.dumps(world.tree(UNPACKING), sort_keys=True).encode()
    world.write(record_of(artefact.folder), record, 0o600, "root", "root")
    if world.exists(artefact.folder):
        # Something of it is gone: what is left is kept
        aside = _aside(artefact.folder)
        world.remove_tree(aside)
        folder = artefact.folder
        say(f"{folder} differed from what was unpacked, and is fetched again; its earlier content is in {aside}")
        world.rename_tree(artefact.folder, aside)
    world.rename_tree(UNPACKING, artefact.folder)


def check(world: World, target: Release) -> None:
    """Is in each artefact what the release's link names. Raises Refused."""
    for entry in target.manifest["artefacts"]:
        tree, subpath = world.tree(entry["folder"]), entry["target"][len(entry["folder"]) + 1 :]
        parts = subpath.split("/")
        ways = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        if links := [way for way in ways if tree.get(way, "").startswith("-> ")]:
            raise Refused(
                f"{links[0]} of {_name(entry['image'])} is a link in the subpath of {entry['service']}: name "
                "the link's target"
            )
        if not world.exists(entry["target"]):
            inside = sorted({path.split("/")[0] for path in tree} - {"."})
            has = ", ".join(inside[:8]) + (", …" if len(inside) > 8 else "")
            raise Refused(
                f"{_name(entry['image'])} has no {subpath}, which {entry['service']} names as its subpath; it has: "
                f"{quoting.visible(has) or 'nothing'}"
            )


def prune(world: World) -> None:
    """Removes what no kept release needs, and what is left of downloads."""
    _keep_only(world, set())


def _keep_only(world: World, folders: set[str]) -> None:
    """Removes all but what kept releases need, and these; nothing where a release cannot be read, and may need any."""
    if store.unreadable(world):
        return
    kept_folders = {entry["folder"] for id in store.kept_ids(world) for entry in store.manifest(world, id)["artefacts"]}
    kept_folders |= folders
    kept_folders |= {_aside(folder) for folder in kept_folders}
    for name in world.listing(PLACE):
        if f"{PLACE}/{name}" not in kept_folders:
            world.remove_tree(f"{PLACE}/{name}")
    for name in world.listing(RECORDS):
        if f"{PLACE}/{name[: -len('.json')]}" not in kept_folders:
            world.remove(f"{RECORDS}/{name}")


def _name(image: str) -> str:
    """An artefact as people read it: its repository and the beginning of its digest."""
    repository, _, digest = image.partition("/")[2].partition("@sha256:")
    return f"{repository}@{digest[:12]}" if digest else repository


def _aside(folder: str) -> str:
    """Where what is left of an artefact is kept that was not whole."""
    return f"{PLACE}/.edited-{folder.rsplit('/', 1)[1]}"


def record_of(folder: str) -> str:
    """Where it is noted what was unpacked into a folder, or made in it: below the name of the place that it is in."""
    _, place, name = folder.rsplit("/", 2)
    return f"{STATE}/{place}/{name}.json"
