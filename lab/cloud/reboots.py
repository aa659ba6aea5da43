"""Machines that reboot by themselves: the kernel would, a container ends. Test equipment."""

import subprocess
import threading
import time
from collections.abc import Callable

REBOOT = 129  # reboot(2) ends the first process of a namespace by SIGHUP where it asks for a restart
PAUSE = 1.0
LONGEST = 3600  # seconds that one look lasts


def follow(container: str, begin: Callable[[], None]) -> None:
    """Calls `begin` each time when a machine has ended to boot again, until there is no such container."""
    threading.Thread(target=_follow, args=(container, begin), daemon=True).start()


def _follow(container: str, begin: Callable[[], None]) -> None:
    while True:
        try:
            ran = subprocess.run(
                ["docker", "wait", container], capture_output=True, text=True, check=False, timeout=LONGEST
            )
        except subprocess.TimeoutExpired:
            continue
        if ran.returncode:
            return
        if ran.stdout.strip() == str(REBOOT):
            begin()
        else:
            # What stopped it may start it again
            time.sleep(PAUSE)
