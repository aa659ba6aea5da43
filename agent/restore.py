"""What no release brings, back from another disk: the copy of a snapshot of a lost host's. What is here stays as it is.

Files and directories have their names only once they are whole: interrupted and run again, it goes on.
"""

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from agent import accounts, lock, steps, trees
from agent.documents.answers import DiskAnswer, RestoredPath
from agent.documents.requests import DiskPayload
from agent.outcome import Refused
from agent.owners import NAME as NOTED
from agent.places import aside, parent_of
from agent.units import must
from agent.world import PERMISSIONS, World

DEVICES = "/dev/disk/by-id"
DISK = "nvme-Amazon_Elastic_Block_Store_"  # as AWS's virtual disks call themselves, without the dash of their id
PATIENCE = 60.0  # seconds until the disk is there
GRACE = 10.0  # seconds more until its parts are
# What is the matter with one path, and with no other
OF_ONE_PATH = {
    errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EPERM, errno.EACCES, errno.ENAMETOOLONG, errno.EINVAL,
    errno.EIO, errno.EUCLEAN,
}  # fmt: skip
SHOWN = 5  # paths of a directory that are named
SIGN = 5.0  # seconds between signs of life: a listener gives up after 30
CHUNK, SYNC = 1024**2, 64 * 1024**2  # bytes
PLACE = "/run/infra/restore"
PURPOSE = "restoring data"  # of the lock
SPARE = 1024**3  # bytes that stay free
Ids = Callable[[int, int], tuple[int, int]]
Say = Callable[[str], None]


@dataclass
class CopyResult:
    """Files and bytes that came, files that were here already, and what could not be brought, each with its reason."""

    files: int = 0
    size: int = 0
    present: int = 0
    failed: list[str] = field(default_factory=list[str])


class Signs:
    """Says how far it is, every SIGN seconds at most."""

    def __init__(self, say: Say) -> None:
        self.say, self.size, self.said_at = say, 0, time.monotonic()

    def came(self, size: int) -> None:
        self.size += size
        if time.monotonic() - self.said_at >= SIGN:
            self.said_at = time.monotonic()
            self.say(f"{self.size // 1024**2} MiB so far")


def restore(world: World, payload: DiskPayload, say: Say) -> DiskAnswer:
    """Brings `paths` from the disk of `volume` (vol-…), which has them at the same paths or, where that disk was a
    data disk, at those `inside` it. `accounts` are made first, as a release would, so that what is theirs can be
    theirs. Raises Refused."""
    inside = payload.get("inside") or {}
    own = {path: path for path in payload["paths"]} | inside
    onto = payload.get("onto", "/")
    with lock.lock(PURPOSE, say), _mount_disk(world, payload["volume"], list(own.values()), say) as there:
        accounts.agree(world, payload["accounts"])
        present = [path for path in payload["paths"] if _is_directory(there, own[path])]
        missing = sum(status.st_size for path in present for _, status in absent(f"{there}{own[path]}", path, []))
        if missing + SPARE > (free := world.free(onto)):
            key = "volume" if onto == "/" else "dataDisk.size"
            raise Refused(
                f"{missing // 1024**2} MiB remain to be restored, but only {free // 1024**2} MiB are free, of which "
                f"1 GiB must stay free: give the host a larger disk (infra:hosts.NAME.{key})"
            )
        accounts.ensure(world, payload["accounts"])
        names = {"root", *(name for entry in payload["accounts"] for name in (entry["name"], *entry["groups"]))}
        ids = owners(names, f"{there}/etc/passwd", f"{there}/etc/group", "/etc/passwd", "/etc/group")
        if inside:
            ids = owners_noted(f"{there}/{NOTED}", "/etc/passwd", "/etc/group")
        results: dict[str, RestoredPath] = {}
        steps.forget_done(world)
        for path in present:
            say(f"bringing {path}")
            result = bring(f"{there}{own[path]}", path, ids, Signs(say).came)
            results[path] = {
                "files": result.files, "bytes": result.size, "kept": result.present, "failed": len(result.failed),
            }  # fmt: skip
            # Said at once: the rest comes all the same
            for line in result.failed[:SHOWN]:
                say(f"not restored: {line}")
            if len(result.failed) > SHOWN:
                say(f"not restored: {len(result.failed) - SHOWN} more below {path}")
    return {"brought": results, "absent": [path for path in payload["paths"] if path not in present]}


