"""Trees of files that the agent unpacks: all of it root's own, readable by every account, with no way out of its
folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator

BLOCK = 1 << 20
ENTRY = 4096  # bytes of a block
DEEPEST = 100  # nested directories
LONGEST_HEADER = 1 << 20  # bytes of what stands before an entry, such as a long name: it is read into memory


class Unfit(ValueError):
    """An archive that cannot be unpacked; its text says why."""


class _Entry(tarfile.TarInfo):
    """One that has no header beyond all names."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        extended = (
            tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
        )  # fmt: skip
        if self.type in extended and self.size > LONGEST_HEADER:
            raise Unfit(f"an entry has a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def size_on_disk(size: int) -> int:
    """Bytes of a disk that an entry of this size takes at most: whole blocks, and its own place in a directory."""
    return -(-size // ENTRY) * ENTRY + ENTRY


def unpack(archive: str, folder: str, most: int) -> None:
    """Lays files, directories and links of a tar archive, compressed or not, into a folder. Of their modes only whether
    a file can be run counts. Raises Unfit for anything else in it, and for what takes more than `most` bytes of the
    disk; OSError where the disk is full."""
    try:
        with tarfile.open(archive, "r|*", errorlevel=2, tarinfo=_Entry) as tar:
            for member in tar:
                most -= size_on_disk(member.size if member.isreg() else 0)
                if most < 0:
                    raise Unfit("there is no space for its content")
                _lay(tar, member, folder)
    except (tarfile.TarError, zlib.error, EOFError, IndexError, OverflowError) as error:
        raise Unfit(f"it cannot be read: {error}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unfit(f"it cannot be unpacked: {error.strerror}: {error.filename or archive}") from None
    except ValueError as error:
        raise error if isinstance(error, Unfit) else Unfit(f"it cannot be read: {error}") from None


def _lay(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: str) -> None:
    parts = _parts(member.name)
    if not parts:
        return
    path = _prepare_path(folder, parts, member.name)
    if member.isdir():
        os.makedirs(path, 0o755, exist_ok=True)
        return
    if os.path.lexists(path):
        # A later layer has another file of this name
        os.unlink(path)
    if member.isreg():
        source = tar.extractfile(member)
        assert source
        mode = 0o755 if member.mode & 0o111 else 0o644
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            while block := source.read(BLOCK):
                file.write(block)
        os.utime(path, (member.mtime, member.mtime))
    elif member.issym():
        os.symlink(member.linkname, path)
    elif member.islnk():
        os.link(_prepare_path(folder, _parts(member.linkname), member.name), path, follow_symlinks=False)
    else:
        raise Unfit(f"{member.name!r} is a device or a pipe")


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise Unfit(f"{name!r} leads out of it")
    if len(parts) > DEEPEST:
        raise Unfit(f"it has more than {DEEPEST} nested directories")
    if any(part.startswith(".wh.") for part in parts):
        raise Unfit(f"{name!r} removes a file of another layer: push a directory, not an image with several layers")
    return parts


def _prepare_path(folder: str, parts: list[str], name: str) -> str:
    """The path of a member, every directory on the way a real one."""
    here = folder
    for part in parts[:-1]:
        here = f"{here}/{part}"
        if not os.path.lexists(here):
            os.mkdir(here, 0o755)
        elif not stat.S_ISDIR(os.lstat(here).st_mode):
            raise Unfit(f"{name!r} leads through a link or a file")
    return f"{here}/{parts[-1]}"


def walk(
    top: str, failed: Callable[[str, OSError], None] = lambda path, error: None
) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """A folder, and each below it before what is in it: its path and what is in it. However deep, since os.walk has an
    end there; `failed` gets those that cannot be read."""
    waiting = [top]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            failed(place, error)
            continue
        yield place, entries
        waiting += [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]


def look(folder: str) -> dict[str, str]:
    """A folder and what lies below: path from there ("." is itself) → a file's size and time, anything's owner and
    mode, where a link leads. Nothing of what is no folder. What goes meanwhile is left out."""
    facts_of: dict[str, str] = {}
    for place, entries in walk(folder):
        for path in [place, *(entry.path for entry in entries)]:
            with contextlib.suppress(FileNotFoundError):
                facts_of[os.path.relpath(path, folder)] = _facts(path)
    return facts_of


def _facts(path: str) -> str:
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return f"-> {os.readlink(path)}"
    own = f"{status.st_uid} {stat.S_IMODE(status.st_mode):o}"
    return f"{own} directory" if stat.S_ISDIR(status.st_mode) else f"{own} {status.st_size} {int(status.st_mtime)}"


def digest_of(path: str) -> str:
    """`sha256:…` of a file, however large. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"
