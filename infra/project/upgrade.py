"""`infra upgrade`: a later version of the program in a project. Files of its owners are not touched."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from infra.errors import InfraError
from infra.foreign import one_line
from infra.git import git
from infra.project.program import EXECUTABLE, RECORD, File, Program, Record, file_at, mark_of, read_record, write_record
from infra.writing import below, make_directory, open_for_append, put

Fate = Literal["added", "replaced", "removed", "merged", "kept", "absent", "conflict"]
WORDS: dict[Fate, str] = {
    "added": "new", "replaced": "replaced", "removed": "removed", "merged": "edited here, and merged",
    "kept": "edited here, and kept", "absent": "removed here, and not brought back",
    "conflict": "changed both here and by the new version",
}  # fmt: skip
STILL: tuple[Fate, ...] = ("kept", "absent")
MOST_NAMES = 12


@dataclass(frozen=True)
class Change:
    """What becomes of a file of the project: `own_file` is the project's now, `file` what is written, None for none."""

    path: str
    fate: Fate
    own_file: File | None
    file: File | None = None
    is_edited: bool = False


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
        marks = {path: file.mark for path, file in self.program.files.items()}
        return all(change.fate in STILL for change in self.changes) and self.before.files == marks

    @property
    def originals(self) -> dict[str, str]:
        """The program's texts of the files that are otherwise here: what a later version is merged by."""
        edited = [change.path for change in self.changes if change.fate in ("merged", "kept")]
        texts = {path: self.program.files[path].content for path in edited if path in self.program.files}
        return {path: text.decode() for path, text in texts.items() if _is_text(text)}


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
    return Record(base.version, base.commit, {path: file.mark for path, file in base.files.items()})


def plan(root: Path, before: Record, program: Program, ours: frozenset[str], theirs: frozenset[str]) -> Plan:
    """What an upgrade does. Of the files that are edited here, `ours` stay as they are, and `theirs` become the
    program's. Raises InfraError where something else than a file is in a file's place."""
    paths = sorted({*before.files, *program.files})
    fates = [_fate(root, path, before, program.files.get(path)) for path in paths]
    changes = {change.path: change for change in fates if change}
    open_to = {path for path, change in changes.items() if change.is_edited}
    if unknown := sorted((ours | theirs) - open_to):
        raise InfraError(f"not edited here: {', '.join(unknown)}; edited: {', '.join(sorted(open_to)) or 'none'}")
    if both := sorted(ours & theirs):
        raise InfraError(f"--keep and --take are both given for {', '.join(both)}: one of the two")
    for path in theirs:
        new_file, own_file = program.files.get(path), changes[path].own_file
        fate: Fate = "removed" if new_file is None else "replaced" if own_file else "added"
        changes[path] = replace(changes[path], fate=fate, file=new_file)
    for path in ours:
        changes[path] = replace(changes[path], fate="kept" if changes[path].own_file else "absent", file=None)
    return Plan(before, program, list(changes.values()))


def _fate(root: Path, path: str, before: Record, new: File | None) -> Change | None:
    """None where there is nothing to do, nor to say."""
    place, old = root / path, before.files.get(path)
    _refuse_links(root, place, before)
    own_file = file_at(place)
    if own_file is None and os.path.lexists(place) and not _goes(root, place, before):
        raise InfraError(f"{path} is no regular file, and the program has one there: move it away; run again")
    # As git would check it out on another system
    have = own_file
    if own_file and b"\r\n" in own_file.content:
        have = replace(own_file, content=own_file.content.replace(b"\r\n", b"\n"))
    if have and have.mark not in (old, new.mark if new else None):
        have = own_file
    mine, target = have.mark if have else None, new.mark if new else None
    if mine == target:
        return None
    if target == old:
        return Change(path, "kept" if have else "absent", own_file, is_edited=True)
    if mine == old:
        fate: Fate = "removed" if new is None else "replaced" if have else "added"
        return Change(path, fate, own_file, new)
    merged = _merge_file(root, path, before, have, new) if have and new and old else None
    if merged and have and merged.mark == have.mark:
        return Change(path, "kept", own_file, is_edited=True)
    return Change(path, "merged" if merged else "conflict", own_file, merged, is_edited=True)


def _goes(root: Path, folder: Path, before: Record) -> bool:
    """Is something a directory of nothing but the program's files, in whose place a file comes."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(entry.relative_to(root).as_posix() in before.files for entry in folder.rglob("*") if not entry.is_dir())


def _refuse_links(root: Path, place: Path, before: Record) -> None:
    folder = root
    for part in place.relative_to(root).parts[:-1]:
        folder = folder / part
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            if folder.relative_to(root).as_posix() in before.files and not folder.is_symlink():
                # A file of the program's that becomes a directory
                continue
            raise InfraError(f"{folder.relative_to(root)} is no directory, and the program has one there: move it away")


def _merge_file(root: Path, path: str, before: Record, have: File, new: File) -> File | None:
    """Both changes of a file, where they are of different lines, and what it was is still known."""
    old = before.files[path]
    try:
        recorded = before.originals.get(path)
        blob = old.removesuffix(EXECUTABLE)
        origin = git("cat-file", "blob", blob, root=root) if recorded is None else recorded.encode()
    except (InfraError, UnicodeError):
        return None
    executable = new.executable if have.executable == old.endswith(EXECUTABLE) else have.executable
    if new.content == origin:
        return File(have.content, executable)
    with tempfile.TemporaryDirectory(prefix="infra-merge-") as folder:
        places = [Path(folder) / name for name in ("here", "origin", "program")]
        for place, content in zip(places, (have.content, origin, new.content), strict=True):
            put(place, content)
        words = ["git", "merge-file", "--stdout", *map(str, places)]
        try:
            result = subprocess.run(words, capture_output=True, check=False, timeout=60)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
    return File(result.stdout, executable) if result.returncode == 0 else None


def describe(upgrade_plan: Plan) -> Iterator[str]:
    """What becomes of the program's files; those that were edited here by name."""
    yield one_line(f"from version {upgrade_plan.before.version} to {upgrade_plan.program.name}")
    for fate, words in WORDS.items():
        paths = upgrade_plan.of(fate)
        if paths and fate in ("added", "replaced", "removed"):
            more = f" and {len(paths) - MOST_NAMES} more" if len(paths) > MOST_NAMES else ""
            yield f"  {len(paths)} {words}: {', '.join(paths[:MOST_NAMES])}{more}"
        else:
            yield from (f"  {path}: {words}" for path in paths)


