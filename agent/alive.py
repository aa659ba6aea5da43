"""Signs of life: who asks a host gives it up when it says nothing for half a minute."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator

from agent.documents.jobs import Event

HEARTBEAT = 5.0  # seconds


@contextlib.contextmanager
def signs_of_life(say: Callable[[Event], None], every: float = HEARTBEAT) -> Generator[None]:
    """Says an empty event every so many seconds while the body runs."""
    ending = threading.Event()

    def beat() -> None:
        while not ending.wait(every):
            say({})

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(every)


def outlive_connection(say: Callable[[str], None]) -> Callable[[str], None]:
    """Of what has to come to its end: a connection that is cut ends only what is said over it."""

    def quiet(line: str) -> None:
        with contextlib.suppress(SystemExit, OSError):
            say(line)

    return quiet
