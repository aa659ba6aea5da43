"""The one way in which `infra` writes a file: whole or not at all, and never through a link that was planted there."""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

from catalogue.shapes import is_mapping
from infra.errors import InfraError

MARKER = ".made-by-infra.json"  # in a directory that is generated: what is in it, by its hashes
NO_OUTPUT = ("/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/dev", "/proc", "/sys", "/run", "/var/lib")


def put(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Puts a file in its place as a whole. It keeps the permissions of the file that it replaces; a new one gets
    `mode`, or what the umask leaves of 0666.

    Raises InfraError where something other than a regular file is there: a link is not followed.
    """
    current = _status(path)
    if current is not None and not stat.S_ISREG(current.st_mode):
        raise InfraError(f"{path} is {describe(current.st_mode)}, and a file is to be written there: remove it first")
    if mode is None:
        mode = stat.S_IMODE(current.st_mode) & 0o777 if current else 0o666 & ~_umask()
    data = content if isinstance(content, bytes) else content.encode()
    # A new file with a name that cannot be known beforehand (O_EXCL and O_NOFOLLOW)
    try:
        descriptor, name = tempfile.mkstemp(prefix=".infra-", dir=path.parent)
    except OSError as error:
        raise InfraError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise InfraError(f"{path} cannot be written: {error.strerror}") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def below(root: Path, path: PurePath | str) -> Path:
    """Where a path of a directory's own lies. Raises InfraError where a link, or something that is no directory, is on
    the way: what is planted in a project leads nowhere else."""
    place = root
    for part in PurePath(path).parts[:-1]:
        place = place / part
        current = _status(place)
        if part == ".." or (current is not None and not stat.S_ISDIR(current.st_mode)):
            what = describe(current.st_mode) if current else "not below it"
            raise InfraError(f"{place} is {what}, and a directory of the project is to be there: move it away")
    return root / path


def put_below(root: Path, path: PurePath | str, content: str | bytes, mode: int | None = None) -> None:
    """As `put`, with the directories on the way. Raises InfraError."""
    place = below(root, path)
    make_directory(place.parent)
    put(place, content, mode)


def remove_below(root: Path, path: PurePath | str) -> None:
    """Removes a file, where there is one. Raises InfraError."""
    place = below(root, path)
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        raise InfraError(f"{place} cannot be removed: {error.strerror}") from None


def make_directory(path: Path) -> None:
    """With those above it. Raises InfraError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfraError(f"{path} cannot be made: {error.strerror}") from None


@contextmanager
def open_for_append(path: Path) -> Generator[BinaryIO]:
    """A file to whose end is written, such as a log; a new one is this account's alone. Raises InfraError where
    something other than a regular file is there."""
    try:
        # Without a reader, opening a pipe would wait
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise InfraError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "ab") as file:
        if not stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
            raise InfraError(f"{path} is {describe(mode)}, and a file is to be written there: remove it first")
        yield file


def fill_directory(path: Path, files: dict[str, tuple[bytes, int]]) -> None:
    """A directory with these files (path below it → content and mode) and no others, for output that is generated each
    time. What an earlier call made, and nothing has changed since, goes before.

    Raises InfraError for a directory of the system, for anything else at its place, and for one with other files.
    """
    refuse_system(path)
    _empty(path)
    make_directory(path)
    # First, so that an interrupted call can be repeated
    put(path / MARKER, json.dumps({name: _hash(content) for name, (content, _) in files.items()}, indent=1) + "\n")
    for name, (content, mode) in files.items():
        target = path / name
        make_directory(target.parent)
        put(target, content, mode)


def refuse_system(path: Path) -> None:
    """Raises InfraError for what lies in a directory of the system's, and for any directory of the root itself."""
    place = str(path.resolve())
    if place.count("/") == 1 or any(place.startswith(f"{root}/") for root in NO_OUTPUT):
        raise InfraError(f"{path} is a directory of the system: name one of your own, such as out/")


def _empty(path: Path) -> None:
    """Removes what `fill_directory` made. Raises InfraError, and removes nothing, where anything else is there."""
    current = _status(path)
    if current is None:
        return
    if not stat.S_ISDIR(current.st_mode):
        raise InfraError(f"{path} is {describe(current.st_mode)}; a directory is to be made there: remove it first")
    marked_files = _read_marker(path / MARKER)
    # os.walk lists a link to a directory among the directories
    there = [Path(place, name) for place, folders, names in os.walk(path) for name in [*folders, *names]]
    files = {entry for entry in there if entry.is_symlink() or not entry.is_dir()}
    for file in sorted(files - {path / MARKER}):
        name = file.relative_to(path).as_posix()
        if not is_file(file) or marked_files.get(name) != _hash(file.read_bytes()):
            raise InfraError(
                f"{path} has files that `infra` did not make, or that were changed since, such as {name}: "
                "name another directory, or move them away"
            )
    if there and not marked_files and not files:
        raise InfraError(f"{path} has directories that `infra` did not make: name another directory, or move them away")
    if files and not marked_files and path / MARKER in files:
        raise InfraError(f"{path / MARKER} is none of `infra`'s: name another directory, or move it away")
    for file in files:
        file.unlink()
    for place, _, _ in os.walk(path, topdown=False):
        Path(place).rmdir()


def _read_marker(marker: Path) -> dict[str, str]:
    """What a marker of this account's says that we made; nothing where it is none."""
    current = _status(marker)
    if current is None or not stat.S_ISREG(current.st_mode) or current.st_uid != os.geteuid():
        return {}
    try:
        content = json.loads(marker.read_bytes())
    except (ValueError, RecursionError, OSError):
        return {}
    return content if is_mapping(content) else {}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_file(path: Path) -> bool:
    """Is a regular file there; a link to one is none."""
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def describe(mode: int) -> str:
    """What a thing is, in words."""
    kinds = {
        stat.S_ISREG: "a file",
        stat.S_ISLNK: "a link",
        stat.S_ISDIR: "a directory",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
    }
    return next((words for is_kind, words in kinds.items() if is_kind(mode)), "a device")


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
