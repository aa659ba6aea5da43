"""All that the agent can do to a host, as one small interface; tests put a world in memory in its place."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import platform
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from agent import cgroups, ending, engine, namespaces, places, processes, trees, web
from agent.capabilities import Capabilities
from agent.places import Entry, aside, look_at, look_at_directory, open_directory, parent_of, read_file, unlink, way_to
from agent.processes import TIMED_OUT, CommandResult, command_environment

# Of a mode; the bits that give a program its owner's rights are never installed
PERMISSIONS = 0o777

LONGEST_LINE = 1 << 20  # bytes of a line that is followed
NOT_STARTED = 126  # exit code of a command for which there was no memory, or no right


@dataclass(frozen=True)
class Account:
    uid: int
    home: str


@dataclass(frozen=True)
class Usage:
    """A file system: bytes, and inodes (0 where it has no such number)."""

    device: int
    size: int
    free: int
    inodes: int
    free_inodes: int


class World:
    """The real host."""

    @cached_property
    def can(self) -> Capabilities:
        """What its programs can do."""
        return Capabilities(self)

    def architecture(self) -> str:
        """The machine's, as the kernel calls it."""
        return platform.machine()

    def account(self, name: str) -> Account | None:
        """An account of this host."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        return Account(entry.pw_uid, entry.pw_dir)

    def has_group(self, name: str) -> bool:
        return any(group.gr_name == name for group in grp.getgrall())

    def why_barred(self, path: str) -> str | None:
        """Why root may not go to a path: a link that a user laid is in the way. None when nothing is."""
        return way_to(path)

    def exists(self, path: str) -> bool:
        """Is there anything at a path, a directory included."""
        return os.path.lexists(path)

    def run(
        self, *argv: str, timeout: float = 300, environment: dict[str, str] | None = None, stdin: str = ""
    ) -> CommandResult:
        """Runs a command to its end; a missing program is code 127, one that cannot be started 126, a timeout 124."""
        try:
            code, output = processes.run(argv, stdin.encode(), timeout, command_environment(environment or {}))
        except FileNotFoundError:
            return CommandResult(127, f"{argv[0]}: not found")
        except OSError as error:
            # No memory for another process, for one
            return CommandResult(NOT_STARTED, f"{argv[0]}: {error.strerror}")
        text = output.decode(errors="replace")
        result = (TIMED_OUT, f"{text}\nno end after {timeout:.0f} s") if code is None else (code, text)
        return CommandResult(*result)

    def pipe(
        self, source: list[str], sink: list[str], timeout: float, environment: dict[str, str]
    ) -> tuple[CommandResult, CommandResult, int]:
        """See processes.pipe."""
        return processes.pipe(source, sink, timeout, command_environment(environment))

    def stream(self, *argv: str, pause: float = 5.0) -> Iterator[str | None]:
        """The lines of a command as it says them, and None after each pause in which it says nothing; it ends with
        its reader."""
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
            assert process.stdout
            rest = b""
            try:
                while True:
                    if not processes.can_read(process.stdout, pause):
                        yield None
                        continue
                    chunk = os.read(process.stdout.fileno(), 65536)
                    *whole, rest = (rest + chunk).split(b"\n")
                    rest = rest[:LONGEST_LINE]
                    for line in whole:
                        yield line.decode(errors="replace")
                    if not chunk:
                        return
            finally:
                process.kill()

    def has_command(self, name: str) -> bool:
        return shutil.which(name) is not None

    def read(self, path: str) -> bytes | None:
        """A file's content, or None where there is no file, or one that only a user's link leads to."""
        return read_file(path)

    def head(self, path: str, size: int) -> bytes | None:
        """The beginning of a file, however large it is; None as in `read`."""
        return read_file(path, size)

    def is_executable(self, path: str) -> bool:
        return os.access(path, os.X_OK)

    def entry(self, path: str) -> Entry:
        """What is at a path, in one look; a file's owner and group by name, or by number where they have none. Raises
        OSError where the way is barred."""
        entry = look_at(path)
        return _name_owners(entry) if entry.kind == "file" else entry

    def directory_entry(self, path: str) -> Entry | None:
        """Owner, group and mode of a directory, in one look; None where there is none that root may go to."""
        entry = look_at_directory(path)
        return entry and _name_owners(entry)

    def owner_and_mode(self, path: str) -> tuple[str, str, int]:
        """Owner, group and permission bits of a file that exists."""
        status = os.stat(path)
        return _name(pwd.getpwuid, status.st_uid), _name(grp.getgrgid, status.st_gid), status.st_mode & 0o7777

    def write(self, path: str, content: bytes, mode: int, owner: str, group: str) -> None:
        """Puts a file in place as a whole: temporary file, fsync, rename. It never has wider rights than `mode`."""
        with parent_of(path, make=True) as (parent, name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor, temporary = aside(name, parent, lambda other: os.open(other, flags, 0o600, dir_fd=parent))
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchown(file.fileno(), *_ids(owner, group))
                os.fchmod(file.fileno(), mode & PERMISSIONS)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            # A rename is on the disk only once its directory is
            os.fsync(parent)

    def move(self, source: str, path: str) -> None:
        """Puts a file in another's place, owner and mode kept; needs no space on one file system."""
        try:
            with parent_of(path, make=True) as (parent, name):
                os.replace(source, name, dst_dir_fd=parent)
                os.fsync(parent)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            owner, group, mode = self.owner_and_mode(source)
            self.write(path, Path(source).read_bytes(), mode, owner, group)
            self.remove(source)

    def directory(self, path: str, mode: int, owner: str, group: str) -> None:
        descriptor = open_directory(path, make=True)
        try:
            os.fchown(descriptor, *_ids(owner, group))
            os.fchmod(descriptor, mode & PERMISSIONS)
        finally:
            os.close(descriptor)

    def rename_tree(self, source: str, path: str) -> None:
        """Gives a directory of root's another name, at which there is nothing."""
        with parent_of(path) as (parent, name):
            os.rename(source, name, dst_dir_fd=parent)
            os.fsync(parent)

    def link_target(self, path: str) -> str | None:
        return os.readlink(path) if os.path.islink(path) else None

    def link(self, path: str, target: str) -> None:
        with parent_of(path, make=True) as (parent, name):
            _, temporary = aside(name, parent, lambda other: os.symlink(target, other, dir_fd=parent))
            os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            os.fsync(parent)

    def remove(self, path: str) -> None:
        try:
            with parent_of(path) as (parent, name):
                unlink(name, parent)
        except (FileNotFoundError, NotADirectoryError):
            pass

    def remove_tree(self, path: str) -> None:
        self.run("rm", "-rf", "--one-file-system", "--", path, timeout=3600)  # however deep it is

    def listing(self, path: str) -> list[str]:
        """Names in a directory, sorted; none where there is no directory."""
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def free(self, path: str) -> int:
        """Bytes that can still be written below a path; of its nearest parent where it does not exist."""
        place = Path(path)
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def usage(self, path: str) -> Usage | None:
        """The file system that a path is on; None where there is no such path."""
        try:
            status, device = os.statvfs(path), os.stat(path).st_dev
        except OSError:
            return None
        block = status.f_frsize
        return Usage(device, status.f_blocks * block, status.f_bavail * block, status.f_files, status.f_favail)

    def memory_of(self, pid: int) -> int | None:
        """Bytes that a process's control group uses, without what can be dropped at once; None where none counts."""
        return cgroups.memory_of(pid)

    def arguments_of(self, program: str, parent: str = "") -> list[list[str]]:
        """What each running process of root's was started with that runs this program, started by `parent`."""
        return processes.arguments_of(program, parent)

    def signal_container(self, name: str, signal: str) -> None:
        """Sends a container a signal; what has ended by itself needs none."""
        with contextlib.suppress(OSError, engine.Declined):
            engine.ask("POST", f"/containers/{name}/kill?signal={signal}", 5)

    def end_container(self, name: str) -> list[int]:
        """Kills a container's processes, without Docker; which were the first ones."""
        return ending.end(name)

    def docker_has(self, path: str, timeout: float = 10) -> bytes:
        """What Docker answers to a GET. Raises engine.Declined, and OSError where it says nothing."""
        return engine.ask("GET", path, timeout)

    def socket_has(self, place: str, path: str, timeout: float = 5) -> bytes:
        """What a program answers to a GET at its socket. Raises as `docker_has`."""
        return engine.ask("GET", path, timeout, place)

    def settle(self, tree: str) -> None:
        """What is below a directory is on the disk."""
        for folder, entries in trees.walk(tree):
            files = (entry.path for entry in entries if entry.is_file(follow_symlinks=False))
            for path in (*files, folder):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def resolve_inside(self, names: list[tuple[int, str]]) -> list[str]:
        """For each (process, name): the address that Docker's resolver gives in the process's network; "" for none."""
        return namespaces.resolve(names)

    def reach_inside(self, addresses: list[tuple[int, str, int]]) -> list[bool]:
        """For each (process, address, port): does anything come back from there to its network, a refusal included."""
        return namespaces.reach(addresses)

    def reachable_address(self, name: str, port: int) -> str:
        """The address of a name that takes connections from this host itself; "" where none does."""
        return namespaces.reachable_address(name, port)

    def memory(self) -> dict[str, int]:
        """The machine's memory in bytes, by the kernel's names: MemTotal, MemAvailable, SwapTotal, SwapFree."""
        fields = (line.split() for line in (self.read("/proc/meminfo") or b"").decode().splitlines())
        return {field[0].rstrip(":"): int(field[1]) * 1024 for field in fields if len(field) > 1}

    def fetch(
        self, url: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None, timeout: float = 20
    ) -> tuple[int, bytes]:
        """Status and body of a request, over verified TLS where it is one; status 0 where nothing answers."""
        return web.fetch(url, headers, method, body, timeout)

    def download(self, url: str, authorization: str, path: str, size: int) -> str:
        """Brings a file of `size` bytes to a path of root's own, going on with what is there of it already; "" once it
        is whole, else why it is not."""
        return web.download(url, authorization, path, size)

    remove_empty = staticmethod(places.remove_empty)
    digest_of = staticmethod(trees.digest_of)
    unpack = staticmethod(trees.unpack)
    tree = staticmethod(trees.look)

    def date_at(self, url: str, timeout: float = 2) -> str:
        """The date that a server says it is, whatever else it answers; "" where nothing answers."""
        return web.date_at(url, timeout)

    def status_of(self, url: str, name: str | None = None) -> int:
        """HTTP status of a GET, 0 where nothing answers. With `name` the request goes to this host's own proxy."""
        return web.status_of(url, name)

    def certificate_ends(self, name: str) -> tuple[float, str]:
        """When the certificate ends (seconds since 1970) that this host's proxy shows for a name; 0 and why, where it
        shows none that its clients would trust."""
        return web.certificate_ends(name)

    def now(self) -> float:
        """Seconds of a clock that cannot be set: for deadlines."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970, as the host's clock says: for records only."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _name_owners(entry: Entry) -> Entry:
    owner, group = _name(pwd.getpwuid, int(entry.owner)), _name(grp.getgrgid, int(entry.group))
    return replace(entry, owner=owner, group=group)


def _name(lookup: Callable[[int], pwd.struct_passwd | grp.struct_group], number: int) -> str:
    try:
        return lookup(number)[0]
    except KeyError:
        return str(number)


def _ids(owner: str, group: str) -> tuple[int, int]:
    """Numbers of an account and a group; a number stands for one that has no name here, nothing for the owner's own
    group."""
    if not group:
        group = str(pwd.getpwnam(owner).pw_gid)
    return (
        int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid,
        int(group) if group.isdigit() else grp.getgrnam(group).gr_gid,
    )
