"""An end to what would be waited for without one."""

import contextlib
import threading
from collections.abc import Callable, Generator


@contextlib.contextmanager
def time_limit(seconds: float, end: Callable[[], object]) -> Generator[threading.Event]:
    """Calls `end` when the time is over, which ends whatever waits in the body; the event says that it was so."""
    is_late = threading.Event()

    def stop() -> None:
        is_late.set()
        # It may have ended by itself
        with contextlib.suppress(OSError):
            end()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()
