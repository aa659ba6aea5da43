"""A command that runs between an opening and a closing, which comes in every ending: its success, its failure, and the
signals that would end us."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from infra.errors import InfraError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _Signals:
    """What came meanwhile. A child gets it too; before there is one, none is started."""

    child: subprocess.Popen[bytes] | None = None
    received: list[int] = field(default_factory=list[int])

    def __call__(self, number: int, _: FrameType | None) -> None:
        self.received.append(number)
        # A terminal's Ctrl-C has reached the child by itself, and a second one would end Pulumi in the middle
        if self.child and not (number == signal.SIGINT and sys.stdin.isatty()):
            self.child.send_signal(number)


@contextmanager
def _all_signals(signals: _Signals) -> Generator[None]:
    heard = [one for one in ENDING if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, signals) for one in heard}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def run(command: Sequence[str], before: Callable[[], object], after: Callable[[], object]) -> int:
    """The command's exit code, or 128 and a signal's number; `after` is called whatever happened since `before` began.
    Raises InfraError where the command cannot be started, or what these two raise."""
    signals = _Signals()
    with _all_signals(signals):
        try:
            before()
            if signals.received:
                return 128 + signals.received[0]
            return _run(command, signals)
        finally:
            after()


def _run(command: Sequence[str], signals: _Signals) -> int:
    try:
        with subprocess.Popen(command, env={**os.environ}) as child:
            signals.child = child
            for number in signals.received:
                child.send_signal(number)
            code = child.wait()
    except FileNotFoundError:
        raise InfraError(f"{command[0]}: there is no such program") from None
    except OSError as error:
        raise InfraError(f"{command[0]} cannot be started: {error.strerror}") from None
    finally:
        signals.child = None
    return 128 - code if code < 0 else code
