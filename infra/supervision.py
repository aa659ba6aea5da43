"""How a program that Pulumi runs comes to its end, by itself or killed.

At the first Ctrl-C Pulumi's `command` plugin kills the process that it started (SIGKILL) and waits until its pipes are
closed. So that process only waits; its child works, sees that the parent is gone, and has the last line. At a second
Ctrl-C, or when Pulumi or the plugin are killed, the pipes break: nothing reads them any more, and the child ends at
once.
"""

import contextlib
import json
import os
import select
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from infra.errors import InfraError
from infra.lines import Writer

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILED, LEFT = 1, 130
Say = Callable[[str], None]


@dataclass(frozen=True)
class WorkOutcome:
    """`code` is the exit code, `line` the last line for people ("" when the lines before say it all), `result` what
    Pulumi keeps of a success."""

    code: int
    line: str = ""
    result: Mapping[str, object] | None = None


class Work:
    """What a program does for Pulumi, and what it says when it is ended in the middle."""

    def do(self, say: Say) -> WorkOutcome:
        """Raises InfraError, which is a failure with its text as the last line."""
        raise NotImplementedError

    def on_interrupt(self) -> str:
        """The line that is said when it comes to its end although it was interrupted once; "" ends it at once."""
        return ""

    def interruption_line(self) -> str:
        """The last line when it ends at once, in the middle."""
        raise NotImplementedError

    def after_interrupt(self, outcome: WorkOutcome) -> str:
        """The last line when it came to its end although it was interrupted: Pulumi counts that as a failure."""
        return outcome.line


def run(work: Work) -> NoReturn:
    """Does the work in a child process and exits with its code."""
    alive, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(alive)
        _wait_for(child)
    os.close(write_end)
    _work(work, alive)


def _wait_for(child: int) -> NoReturn:
    def hand_on(number: int, _: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in ENDING:
        signal.signal(number, hand_on)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        Writer().last(
            f"failed: the process that ran this step was killed ({signal.Signals(-code).name}); what it had started "
            "on a host finishes there by itself. Run again"
        )
    os._exit(code if code >= 0 else FAILED)


def _work(work: Work, alive: int) -> NoReturn:
    writer, interrupted = Writer(), threading.Event()
    watch = threading.Thread(target=_watch, args=(work, writer, alive, _signals(), interrupted), daemon=True)
    watch.start()
    try:
        outcome = work.do(writer.say)
        if interrupted.is_set() or select.select([alive], [], [], 0)[0]:
            writer.last(work.after_interrupt(outcome))
        else:
            writer.last(
                outcome.line, json.dumps(outcome.result, sort_keys=True) if outcome.result and not outcome.code else ""
            )
    except InfraError as error:
        outcome = WorkOutcome(FAILED, f"failed: {error}")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"
        outcome = WorkOutcome(FAILED, f"failed: internal error: {type(error).__name__}: {error} ({place})")
    writer.last(outcome.line)
    os._exit(outcome.code)


def _signals() -> int:
    """A descriptor that can be read once a signal asks us to end, even while the main thread is inside a library."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in ENDING:
        signal.signal(number, _ignore)
    return read_end


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """The number of a signal is read from the descriptor."""


def _watch(work: Work, writer: Writer, alive: int, signals: int, interrupted: threading.Event) -> None:
    poll = select.poll()
    poll.register(alive, select.POLLIN)
    poll.register(signals, select.POLLIN)
    # Without events asked for, only that its reader is gone is reported
    poll.register(2, 0)
    while True:
        for descriptor, event in poll.poll():
            if event & select.POLLNVAL:
                poll.unregister(descriptor)
                continue
            if descriptor == alive and (line := work.on_interrupt()):
                poll.unregister(alive)
                interrupted.set()
                writer.say(line)
                continue
            writer.last(work.interruption_line())
            os._exit(LEFT)
