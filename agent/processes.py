"""Processes of this host, by their names."""

import os
from contextlib import suppress


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
