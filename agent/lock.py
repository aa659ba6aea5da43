"""One job at a time on a host. The kernel lets go of the lock when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TextIO

from agent.outcome import Refused

LOCK = "/run/infra/lock"
PATIENCE = 30.0
UNKNOWN = "an unnamed process"


@contextmanager
def lock(purpose: str, say: Callable[[str], None], path: str = "", patience: float = PATIENCE) -> Generator[None]:
    """Waits `patience` seconds, saying for whom. Raises Refused naming the holder, what for and since when."""
    with _open_file(path or LOCK) as file:
        end, has_said = time.monotonic() + patience, False
        while not _try_lock(file):
            file.seek(0)
            holder = file.read().strip() or UNKNOWN
            if time.monotonic() > end:
                raise Refused(f"another job is running on this host: {holder}. Wait for its end and run again")
            if not has_said:
                say(f"waiting for another job: {holder}")
            has_said = True
            time.sleep(0.2)
        file.truncate(0)
        file.write(f"{purpose}, since {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC")
        file.flush()
        yield
        file.truncate(0)


def holder(path: str = "") -> str | None:
    """Who holds the lock now, or None."""
    try:
        with _open_file(path or LOCK, make=False) as file:
            if _try_lock(file):
                return None
            file.seek(0)
            return file.read().strip() or UNKNOWN
    except FileNotFoundError:
        return None


def _open_file(path: str, make: bool = True) -> TextIO:
    """The lock's file, readable by root alone: an account that can open it can hold the lock."""
    if make:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if make else 0)
    file = os.fdopen(os.open(path, flags, 0o600), "a+")
    # An agent of an earlier version left it readable
    os.fchmod(file.fileno(), 0o600)
    return file


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