def refuse_conflicts(upgrade_plan: Plan) -> None:
    """Raises InfraError naming each."""
    paths = upgrade_plan.of("conflict")
    if paths:
        raise InfraError(
            f"nothing was changed. Changed both here and by the new version: {', '.join(paths)}. "
            "Choose for each: --keep PATH leaves it as it is here, --take PATH takes the program's"
        )


def refuse_unsaved(root: Path, upgrade_plan: Plan) -> None:
    """Raises InfraError where an edit is going to be replaced that the last commit does not have."""
    touched = [
        change for change in upgrade_plan.changes if change.is_edited and change.own_file and change.fate not in STILL
    ]
    files = [(change.path, change.own_file) for change in touched if change.own_file]
    unsaved = [path for path, own_file in files if not _is_committed(root, path, own_file)]
    if unsaved:
        raise InfraError(
            f"nothing was changed. Edited here and not committed: {', '.join(unsaved)}: commit these first"
        )


def _is_committed(root: Path, path: str, own_file: File) -> bool:
    try:
        fields = git("ls-tree", "-z", "HEAD", "--", path, root=root).decode(errors="replace").split()
    except InfraError as error:
        raise InfraError(f"whether {path} is committed cannot be seen, which is edited here: {error}") from None
    texts = (own_file.content, own_file.content.replace(b"\r\n", b"\n"))
    return len(fields) > 2 and fields[2] in [mark_of(text, False) for text in texts]


@contextmanager
def alone(root: Path) -> Generator[None]:
    """One upgrade at a time. Raises InfraError."""
    place = below(root, ".infra/upgrade.lock")
    make_directory(place.parent)
    with open_for_append(place) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InfraError("another upgrade is running in this project: wait for its end") from None
        yield


def apply(root: Path, upgrade_plan: Plan) -> None:
    """Writes it. Killed in the middle, the same command goes on: new files are all written before the first takes its
    place, and the record comes last. Raises InfraError."""
    for change in upgrade_plan.changes:
        now = file_at(root / change.path)
        if (now and now.mark) != (change.own_file and change.own_file.mark):
            raise InfraError(f"{change.path} was changed meanwhile: nothing was written. Run again")
    writing = [change for change in upgrade_plan.changes if change.file and change.fate not in (*STILL, "conflict")]
    removed, new_folders = upgrade_plan.of("removed"), [f"{change.path}/" for change in writing]
    # Where a file becomes a directory, or the other way round
    in_the_way = [
        path for path in removed if any(f"{path}/".startswith(w) or w.startswith(f"{path}/") for w in new_folders)
    ]
    try:
        for path in in_the_way:
            (root / path).unlink(missing_ok=True)
            _remove_empty(root, (root / path).parent)
        for change in writing:
            _write(_part(root, change.path), change.file or File(b""))
        for change in writing:
            os.replace(_part(root, change.path), root / change.path)
        for path in sorted({*removed} - {*in_the_way}):
            (root / path).unlink(missing_ok=True)
            _remove_empty(root, (root / path).parent)
    except OSError as error:
        found_wrong = f"{error.filename} cannot be written: {error.strerror}"
        raise InfraError(f"{found_wrong}. Correct that, and run it again") from None
    write_record(root, upgrade_plan.program, upgrade_plan.originals)


def _part(root: Path, path: str) -> Path:
    place = root / path
    return place.with_name(f".{place.name}.infra-upgrade")


def _write(place: Path, file: File) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as opened:
        opened.write(file.content)
        os.fchmod(opened.fileno(), 0o755 if file.executable else 0o644)
        opened.flush()
        os.fsync(opened.fileno())


def _remove_empty(root: Path, folder: Path) -> None:
    """Directories that an upgrade emptied, caches of Python's aside. One with anything else in it stays."""
    while folder != root:
        cache = folder / "__pycache__"
        if cache.is_dir() and not cache.is_symlink() and [*folder.iterdir()] == [cache]:
            if any(entry.suffix != ".pyc" or not entry.is_file() for entry in cache.iterdir()):
                return
            for entry in cache.iterdir():
                entry.unlink()
            cache.rmdir()
        if folder.is_symlink() or any(folder.iterdir()):
            return
        folder.rmdir()
        folder = folder.parent


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeError:
        return False
    return b"\0" not in content
