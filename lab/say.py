"""Progress for people: what runs now, and how long so far."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

START = time.monotonic()


@contextmanager
def step(what: str, usual: int = 0) -> Iterator[None]:
    """Prints the step, a line every 10 seconds, and how long it took. `usual` are the seconds that it takes on two
    processors, for a step that takes long."""
    start, ending = time.monotonic(), threading.Event()
    expected = f", usually about {usual} s" if usual else ""
    _print(f"· {what}{expected} …")

    def alive() -> None:
        while not ending.wait(10):
            _print(f"  {what}: {time.monotonic() - start:.0f} s so far{expected}")

    thread = threading.Thread(target=alive, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        _print(f"✗ {what}: failed after {time.monotonic() - start:.1f} s")
        raise
    else:
        _print(f"✓ {what} ({time.monotonic() - start:.1f} s)")
    finally:
        ending.set()
        thread.join()


def warn(what: str) -> None:
    """A line about something that is worth reading, and does not end the run."""
    _print(f"! {what}")


def _print(line: str) -> None:
    print(f"[{time.monotonic() - START:5.0f} s] {line}", file=sys.stderr, flush=True)


class LabError(Exception):
    """A fault of the lab or the machine, with what to do."""
