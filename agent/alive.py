"""Signs of life: who asks a host gives it up when it says nothing for half a minute."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

HEARTBEAT = 5.0  # seconds


@contextlib.contextmanager
def signs_of_life(say: Callable[[dict[str, Any]], None], every: float = HEARTBEAT) -> Iterator[None]:
    """Says an empty event every so many seconds while the body runs."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(every):
            say({})

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(every)
