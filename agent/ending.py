"""Ends a container without Docker: a single instance must end when Docker hangs, too."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal

ROOT = "/var/lib/docker"
SETTINGS = "/etc/docker/daemon.json"
PROC = "/proc"


def end(name: str) -> list[int]:
    """Kills the first process of every container of this name that still runs, and with it all others of the container;
    which processes these were."""
    pids: list[int] = []
    for identifier, pid in _recorded_containers(name):
        # The number could be another process's by now: what is killed is what was looked at
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)
            try:
                if identifier in _read(f"{PROC}/{pid}/cgroup"):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    pids.append(pid)
            finally:
                os.close(descriptor)
    return pids


def _recorded_containers(name: str) -> list[tuple[str, int]]:
    """(id, first process) of the containers that Docker has written down under a name."""
    containers: list[tuple[str, int]] = []
    for path in glob.glob(f"{glob.escape(_root())}/containers/*/config.v2.json"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            about = json.loads(_read(path))
            pid = about["State"]["Pid"]
            if about["Name"] == f"/{name}" and isinstance(pid, int) and pid > 1 and about["ID"]:
                containers.append((str(about["ID"]), pid))
    return containers


def _root() -> str:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return str(json.loads(_read(SETTINGS)).get("data-root") or ROOT)
    return ROOT


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