def _is_directory(there: str, path: str) -> bool:
    """A link anywhere on the way could lead out of the other disk."""
    parts = path.strip("/").split("/")
    ways = [f"{there}/{'/'.join(parts[: count + 1])}" for count in range(len(parts))]
    return os.path.isdir(ways[-1]) and not any(map(os.path.islink, ways))


@contextmanager
def _mount_disk(world: World, volume: str, paths: list[str], say: Say) -> Generator[str]:
    """The file system of a disk that has one of the paths, to read."""
    world.directory(PLACE, 0o700, "root", "root")
    # What an interrupted one left
    world.run("umount", PLACE)
    _mount(world, f"{DISK}{volume.replace('-', '')}", volume, paths, say)
    try:
        yield PLACE
    finally:
        must(world, "umount", PLACE)


def _mount(world: World, name: str, volume: str, paths: list[str], say: Say) -> None:
    """A disk appears some time after AWS says that it is there, and its parts after it."""
    end, grace, last_sign = world.now() + PATIENCE, float("inf"), world.now()
    while True:
        disks = [entry for entry in world.listing(DEVICES) if entry == name or entry.startswith(f"{name}-part")]
        if any(_has(world, f"{DEVICES}/{disk}", paths) for disk in disks):
            return
        grace = min(grace, world.now() + GRACE) if disks else grace
        if world.now() > min(end, grace):
            break
        if world.now() - last_sign >= SIGN:
            last_sign = world.now()
            say(f"waiting for the disk of {volume}")
        world.sleep(0.5)
    if disks:
        raise Refused(f"the disk of {volume} does not have {' or '.join(paths)}")
    raise Refused(f"the disk of {volume} did not appear on this host within {PATIENCE:.0f} s")


def _has(world: World, device: str, paths: list[str]) -> bool:
    """Is one of the paths on it: it stays mounted then."""
    kind = world.run("blkid", "-o", "value", "-s", "TYPE", device).output.strip()
    # A disk of the same image as this host's has the same identity
    options = f"ro,nosuid,nodev,noexec{',nouuid' if kind == 'xfs' else ''}"
    if not kind or world.run("mount", "-o", options, device, PLACE).code != 0:
        return False
    if any(world.exists(f"{PLACE}{path}") for path in paths):
        return True
    must(world, "umount", PLACE)
    return False


def owners(names: set[str], passwd: str, group: str, own_passwd: str, own_group: str) -> Ids:
    """Numbers of the other disk's accounts and groups of these names → those that they have here. Any other number
    stays what it is: it may be a container's own."""
    users, groups = (_numbers(names, there, here) for there, here in ((passwd, own_passwd), (group, own_group)))
    return lambda user, group: (users.get(user, user), groups.get(group, group))


def owners_noted(path: str, own_passwd: str, own_group: str) -> Ids:
    """The same of a data disk, which has its accounts' numbers noted on it; groups of their names have them too."""
    noted: Any = None
    with contextlib.suppress(OSError, ValueError), open(path, errors="replace") as file:
        noted = json.load(file)
    # As agent/owners.py wrote it
    noted_numbers = cast("dict[str, int]", noted) if isinstance(noted, dict) else {}
    users, groups = dict(_names(own_passwd)), dict(_names(own_group))
    changed = {
        number: (users[name], groups.get(name, number)) for name, number in noted_numbers.items() if name in users
    }
    return lambda user, group: (changed.get(user, (user, 0))[0], changed.get(group, (0, group))[1])


def _numbers(names: set[str], there: str, here: str) -> dict[int, int]:
    of_name = dict(_names(here))
    return {number: of_name[name] for name, number in _names(there) if name in names and name in of_name}


