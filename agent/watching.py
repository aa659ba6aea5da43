"""The round of a watch, a service of the agent that never ends, and its notifications to systemd."""

import os
import socket
from collections.abc import Callable

from agent.world import World


def every(world: World, seconds: float, look: Callable[[], None]) -> None:
    """`look`, again and again, from beginning to beginning `seconds` apart."""
    _notify("READY=1")
    while True:
        began = world.now()
        look()
        _notify("WATCHDOG=1")
        world.sleep(max(0.0, began + seconds - world.now()))


def _notify(text: str) -> None:
    """Notifies systemd, which ends and restarts a watch that says nothing any more."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            out.sendall(text.encode())
