"""`infra include`: a system that is described in a repository of its own. Its files are copied into this project, at a
commit that is recorded, so that a preview, a review and a release see what is here and nothing else."""

import json
import os
import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.quoting import count
from catalogue.loading import STATIC, SYSTEMS, read_system
from catalogue.shapes import JsonObject
from infra.errors import InfraError
from infra.foreign import one_line
from infra.git import clone, git
from infra.project.program import File, file_at, is_safe
from infra.writing import below, put, put_below, remove_below

RECORD = SYSTEMS / ".included.json"
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
PASSWORD = re.compile(r"^[a-z+]+://[^/@]*:[^/@]*@")
MOST = 1000  # files of a system


@dataclass(frozen=True)
class Origin:
    """Where a system comes from: a directory or what git can clone, the folder in it, the version that is asked for and
    the commit that it was, and the marks of the files that came."""

    source: str
    folder: str
    version: str
    commit: str
    files: dict[str, str]

    def __str__(self) -> str:
        place = f"{self.source}, {self.folder}" if self.folder else self.source
        return one_line(f"{place}, at {self.commit[:10]}" if self.commit else place)


@dataclass(frozen=True)
class Request:
    """Which version of a system is to come: its `source` ("" for where it came from), the `version` there ("" for the
    last one that was asked for) and the `folder` of it (None for the last one)."""

    source: str = ""
    version: str = ""
    folder: str | None = None


@dataclass(frozen=True)
class Inclusion:
    """What an inclusion does to a project: path → its content, None for a file that goes."""

    system: str
    origin: Origin
    changes: dict[str, File | None]

    @property
    def line(self) -> str:
        if not self.changes:
            return f"{self.system} is as in {self.origin}"
        names = ", ".join(self.changes)
        return f"{self.system} comes from {self.origin}: {count(len(self.changes), 'file')} changed: {names}"


def origins(root: Path) -> dict[str, Origin]:
    """The systems of a project that come from elsewhere. Raises InfraError."""
    place = root / RECORD
    try:
        if not os.path.lexists(place):
            return {}
        document = json.loads((file_at(place) or File(b"")).content)
        by_system = {system: _origin(entry) for system, entry in document.items()}
        if not all(_is_ours(system, path) for system, origin in by_system.items() for path in origin.files):
            raise ValueError
        return by_system
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InfraError(f"{RECORD} cannot be read: take it back from the history of this repository") from None


def _origin(entry: JsonObject) -> Origin:
    """Raises LookupError and TypeError for what is none."""
    texts = {name: entry[name] for name in ("source", "folder", "version", "commit")}
    files = dict(entry["files"])
    if not all(isinstance(text, str) for text in [*texts.values(), *files, *files.values()]):
        raise TypeError
    return Origin(**texts, files=files)


def _is_ours(system: str, path: str) -> bool:
    """Is a path one that an included system may have."""
    own = path == f"{SYSTEMS}/{system}.yaml" or path.startswith(f"{STATIC}/{system}/")
    return bool(NAME.fullmatch(system)) and own and is_safe(path)


def plan_inclusion(root: Path, system: str, request: Request, theirs: bool = False) -> Inclusion:
    """What bringing a system, or a later version of it, changes. Files that were edited here are refused unless they
    become `theirs`. Raises InfraError, and CatalogueError for a system that does not validate."""
    if not NAME.fullmatch(system):
        raise InfraError(f"{system!r} is no name of a system: lower-case letters, digits and . _ -")
    before = origins(root).get(system)
    if not request.source and before is None:
        raise InfraError(f"{system} has no source yet: name a directory, or a repository that git can clone")
    place = request.source or (before.source if before else "")
    if PASSWORD.search(place):
        raise InfraError(
            "the address holds a password, and it is written into this repository: leave it to git's helper"
        )
    last = before if not request.source else None
    inside = request.folder if request.folder is not None else last.folder if last else ""
    if inside and not is_safe(inside):
        raise InfraError(one_line(f"--folder {inside}: a folder of {place}, such as deploy"))
    version = request.version or (last.version if last else "")
    with _checkout(root, place, version) as checkout:
        files = _files(checkout, inside, system, one_line(place))
        commit = _commit(checkout)
    _validate(files, system)
    origin = Origin(place, inside, version, commit, {path: file.mark for path, file in sorted(files.items())})
    return Inclusion(system, origin, _changes(root, before, files, theirs))