def _names(path: str) -> Iterator[tuple[str, int]]:
    if os.path.exists(path):
        # What is not UTF-8 is no name of ours
        with open(path, errors="replace") as file:
            for line in file:
                name, _, number, *_ = [*line.split(":"), "", "", ""]
                if number.isdigit():
                    yield name, int(number)


def absent(source: str, target: str, failed: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """What is below `source` and not below `target`: its path below them, directories before what is in them. What
    cannot be read is added to `failed`."""

    def note_failure(path: str, error: OSError) -> None:
        failed.append(f"{os.path.join(target, os.path.relpath(path, source))}: {error.strerror}")

    for _, entries in trees.walk(source, note_failure):
        for entry in entries:
            path = os.path.relpath(entry.path, source)
            try:
                if not os.path.lexists(os.path.join(target, path)):
                    yield path, entry.stat(follow_symlinks=False)
            except OSError as error:
                note_failure(entry.path, error)


def bring(source: str, target: str, ids: Ids, came: Callable[[int], None] = lambda size: None) -> CopyResult:
    """Copies what is absent, with its owner, its mode without setuid, setgid and sticky bits, and a file's times; not
    extended attributes. Neither sockets nor devices are data. `came` gets bytes as they come."""
    result = CopyResult(present=_files(source))
    if not os.path.lexists(target):
        _directory(target, os.lstat(source), ids)
    for path, status in absent(source, target, result.failed):
        try:
            _bring_one(os.path.join(source, path), os.path.join(target, path), status, ids, came)
            if stat.S_ISREG(status.st_mode):
                result.files, result.size = result.files + 1, result.size + status.st_size
        except OSError as error:
            if error.errno not in OF_ONE_PATH:
                raise
            result.failed.append(f"{os.path.join(target, path)}: {error.strerror}")
    result.present -= result.files
    return result


def _bring_one(there: str, here: str, status: os.stat_result, ids: Ids, came: Callable[[int], None]) -> None:
    if stat.S_ISDIR(status.st_mode):
        _directory(here, status, ids)
    elif stat.S_ISLNK(status.st_mode):
        with parent_of(here) as (parent, name):
            os.symlink(os.readlink(there), name, dir_fd=parent)
            os.chown(name, *ids(status.st_uid, status.st_gid), dir_fd=parent, follow_symlinks=False)
    elif stat.S_ISREG(status.st_mode):
        _file(there, here, status, ids, came)


def _files(place: str) -> int:
    return sum(entry.is_file(follow_symlinks=False) for _, entries in trees.walk(place) for entry in entries)


def _directory(path: str, status: os.stat_result, ids: Ids) -> None:
    with parent_of(path, make=True) as (parent, name):
        # An interrupted one left it
        with contextlib.suppress(OSError):
            os.rmdir(f".{name}.infra", dir_fd=parent)
        _, temporary = aside(name, parent, lambda other: os.mkdir(other, 0o700, dir_fd=parent))
        descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            os.fchown(descriptor, *ids(status.st_uid, status.st_gid))
            os.fchmod(descriptor, status.st_mode & PERMISSIONS)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)


def _file(there: str, here: str, status: os.stat_result, ids: Ids, came: Callable[[int], None]) -> None:
    with parent_of(here) as (parent, name):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor, temporary = aside(name, parent, lambda other: os.open(other, flags, 0o600, dir_fd=parent))
        with os.fdopen(descriptor, "wb") as file, open(there, "rb") as source:
            _copy(source, file, came)
            os.fchown(file.fileno(), *ids(status.st_uid, status.st_gid))
            os.fchmod(file.fileno(), status.st_mode & PERMISSIONS)
            os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)


def _copy(source: BinaryIO, target: BinaryIO, came: Callable[[int], None]) -> None:
    """Written out as it comes: what waits in memory would all be waited for at the end, in silence."""
    waiting = 0
    while chunk := source.read(CHUNK):
        target.write(chunk)
        waiting += len(chunk)
        if waiting >= SYNC:
            target.flush()
            os.fdatasync(target.fileno())
            waiting = 0
        came(len(chunk))
    target.flush()
