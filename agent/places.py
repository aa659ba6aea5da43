"""The way to a path without following a link that a user could have laid: the agent is root in users' directories."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

LARGEST = 64 << 20  # bytes of a file that the agent reads
PIECE = 1 << 20
DEEPEST = 40  # links after each other, as the kernel has it


@contextmanager
def parent_of(path: str, make: bool = False) -> Generator[tuple[int, str]]:
    """A descriptor of the directory that holds `path`, and the last part of it. With `make` missing directories are
    made, root's own.

    Raises OSError for a link on the way, or on the way that a link leads, that is not root's own, in a directory that
    is root's own.
    """
    *parts, last = [part for part in path.split("/") if part]
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number, part in enumerate(parts, 1):
            inside = _enter(here, part, "/" + "/".join(parts[:number]), make)
            os.close(here)
            here = inside
        yield here, last
    finally:
        os.close(here)


def _enter(here: int, part: str, full_path: str, make: bool, depth: int = 0) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=here)
    flags = os.O_RDONLY | os.O_DIRECTORY
    if part == "..":
        return os.open(part, flags, dir_fd=here)
    if not stat.S_ISLNK(os.lstat(part, dir_fd=here).st_mode):
        return os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
    parent, name = _follow(here, part, full_path, depth)
    try:
        return _enter(parent, name, full_path, False, depth + 1) if name else os.dup(parent)
    finally:
        os.close(parent)


def _follow(here: int, part: str, full_path: str, depth: int) -> tuple[int, str]:
    """Where a link leads: a descriptor of the directory, and the last part ("" for the directory itself). Its text is
    gone through piece by piece, since an account may own a directory on that way. Raises OSError."""
    status = os.lstat(part, dir_fd=here)
    if status.st_uid != 0 or os.fstat(here).st_uid != 0:
        raise OSError(errno.ELOOP, "a symbolic link that root does not own is not followed", full_path)
    if depth >= DEEPEST:
        raise OSError(errno.ELOOP, "too many symbolic links", full_path)
    target = os.readlink(part, dir_fd=here)
    *pieces, last = [piece for piece in target.split("/") if piece not in ("", ".")] or [""]
    place = os.open("/", os.O_RDONLY | os.O_DIRECTORY) if target.startswith("/") else os.dup(here)
    try:
        for piece in pieces:
            inside = _enter(place, piece, full_path, False, depth + 1)
            os.close(place)
            place = inside
    except BaseException:
        os.close(place)
        raise
    return place, last


def open_directory(path: str, make: bool = False) -> int:
    """A descriptor of a directory, reached in the same way."""
    with parent_of(path, make) as (parent, name):
        return _enter(parent, name, path, make)


def look_at_directory(path: str) -> Entry | None:
    """Owner, group (numbers, as text) and mode of a directory, by one descriptor; None where there is none that root
    may go to."""
    try:
        descriptor = open_directory(path)
    except OSError as error:
        if error.errno in (*ABSENT, errno.ELOOP):
            return None
        raise
    try:
        status = os.fstat(descriptor)
        return Entry("directory", b"", str(status.st_uid), str(status.st_gid), stat.S_IMODE(status.st_mode))
    finally:
        os.close(descriptor)


def way_to(path: str) -> str | None:
    """Why the directory that holds `path` cannot be reached, as far as it is there; None when it can."""
    try:
        with parent_of(path):
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{error.filename}: {error.strerror}"


@dataclass(frozen=True)
class Entry:
    """What is at a path, from one look: no account can put something else there in between.

    `kind` is "absent", "file", "directory" (where one was asked for), "link" (then `target`) or "other" (then `what`: a
    directory, a pipe, a file over LARGEST …). A file's `content`, and its or a directory's `owner`, `group` (numbers,
    as text) and `mode`, are those of one descriptor.
    """

    kind: str
    content: bytes = b""
    owner: str = ""
    group: str = ""
    mode: int = 0
    target: str = ""
    what: str = ""


KINDS = {
    stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}  # fmt: skip
ABSENT = (errno.ENOENT, errno.ENOTDIR)


def look_at(path: str) -> Entry:
    """What is at a path; a link in its last part is not followed. Raises OSError where the way there is barred, or for
    what keeps changing while it is looked at."""
    try:
        with parent_of(path) as (parent, name):
            for _ in range(3):
                status = os.lstat(name, dir_fd=parent)
                if stat.S_ISLNK(status.st_mode):
                    with suppress(FileNotFoundError, OSError):
                        return Entry("link", target=os.readlink(name, dir_fd=parent))
                elif not stat.S_ISREG(status.st_mode):
                    return Entry("other", what=KINDS.get(stat.S_IFMT(status.st_mode), "not a regular file"))
                elif (entry := _open_file(parent, name)) is not None:
                    return entry
            raise OSError(errno.EBUSY, "is replaced repeatedly", path)
    except OSError as error:
        if error.errno in ABSENT:
            return Entry("absent")
        raise OSError(error.errno, error.strerror, path) from None


def _open_file(parent: int, name: str) -> Entry | None:
    """A regular file, by one descriptor; None when something else is there by now."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return None
        if error.errno == errno.EAGAIN:
            return Entry("other", what="a file on which another program has a lease")
        raise
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        content = _read_bounded(file, status.st_size)
        if content is None:
            return Entry("other", what=f"a file of {status.st_size} bytes")
        return Entry("file", content, str(status.st_uid), str(status.st_gid), stat.S_IMODE(status.st_mode))


