"""The locks of a stack, read where Pulumi keeps its state: whose they are, how old, and whether their update certainly
runs no more. What an update in CI holds is looked up by the run that it recorded (`infra/ci_runs.py`)."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypeVar

from catalogue.stack import PROJECT
from infra import ci_runs, locks
from infra.ci_runs import Record, Run
from infra.errors import InfraError
from infra.foreign import one_line
from infra.state_files import State, state_of

# With projects, and as earlier versions of Pulumi had them
PLACES = ("locks/organization/{project}/{stack}/", "locks/{stack}/")


@dataclass(frozen=True)
class Lock:
    """Who made it, and when (seconds since 1970; None where that is not known). `id` is Pulumi's own for it."""

    account: str
    machine: str
    pid: int
    at: float | None
    id: str = ""

    @property
    def runs_here(self) -> bool:
        """Is there a Pulumi of that number on a machine of that name, which is this one."""
        return self.machine == socket.gethostname() and locks.engine_above(self.pid) == self.pid

    def __str__(self) -> str:
        age = f", since {_ago(time.time() - self.at)}" if self.at is not None else ""
        return f"{self.account}@{self.machine}, process {self.pid}{age}"


@dataclass(frozen=True)
class Finding:
    """A lock, the CI run that its update recorded, and whether that update certainly runs no more; `reason` is what is
    known of it."""

    lock: Lock
    run: Run | None
    has_ended: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.lock}{f', of {self.run}' if self.run else ''}"


HERE = "an update that was killed on this machine"
UNRECORDED = "whether that update is still running is not certain from here"


def unlock(stack: str) -> str:
    """Removes the stack's locks where every one is certainly an ended update's; what was found and done. Raises
    InfraError where it is not certain, and nothing was removed."""
    state = state_of(stack)
    findings = _look(state, stack, locks.read_engine(stack))
    if not findings:
        return f"stack {stack} is not locked"
    if not all(one.has_ended for one in findings):
        raise InfraError(_doubt(stack, findings))
    # GitHub may have taken its time to answer
    if [one.lock for one in findings] != list(_locks(state, stack)):
        raise InfraError(f"the locks of stack {stack} have changed meanwhile: run infra unlock --stack {stack} again")
    listing = "; ".join(map(str, findings))
    if not _remove(stack, state, findings):
        raise InfraError(f"stack {stack} is locked by {listing}, which has ended; pulumi cancel --stack {stack} failed")
    next_step = f"infra orphans --stack {stack}"
    return f"stack {stack} was locked by {listing}, which has ended: the lock was removed. Next: {next_step}"


def describe(stack: str) -> str:
    """Who holds the stack, and what is to be done; "" where it is not locked, and where that cannot be read: Pulumi
    looks itself."""
    try:
        return explain(stack)
    except (InfraError, ValueError):
        return ""


def explain(stack: str) -> str:
    """Who holds the stack, and what is to be done; "" where it is not locked. Raises InfraError where that cannot be
    read."""
    findings = _look(state_of(stack), stack, locks.read_engine(stack))
    if findings and all(one.has_ended for one in findings):
        listing = "; ".join(map(str, findings))
        return (
            f"stack {stack} is locked by {listing}, which has ended: infra unlock --stack {stack} removes the lock, "
            "then the same command again"
        )
    return _doubt(stack, findings) if findings else ""


def _doubt(stack: str, findings: Sequence[Finding]) -> str:
    if here := [one for one in findings if one.lock.runs_here]:
        return f"stack {stack} is locked by {here[0]}, which is running on this machine: wait until it ends"
    reasons = "; ".join(dict.fromkeys(one.reason for one in findings if not one.has_ended))
    runs = ", ".join(one.run.url for one in findings if one.run and not one.has_ended)
    look = f"Look at {runs}" if runs else "If it is a CI run, check it there"
    return (
        f"stack {stack} is locked by {'; '.join(map(str, findings))}; {reasons}, so the lock stays. {look}; once it "
        f"has certainly ended: pulumi cancel --stack {stack}"
    )


def _remove(stack: str, state: State, findings: Sequence[Finding]) -> bool:
    is_removed = locks.remove(stack)
    if is_removed and any(one.run for one in findings):
        ci_runs.forget(state, stack)
    return is_removed


def _look(state: State, stack: str, engine: locks.Engine | None) -> list[Finding]:
    stack_locks = list(_locks(state, stack))
    record = ci_runs.read_record(state, stack) if stack_locks else None
    return [_judge(one, record, engine) for one in stack_locks]


