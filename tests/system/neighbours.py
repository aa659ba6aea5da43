"""What else a machine may have: programs on the usual ports of all its addresses, and other machines beside it."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lab.run import run, succeeds

# sshd, a resolver, a web server, a registry, Avahi
TAKEN = [(22, "tcp"), (53, "tcp"), (53, "udp"), (80, "tcp"), (443, "tcp"), (5000, "tcp"), (5353, "tcp"), (5353, "udp")]
GREETING = b"another program\n"
NAMESPACE, OUTER, INNER = "wml-neighbour", "wmlnb0", "wmlnb1"
# Of the range that RFC 2544 sets aside for tests between machines: no machine's own network
HERE, THERE = "198.18.71.1", "198.18.71.2"


class Programs:
    """Listens on TAKEN at all addresses, as a machine's own programs do, and counts who came. A port that the machine
    itself has taken already is as good."""

    def __init__(self) -> None:
        self.visitors: list[tuple[int, str]] = []
        self.sockets: dict[tuple[int, str], socket.socket] = {}

    def __enter__(self) -> "Programs":
        for port, kind in TAKEN:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                made.bind(("0.0.0.0", port))
            except OSError:
                made.close()
                continue
            self.sockets[port, kind] = made
            if kind == "tcp":
                made.listen(8)
                threading.Thread(target=self._greet, args=(port, made), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for taken in self.sockets.values():
            # A thread that waits in accept() is woken by this alone
            with contextlib.suppress(OSError):
                taken.shutdown(socket.SHUT_RDWR)
            taken.close()

    def _greet(self, port: int, taken: socket.socket) -> None:
        while True:
            try:
                visitor, (address, _) = taken.accept()
            except OSError:
                return
            self.visitors.append((port, address))
            with visitor, contextlib.suppress(OSError):
                visitor.sendall(GREETING)


@contextmanager
def machine() -> Iterator[None]:
    """Another machine on a cable of its own, which has found out the addresses of the lab's networks."""
    remove()
    run("ip", "netns", "add", NAMESPACE)
    try:
        run("ip", "link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", NAMESPACE)
        run("ip", "addr", "add", f"{HERE}/30", "dev", OUTER)
        run("ip", "link", "set", OUTER, "up")
        inside("ip", "addr", "add", f"{THERE}/30", "dev", INNER)
        inside("ip", "link", "set", INNER, "up")
        inside("ip", "route", "add", "default", "via", HERE)
        yield
    finally:
        remove()


def remove() -> None:
    """What an interrupted test left."""
    for command in (["ip", "netns", "del", NAMESPACE], ["ip", "link", "del", OUTER]):
        succeeds(*command)


def inside(*argv: str) -> str:
    return run("ip", "netns", "exec", NAMESPACE, *argv)


def reaches(address: str, port: int, seconds: float = 2) -> bool:
    """Does a TCP connection from the other machine come about."""
    script = f"import socket; socket.create_connection(({address!r}, {port}), {seconds})"
    command = ["ip", "netns", "exec", NAMESPACE, "python3", "-c", script]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