def apply(root: Path, inclusion: Inclusion) -> None:
    """Writes it. Interrupted, the same again ends it. Raises InfraError."""
    for path, file in inclusion.changes.items():
        if file is None:
            remove_below(root, path)
            continue
        put_below(root, path, file.content, 0o755 if file.executable else 0o644)
    all_origins = {**origins(root), inclusion.system: inclusion.origin}
    body = {system: all_origins[system].__dict__ for system in sorted(all_origins)}
    put_below(root, RECORD, json.dumps(body, indent=1) + "\n")


@contextmanager
def _checkout(root: Path, source: str, version: str) -> Generator[Path]:
    """A directory as it is, as messages of a project name it from its root; else a clone."""
    place = root / os.path.expanduser(source)
    if place.is_dir() and not version:
        yield place.resolve()
        return
    with clone(str(place.resolve()) if place.is_dir() else source, version, "--version") as checkout:
        yield checkout


def _commit(checkout: Path) -> str:
    """The commit of a checkout; "" of a directory that is none, or that has more than was committed."""
    try:
        if git("status", "--porcelain", root=checkout):
            return ""
        return git("rev-parse", "HEAD", root=checkout).decode().strip()
    except InfraError:
        return ""


def _refuse_links(checkout: Path, way: Path, source: str) -> None:
    """Raises InfraError where one of the directories on the way is something else: a link leads to files of the
    account that includes it."""
    place = checkout
    for part in way.parts:
        place = place / part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            path = place.relative_to(checkout)
            raise InfraError(
                f"{source}: {one_line(str(path))} is no directory: a system's files are included from directories alone"
            )


def _files(checkout: Path, inside: str, system: str, source: str) -> dict[str, File]:
    """A system's files by their paths in a project: its own, and those below a directory of its name. They lie as in a
    project, or beside each other. Raises InfraError."""
    yaml, static, place = SYSTEMS / f"{system}.yaml", STATIC / system, checkout / inside
    for way in (SYSTEMS, STATIC / system, Path("static") / system):
        _refuse_links(checkout, inside / way, source)
    is_project = (place / yaml).exists()
    own, below = (place / yaml, place / static) if is_project else (place / yaml.name, place / "static" / system)
    system_file = file_at(own)
    if system_file is None:
        raise InfraError(f"{source} has neither {yaml} nor {yaml.name}: name the right system, or its --folder")
    files = {yaml.as_posix(): system_file}
    for path in sorted(below.rglob("*")):
        name, display_name = (static / path.relative_to(below)).as_posix(), one_line(str(path.relative_to(place)))
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise InfraError(f"{source}: {display_name} is no file: only files are included")
        if path.is_file():
            content = file_at(path)
            if content is None or not is_safe(name):
                raise InfraError(f"{source}: {display_name} cannot be a file of a project")
            files[name] = content
        if len(files) > MOST:
            raise InfraError(f"{source} has more than {MOST} files for {system}")
    return files


def _validate(files: dict[str, File], system: str) -> None:
    """Raises CatalogueError, as `infra check` would find it here."""
    with tempfile.TemporaryDirectory(prefix="infra-include-") as scratch:
        for path, file in files.items():
            target = Path(scratch) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            put(target, file.content)
        read_system(Path(scratch) / SYSTEMS / f"{system}.yaml")


def _changes(root: Path, before: Origin | None, files: dict[str, File], theirs: bool) -> dict[str, File | None]:
    recorded = before.files if before else {}
    changes: dict[str, File | None] = {}
    edited: list[str] = []
    own: list[str] = []
    for path in sorted({*recorded, *files}):
        here, now = file_at(below(root, path)), files.get(path)
        if os.path.lexists(root / path) and here is None:
            raise InfraError(f"{path} is no file here: remove it first")
        mark = here.mark if here else None
        if here == now:
            continue
        if here and path not in recorded:
            own.append(path)
        elif here and mark != recorded.get(path):
            edited.append(path)
        changes[path] = now
    if own and not theirs:
        raise InfraError(f"{', '.join(own)} is this project's own: remove it first, or take the other with --theirs")
    if edited and not theirs:
        source = one_line(before.source) if before else "its source"
        raise InfraError(
            f"{', '.join(edited)} was edited here: bring the edit to {source}, or take what is there with --theirs"
        )
    return changes