def _judge(lock: Lock, record: Record | None, engine: locks.Engine | None) -> Finding:
    # Pulumi makes an id of its own for each update, so that no other one's lock is like it in all
    run = record.run if record and lock.id and record.lock == asdict(lock) else None
    if lock.runs_here:
        return Finding(lock, run, False, "its process is running on this machine")
    if locks.is_dead(_complaint(lock), engine):
        return Finding(lock, run, True, HERE)
    if run is None:
        return Finding(lock, None, False, UNRECORDED)
    standing = ci_runs.standing(run)
    return Finding(lock, run, standing.has_ended, standing.text)


def _complaint(lock: Lock) -> str:
    """As Pulumi itself complains of one."""
    return f"{locks.LOCKED} 1 lock(s)\n  1: created by {lock.account}@{lock.machine} (pid {lock.pid})"


def _locks(state: State, stack: str) -> Iterator[Lock]:
    for place in PLACES:
        for id, text in state.texts(place.format(project=PROJECT, stack=stack)):
            yield _read(text, id)


def _read(text: str, id: str = "") -> Lock:
    """Raises InfraError for one that is not understood: it may be held."""
    try:
        entry = json.loads(text)
        at = datetime.fromisoformat(entry["timestamp"]).timestamp() if entry.get("timestamp") else None
        account, machine = one_line(str(entry["username"])), one_line(str(entry["hostname"]))
        return Lock(account, machine, int(entry["pid"]), at, one_line(id))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InfraError("a lock of the stack cannot be read, and may be held: pulumi cancel removes it") from None


def _ago(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 60 // 24} days"


def record_run(stack: str, engine: int) -> None:
    """Records which CI run the update of this engine belongs to, beside the lock that it holds. An update goes on
    without that."""
    run = ci_runs.current()
    if run is None:
        return
    with contextlib.suppress(InfraError, OSError, ValueError):
        state = state_of(stack)
        own = [one for one in _locks(state, stack) if (one.machine, one.pid) == (socket.gethostname(), engine)]
        if len(own) == 1:
            ci_runs.keep(state, stack, Record(asdict(own[0]), run))


T = TypeVar("T")


def pass_locks(
    stack: str, work: Callable[[], tuple[T, str]], say: Callable[[str], object], ask: Callable[[str], bool]
) -> tuple[T, str]:
    """Does some `work` on a stack, which gives a result and what Pulumi complained of, past locks that nothing holds:
    those of an update that has certainly ended are removed, and `ask` is asked about any other. The result, and why
    the stack is locked still ("" where it is not)."""
    # The work may start an engine itself, which is remembered instead
    engine = locks.read_engine(stack)
    result, message = work()
    if not locks.holders(message):
        return result, ""
    is_dead, prompt, removal = locks.is_dead(message, engine), locks.question(stack, message), HERE
    run = None
    if not is_dead and (findings := _behind(stack, message, engine)):
        is_dead = all(one.has_ended for one in findings)
        details = [f"{one.run}: {one.reason}" for one in findings if one.run]
        run = next((one.run for one in findings if one.run), None)
        removal, prompt = "; ".join(details) or removal, "; ".join([prompt, *details])
    if not is_dead and not ask(prompt):
        return result, f"{prompt}; once it no longer runs: pulumi cancel --stack {stack}, then the same command again"
    if not is_dead or run:
        # It was about these locks: they may be gone by now, or others have come
        again, message_now = work()
        if not locks.holders(message_now):
            return again, ""
        if locks.holders(message_now) != locks.holders(message):
            question = locks.question(stack, message_now)
            return again, f"{question}: wait until it ends, then run the same command again"
    if locks.remove(stack):
        say(f"removed the lock of {removal}" if is_dead else "the lock was removed")
        if run:
            with contextlib.suppress(InfraError):
                ci_runs.forget(state_of(stack), stack)
        result, _ = work()
    return result, ""


def _behind(stack: str, message: str, engine: locks.Engine | None) -> list[Finding]:
    """What is known of the locks that Pulumi complains of; nothing where others are there by now, or where they cannot
    be read."""
    try:
        findings = _look(state_of(stack), stack, engine)
    except (InfraError, ValueError):
        return []
    present = sorted((one.lock.account, one.lock.machine, one.lock.pid) for one in findings)
    return findings if present == sorted(locks.holders(message)) else []