def _read_bounded(file: BinaryIO, size: int) -> bytes | None:
    """A file's content, None where it is over LARGEST: a sparse file of terabytes costs its owner nothing. Files of
    /proc have no size; one may grow while it is read."""
    if size > LARGEST:
        return None
    content = bytearray()
    # By pieces: one read of all would take that much memory at once, and of its settings the kernel refuses it
    while len(content) <= LARGEST:
        piece = file.read(PIECE)
        if not piece:
            return bytes(content)
        content += piece
    return None


def read_file(path: str, head: int | None = None) -> bytes | None:
    """A regular file's content, or its first `head` bytes, reached in the same way; None for anything else, a pipe
    included. Raises OSError for a content over LARGEST."""
    try:
        with parent_of(path) as (parent, name), os.fdopen(_open_following(parent, name, path), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            content = file.read(head) if head is not None else _read_bounded(file, status.st_size)
            if content is None:
                raise OSError(errno.EFBIG, f"is larger than {LARGEST >> 20} MiB", path)
            return content
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise


@contextmanager
def _explain_lease(path: str) -> Generator[None]:
    try:
        yield
    except BlockingIOError:
        raise OSError(errno.EAGAIN, "another program has a lease on it", path) from None


def _open_following(parent: int, name: str, full_path: str) -> int:
    """A descriptor of a file, of root's own links the last one's."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    place = os.dup(parent)
    try:
        for depth in range(DEEPEST):
            if not name or name == "..":
                raise OSError(errno.EISDIR, "is a directory", full_path)
            if not stat.S_ISLNK(os.lstat(name, dir_fd=place).st_mode):
                with _explain_lease(full_path):
                    return os.open(name, flags, dir_fd=place)
            there, name = _follow(place, name, full_path, depth)
            os.close(place)
            place = there
        raise OSError(errno.ELOOP, "too many symbolic links", full_path)
    finally:
        os.close(place)


def aside(name: str, parent: int, make: Callable[[str], Any]) -> tuple[Any, str]:
    """Makes something beside a file, and its name: hidden, so that Nginx's `include *` does not read it. The name is
    the same each time, so that a kill leaves one at most; where something of an account's is there, it is another."""
    usual = f".{name}.infra"
    try:
        unlink(usual, parent)
        return make(usual), usual
    except (IsADirectoryError, PermissionError, FileExistsError):
        other = f".{os.urandom(8).hex()}.infra"
        return make(other), other


def unlink(name: str, parent: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def remove_empty(path: str) -> None:
    """Removes a directory in which nothing is."""
    with suppress(OSError), parent_of(path) as (parent, name):
        os.rmdir(name, dir_fd=parent)
