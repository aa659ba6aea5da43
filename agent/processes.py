"""Processes of this host: those that run, by their names, and commands that run to their end."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO

MOST = 64 << 20  # bytes of what a command says that are kept


def arguments_of(program: str) -> list[list[str]]:
    """See World.arguments_of. Another account's process can call itself anything, and does not count."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        # One may end meanwhile
        with suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == 0 and _text(pid, "comm").strip() == program:
                found.append(_text(pid, "cmdline").split("\0"))
    return found


def _text(pid: str, name: str) -> str:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read().decode(errors="replace")


def run(argv: tuple[str, ...], stdin: bytes, timeout: float, environment: dict[str, str]) -> tuple[int | None, bytes]:
    """Exit code of a command (None: it took too long, and was killed), and the last MOST bytes of what it said: a
    journal of gigabytes fills no memory. Raises OSError where it cannot be started."""
    said, end = bytearray(), time.monotonic() + timeout
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, bufsize=0
    ) as process:
        assert process.stdin and process.stdout
        # It may say much before it has read all
        feeding = threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True)
        feeding.start()
        try:
            while (left := end - time.monotonic()) > 0:
                if select.select([process.stdout], [], [], left)[0]:
                    if not (data := os.read(process.stdout.fileno(), 65536)):
                        break
                    said += data
                    del said[:-MOST]
            return process.wait(max(0.0, end - time.monotonic())), bytes(said)
        except subprocess.TimeoutExpired:
            return None, bytes(said)
        finally:
            process.kill()


def _feed(pipe: IO[bytes], data: bytes) -> None:
    # One that ends without reading says itself why
    with suppress(OSError), pipe:
        pipe.write(data)
