"""The way to a path without following a link that a user could have laid: the agent is root in users' directories."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def parent_of(path: str, make: bool = False) -> Iterator[tuple[int, str]]:
    """A descriptor of the directory that holds `path`, and the last part of it. With `make` missing directories are
    made, root's own.

    Raises OSError for a link on the way that is not root's own, in a directory that is root's own.
    """
    *parts, last = [part for part in path.split("/") if part]
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number, part in enumerate(parts, 1):
            inside = _entered(here, part, "/" + "/".join(parts[:number]), make)
            os.close(here)
            here = inside
        yield here, last
    finally:
        os.close(here)


def _entered(here: int, part: str, shown: str, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=here)
    flags = os.O_RDONLY | os.O_DIRECTORY
    status = os.lstat(part, dir_fd=here)
    if not stat.S_ISLNK(status.st_mode):
        return os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
    if status.st_uid != 0 or os.fstat(here).st_uid != 0:
        raise OSError(errno.ELOOP, "a symbolic link that is not root's own is not followed", shown)
    return os.open(part, flags, dir_fd=here)


def open_directory(path: str, make: bool = False) -> int:
    """A descriptor of a directory, reached in the same way."""
    with parent_of(path, make) as (parent, name):
        return _entered(parent, name, path, make)


def way_to(path: str) -> str | None:
    """Why the directory that holds `path` cannot be reached, as far as it is there; None when it can."""
    try:
        with parent_of(path):
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{error.filename}: {error.strerror}"


def read_file(path: str) -> bytes | None:
    """A regular file's content, reached in the same way; None for anything else, a pipe included."""
    try:
        with parent_of(path) as (parent, name):
            link = stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode)
            own = os.lstat(name, dir_fd=parent).st_uid == 0 and os.fstat(parent).st_uid == 0
            flags = os.O_RDONLY | os.O_NONBLOCK | (0 if link and own else os.O_NOFOLLOW)
            with os.fdopen(os.open(name, flags, dir_fd=parent), "rb") as file:
                return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
