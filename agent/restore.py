"""What no release brings, back from another disk: the copy of a snapshot of a lost host's. What is here stays as it is.

Each file comes whole, under its name only once it is: interrupted and run again, it goes on.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agent import accounts, lock
from agent.outcome import Refused
from agent.places import parent_of
from agent.units import must
from agent.world import World

DEVICES = "/dev/disk/by-id"
DISK = "nvme-Amazon_Elastic_Block_Store_"  # as AWS's virtual disks call themselves, without the dash of their id
PATIENCE = 60.0
PLACE = "/run/infra/restore"
SPARE = 1024**3  # bytes that stay free
Ids = Callable[[int, int], tuple[int, int]]


@dataclass
class Brought:
    """Files and bytes that came, and files that were here already."""

    files: int = 0
    size: int = 0
    kept: int = 0


def restore(world: World, payload: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """Brings `paths` from the disk of `volume` (vol-…). `accounts` are made first, as a release would, so that what is
    theirs can be theirs. Raises Refused."""
    with lock.lock("restoring", say), _mounted(world, payload["volume"], payload["paths"]) as there:
        accounts.agree(world, payload["accounts"])
        accounts.ensure(world, payload["accounts"])
        ids = owners(f"{there}/etc/passwd", f"{there}/etc/group", "/etc/passwd", "/etc/group")
        found = [path for path in payload["paths"] if _is_directory(f"{there}{path}")]
        missing = sum(status.st_size for path in found for _, status in absent(f"{there}{path}", path))
        if missing + SPARE > world.free("/"):
            raise Refused(
                f"{missing // 1024**2} MiB are to come, and {world.free('/') // 1024**2} MiB are free, of which 1 GiB "
                "is to stay so: give the host a larger disk (infra:hosts.NAME.volume)"
            )
        told = {}
        for path in found:
            say(f"bringing {path}")
            brought = bring(f"{there}{path}", path, ids)
            told[path] = {"files": brought.files, "bytes": brought.size, "kept": brought.kept}
    return {"brought": told, "absent": [path for path in payload["paths"] if path not in found]}


def _is_directory(path: str) -> bool:
    """A link could lead out of the other disk."""
    return os.path.isdir(path) and not os.path.islink(path)


@contextmanager
def _mounted(world: World, volume: str, paths: list[str]) -> Iterator[str]:
    """The file system of a disk that has one of the paths, to read."""
    name = f"{DISK}{volume.replace('-', '')}"
    end = world.now() + PATIENCE
    while not (
        disks := [entry for entry in world.listing(DEVICES) if entry == name or entry.startswith(f"{name}-part")]
    ):
        if world.now() > end:
            raise Refused(f"the disk of {volume} did not appear here within {PATIENCE:.0f} s")
        world.sleep(0.5)
    world.directory(PLACE, 0o700, "root", "root")
    # What an interrupted one left
    world.run("umount", PLACE)
    for disk in disks:
        device = f"{DEVICES}/{disk}"
        kind = world.run("blkid", "-o", "value", "-s", "TYPE", device).output.strip()
        # A disk of the same image as this host's has the same identity
        options = f"ro,nosuid,nodev,noexec{',nouuid' if kind == 'xfs' else ''}"
        if not kind or world.run("mount", "-o", options, device, PLACE).code != 0:
            continue
        try:
            if any(world.exists(f"{PLACE}{path}") for path in paths):
                yield PLACE
                return
        finally:
            must(world, "umount", PLACE)
    raise Refused(f"nothing on the disk of {volume} has {' or '.join(paths)}")


def owners(passwd: str, group: str, own_passwd: str, own_group: str) -> Ids:
    """Numbers of the other disk's accounts and groups → those of the same names here, where there are some."""
    users, groups = (_numbers(there, here) for there, here in ((passwd, own_passwd), (group, own_group)))
    return lambda user, group: (users.get(user, user), groups.get(group, group))


def _numbers(there: str, here: str) -> dict[int, int]:
    of_name = dict(_names(here))
    return {number: of_name[name] for name, number in _names(there) if name in of_name}


def _names(path: str) -> Iterator[tuple[str, int]]:
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                name, _, number, *_ = [*line.split(":"), "", "", ""]
                if number.isdigit():
                    yield name, int(number)


def absent(source: str, target: str) -> Iterator[tuple[str, os.stat_result]]:
    """What is below `source` and not below `target`: its path below them, directories before what is in them."""
    for place, folders, files in os.walk(source):
        below = os.path.relpath(place, source)
        for name in [*folders, *files]:
            path = os.path.normpath(os.path.join(below, name))
            status = os.lstat(os.path.join(source, path))
            if not os.path.lexists(os.path.join(target, path)):
                yield path, status


def bring(source: str, target: str, ids: Ids) -> Brought:
    """Copies what is absent, with its mode, times and owner. Neither sockets nor devices are data."""
    told = Brought(kept=_files(source))
    if not os.path.lexists(target):
        _directory(target, os.lstat(source), ids)
    for path, status in absent(source, target):
        there, here = os.path.join(source, path), os.path.join(target, path)
        if stat.S_ISDIR(status.st_mode):
            _directory(here, status, ids)
        elif stat.S_ISLNK(status.st_mode):
            with parent_of(here) as (parent, name):
                os.symlink(os.readlink(there), name, dir_fd=parent)
                os.chown(name, *ids(status.st_uid, status.st_gid), dir_fd=parent, follow_symlinks=False)
        elif stat.S_ISREG(status.st_mode):
            _file(there, here, status, ids)
            told.files, told.size = told.files + 1, told.size + status.st_size
    told.kept -= told.files
    return told


def _files(place: str) -> int:
    return sum(
        stat.S_ISREG(os.lstat(os.path.join(at, name)).st_mode) for at, _, names in os.walk(place) for name in names
    )


def _directory(path: str, status: os.stat_result, ids: Ids) -> None:
    with parent_of(path, make=True) as (parent, name):
        os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        os.fchown(descriptor, *ids(status.st_uid, status.st_gid))
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    finally:
        os.close(descriptor)


def _file(there: str, here: str, status: os.stat_result, ids: Ids) -> None:
    with parent_of(here) as (parent, name):
        temporary = f".{name}.infra"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with (
            open(there, "rb") as source,
            os.fdopen(os.open(temporary, flags, 0o600, dir_fd=parent), "wb") as file,
        ):
            shutil.copyfileobj(source, file, 1024**2)
            os.fchown(file.fileno(), *ids(status.st_uid, status.st_gid))
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            file.flush()
            os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
