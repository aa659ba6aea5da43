"""A stack's lock that a killed Pulumi left: removed where its update certainly runs no more, else asked about.

`python -m infra.locks STACK` is how the program of an update keeps which engine it was started by, and in GitHub
Actions by which run."""

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from agent import times
from infra import notes
from infra.errors import InfraError
from infra.pulumi import attempt

LOCKED = "the stack is currently locked by"
# Accounts of Windows and names of machines can have spaces
HOLDER = re.compile(r"created by (.+?)@(.+?) \(pid (\d+)\)(?: at (\S+))?")
COUNT = re.compile(rf"{LOCKED} (\d+) lock")
FOLDER = Path(".infra/engines")
PAUSE = 5.0
SETTLED = 60.0  # seconds until an update that is at its end has written what it did
BOOT, MACHINE = Path("/proc/sys/kernel/random/boot_id"), Path("/etc/machine-id")


@dataclass(frozen=True)
class Engine:
    """A Pulumi that was started here. A host name and a process id can be those of another container or machine, so
    `machine`, `boot`, the PID `namespace` and the process's start (in ticks since the boot) belong to it."""

    pid: int
    machine: str
    boot: str
    namespace: str
    started: str


def identify(pid: int) -> Engine:
    """A process that runs now; without what this system does not provide."""
    with contextlib.suppress(OSError, IndexError):
        machine, boot = MACHINE.read_text(encoding="utf-8").strip(), BOOT.read_text(encoding="utf-8").strip()
        return Engine(pid, machine, boot, os.readlink("/proc/self/ns/pid"), _start_time(pid))
    return Engine(pid, "", "", "", "")


def _start_time(pid: int) -> str:
    """When a process was started. Raises OSError where there is none."""
    return _fields(pid)[19]


def _fields(pid: int) -> list[str]:
    """What the kernel says of a process after its name, which may have spaces and parentheses: its state first."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def remember(stack: str, pid: int) -> None:
    """Keeps which engine works on a stack, for the day it is killed. A checkout that cannot be written to is no reason
    not to go on."""
    with contextlib.suppress(OSError, InfraError):
        notes.keep(FOLDER / f"{stack}.json", asdict(identify(pid)))


def engine_above(pid: int) -> int | None:
    """The Pulumi that a process was started by; None where there is none above it."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        while pid > 1:
            name, _, rest = (
                Path(f"/proc/{pid}/stat")
                .read_text(encoding="utf-8", errors="replace")
                .partition("(")[2]
                .rpartition(")")
            )
            state, parent = rest.split()[:2]
            # One that was killed, and which its parent has not noticed, holds nothing
            if name == "pulumi" and state not in ("Z", "X"):
                return pid
            pid = int(parent)
    return None


def read_engine(stack: str) -> Engine | None:
    try:
        entry = notes.read(FOLDER / f"{stack}.json")
        return Engine(**{name: entry[name] for name in Engine.__dataclass_fields__})
    except (TypeError, KeyError):
        return None


def holders(message: str) -> list[tuple[str, str, int]]:
    """(account, machine, process) of every lock that Pulumi complains of. Pure."""
    entries = [(account, machine, int(pid)) for account, machine, pid, _ in HOLDER.findall(message)]
    return entries if LOCKED in message else []


def is_dead(message: str, engine: Engine | None) -> bool:
    """Is every lock that of an engine which was started from here, and runs no more."""
    entries, count = holders(message), COUNT.search(message)
    # One that is not understood may be held
    if count is None or int(count[1]) != len(entries) or engine is None:
        return False
    if not (engine.boot and engine.machine):
        return False
    if any((machine, pid) != (socket.gethostname(), engine.pid) for _, machine, pid in entries):
        return False
    here = identify(os.getpid())
    # Of another boot a copy of this machine may run it
    if (here.machine, here.boot) != (engine.machine, engine.boot):
        return False
    return here.namespace == engine.namespace and not _runs(engine)


def _runs(engine: Engine) -> bool:
    try:
        # One that has ended stays in the list until its parent asks how
        return _start_time(engine.pid) == engine.started and _fields(engine.pid)[0] not in ("Z", "X")
    except OSError:
        return False


def remove(stack: str) -> bool:
    """Removes the stack's locks. Raises InfraError where there is no Pulumi."""
    return attempt("cancel", "--yes", "--stack", stack).returncode == 0


def question(stack: str, message: str) -> str:
    """Who holds the locks, as far as Pulumi knows."""
    names = ", ".join(
        f"{account}@{machine}, process {pid}{f', since {times.show_text(at, form=times.SECONDS)}' if at else ''}"
        for account, machine, pid, at in HOLDER.findall(message)
    )
    return f"stack {stack} is locked by {names or 'another update'}, which may still be running"


T = TypeVar("T")


class Locked(InfraError):
    """Another update holds the stack, or has changed it meanwhile."""


class Unsettled(Locked):
    """As if another update were at its end; where none is, waiting is of no use."""


def patiently(work: Callable[[], T], seconds: float, say: Callable[[str], object]) -> T:
    """Does some `work` that another update of the stack may hold up, for at most so many seconds: all of it again,
    since what it looked at may be another then. Raises Locked."""
    end, is_said = time.monotonic() + seconds, False
    settled_by: float | None = None
    while True:
        try:
            return work()
        except Locked as locked:
            if isinstance(locked, Unsettled):
                settled_by = settled_by or time.monotonic() + SETTLED
            if time.monotonic() > min(end, settled_by or end):
                raise
            if not is_said:
                say(f"waiting for {seconds:.0f} s at most: {locked}")
            is_said = True
            time.sleep(PAUSE)


if __name__ == "__main__":
    if engine := engine_above(os.getppid()):
        remember(sys.argv[1], engine)
        # Only there is it known which run this is; the state's own libraries take time to load
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from infra import unlocking

            unlocking.record_run(sys.argv[1], engine)
