"""The one way in which `infra` writes a file: whole or not at all, and never through a link that was planted there."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from infra.errors import InfraError

MARKER = ".{name}.made-by-infra"  # beside the directory: what is in it is what was asked for


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


def own_directory(path: Path) -> None:
    """An empty directory for output that is generated each time. One that has our marker beside it is emptied; any
    other directory with files in it stays as it is.

    Raises InfraError for anything else at its place, and for a directory with other files.
    """
    current, marker = _status(path), path.with_name(MARKER.format(name=path.name))
    if current is not None and not stat.S_ISDIR(current.st_mode):
        raise InfraError(f"{path} is {describe(current.st_mode)}; a directory is to be made there: remove it first")
    if current is not None and any(path.iterdir()):
        if not is_file(marker) or marker.read_text() != _identity(current):
            raise InfraError(f"{path} has files that `infra` did not make: name another directory, or move them away")
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    # Of this very directory: another one that takes its place later is not ours
    put(marker, _identity(os.lstat(path)))


def _identity(status: os.stat_result) -> str:
    return f"made by infra, and emptied by it: device {status.st_dev}, inode {status.st_ino}\n"


def is_file(path: Path) -> bool:
    """Is a regular file there; a link to one is none."""
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def describe(mode: int) -> str:
    """What a thing is that is no regular file, in words."""
    kinds = {stat.S_ISLNK: "a link", stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
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
