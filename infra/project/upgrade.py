"""`infra upgrade`: a later version of the program in a project. Files of its owners are not touched."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.errors import InfraError
from infra.git import git
from infra.project.program import RECORD, File, Program, Record, content_id, read_record, write_record
from infra.writing import is_file, put

Fate = Literal["added", "replaced", "removed", "merged", "kept", "conflict"]
WORDS: dict[Fate, str] = {
    "added": "new", "replaced": "replaced", "removed": "removed", "merged": "edited here, and merged",
    "kept": "edited here, and kept", "conflict": "edited here, and another way by the program",
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What becomes of a file; `file` is what is written, None where nothing is."""

    path: str
    fate: Fate
    file: File | None = None


@dataclass(frozen=True)
class Plan:
    """A whole upgrade, as a value."""

    before: Record
    program: Program
    changes: list[Change]

    def of(self, fate: Fate) -> list[str]:
        return [change.path for change in self.changes if change.fate == fate]

    @property
    def is_empty(self) -> bool:
        return not self.changes and self.before.files == {path: file.id for path, file in self.program.files.items()}


def record_of(root: Path, base: Program | None) -> Record:
    """What the project has of the program: as its record says; of a fork, as the version says that it was made from.
    Raises InfraError."""
    record = read_record(root)
    if record and base:
        raise InfraError(f"{RECORD} says what this project was made from: leave --base out")
    if record:
        return record
    if base is None:
        raise InfraError(
            f"no {RECORD} says what this project was made from: add --base VERSION (a tag or a commit of the program)"
        )
    return Record(base.version, base.commit, {path: file.id for path, file in base.files.items()})


def plan(root: Path, before: Record, program: Program, ours: frozenset[str], theirs: frozenset[str]) -> Plan:
    """What an upgrade does. Of conflicts, those of `ours` stay as they are, and `theirs` become the program's.

    Raises InfraError where a path leads out of the project, or something else than a file is in a file's place.
    """
    changes = [_fate(root, path, before.files.get(path), program.files.get(path)) for path in _paths(before, program)]
    conflicts = {change.path for change in changes if change and change.fate == "conflict"}
    if unknown := sorted((ours | theirs) - conflicts):
        raise InfraError(
            f"not in conflict: {', '.join(unknown)}; in conflict: {', '.join(sorted(conflicts)) or 'none'}"
        )
    settled = []
    for change in changes:
        if change and change.path in theirs:
            fate: Fate = "replaced" if change.path in program.files else "removed"
            settled.append(Change(change.path, fate, program.files.get(change.path)))
        elif change and change.path in ours:
            settled.append(Change(change.path, "kept"))
        elif change:
            settled.append(change)
    return Plan(before, program, settled)


def _paths(before: Record, program: Program) -> list[str]:
    return sorted({*before.files, *program.files})


def _fate(root: Path, path: str, old: str | None, new: File | None) -> Change | None:
    """None where there is nothing to do, nor to say."""
    place = root / path
    _refuse_links(root, place)
    have = place.read_bytes() if is_file(place) else None
    if have is None and os.path.lexists(place):
        raise InfraError(f"{path} is no regular file, and the program has one there: move it away; run again")
    mine, wanted = content_id(have) if have is not None else None, new.id if new else None
    if mine == wanted:
        return None
    if wanted == old:
        return Change(path, "kept") if have is not None else None
    if mine == old:
        if new is None:
            return Change(path, "removed")
        return Change(path, "added" if have is None else "replaced", new)
    if have is None:
        # Removed here, and changed by the program
        return Change(path, "conflict", new)
    merged = _merged(root, have, old, new)
    return Change(path, "merged" if merged else "conflict", merged)


def _refuse_links(root: Path, place: Path) -> None:
    folder = root
    for part in place.relative_to(root).parts[:-1]:
        folder = folder / part
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise InfraError(
                f"{folder.relative_to(root)} is no directory, and the program has files there: move it away"
            )


def _merged(root: Path, have: bytes, old: str | None, new: File | None) -> File | None:
    """Both changes of a file, where they are of different lines, and git still has what it was."""
    if old is None or new is None:
        return None
    try:
        origin = git("cat-file", "blob", old, root=root)
    except InfraError:
        return None
    with tempfile.TemporaryDirectory(prefix="infra-merge-") as folder:
        places = [Path(folder) / name for name in ("here", "origin", "program")]
        for place, content in zip(places, (have, origin, new.content), strict=True):
            place.write_bytes(content)
        words = ["git", "merge-file", "--stdout", *map(str, places)]
        done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    return File(done.stdout, new.executable) if done.returncode == 0 else None


def describe(found: Plan) -> Iterator[str]:
    """What becomes of the program's files; those that were edited here by name."""
    yield f"from version {found.before.version} to {found.program.name}"
    for fate, words in WORDS.items():
        paths = found.of(fate)
        if paths and fate in ("merged", "kept", "conflict"):
            yield from (f"  {path}: {words}" for path in paths)
        elif paths:
            yield f"  {len(paths)} file(s) {words}"


def refuse_conflicts(found: Plan) -> None:
    """Raises InfraError naming each."""
    paths = found.of("conflict")
    if paths:
        raise InfraError(
            f"nothing was changed. Edited here, and another way by the program: {', '.join(paths)}. "
            "Choose for each: --keep PATH leaves it as it is here, --take PATH takes the program's"
        )


def refuse_unsaved(root: Path, found: Plan) -> None:
    """Raises InfraError where git could not bring back what is going to be replaced."""
    touched = {change.path for change in found.changes if change.fate in ("replaced", "removed", "merged")}
    try:
        listed = git("status", "--porcelain", "-z", "--untracked-files=all", root=root).decode().split("\0")
    except InfraError:
        raise InfraError(
            "this project is not in git, which brings back what an upgrade replaces: commit it first"
        ) from None
    unsaved = sorted(touched & {entry[3:] for entry in listed if entry})
    if unsaved:
        raise InfraError(f"nothing was changed. Not committed yet: {', '.join(unsaved)}: commit or remove these first")


def apply(root: Path, found: Plan) -> None:
    """Writes it. Killed in the middle, the same command goes on: the record comes last. Raises InfraError."""
    for change in found.changes:
        place = root / change.path
        if change.fate == "removed":
            place.unlink(missing_ok=True)
            _remove_empty(root, place.parent)
        elif change.file is not None and change.fate != "conflict":
            place.parent.mkdir(parents=True, exist_ok=True)
            put(place, change.file.content)
            place.chmod(0o755 if change.file.executable else 0o644)
    write_record(root, found.program)


def _remove_empty(root: Path, folder: Path) -> None:
    """Directories that an upgrade emptied, caches of Python aside."""
    while folder != root and folder.is_dir():
        rest = [entry.name for entry in folder.iterdir()]
        if rest not in ([], ["__pycache__"]):
            return
        for cached in folder.glob("__pycache__/*.pyc"):
            cached.unlink()
        for empty in (folder / "__pycache__", folder):
            if empty.is_dir():
                empty.rmdir()
        folder = folder.parent
