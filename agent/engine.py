"""Docker, and other programs of root's, by their own sockets: no command has to find 40 MB of memory for an answer."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

from agent import quoting

SOCKET = "/run/docker.sock"
MiB = 1024**2
# Bytes of an answer: a Docker of thousands of containers says a few MiB, and a proxy's configuration is less than one
LARGEST, LARGEST_OF_OTHERS = 64 * MiB, 8 * MiB
PIECE = 64 * 1024  # bytes


class Declined(Exception):
    """Docker answered, and does not have what was asked, or will not do it."""


class NotRunning(OSError):
    """Nothing listens at its socket, or there is none."""


def ask(method: str, path: str, timeout: float, place: str = "") -> bytes:
    """The body of an answer of Docker's, or of what else listens at `place`; `timeout` are seconds until all of it is
    here. Raises Declined, and OSError where it says nothing, or more than an answer can be."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = _Bounded(time.monotonic() + timeout, LARGEST_OF_OTHERS if place else LARGEST)
    connection.sock.settimeout(timeout)
    with connection.sock:
        try:
            try:
                connection.sock.connect(place or SOCKET)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                raise NotRunning(f"{place or SOCKET}: {error.strerror}") from None
            # At a socket of its own Caddy takes requests without a host alone
            connection.request(method, path, headers={"Host": ""} if place else {})
            answer = connection.getresponse()
            body = _whole(answer)
        except NotRunning:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise OSError(f"{place or SOCKET}: {getattr(error, 'strerror', '') or error}") from None
    if answer.status >= 300:
        raise Declined(f"{place or 'Docker'} answered {answer.status} to {path.partition('?')[0]}{_why(body)}")
    return body


class _Bounded(socket.socket):
    """Takes no more than `most` bytes, and none after `end` (of the clock that cannot be set): who answers may be
    anyone who has taken the program over."""

    def __init__(self, end: float, most: int) -> None:
        super().__init__(socket.AF_UNIX)
        self.end, self.left, self.largest = end, most, most

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        self.settimeout(seconds)
        count = super().recv_into(buffer, nbytes, flags)
        self.left -= count
        if self.left < 0:
            raise OSError(f"answered with more than {self.largest // MiB} MiB")
        return count


def _whole(answer: http.client.HTTPResponse) -> bytes:
    """In pieces: a length that is only claimed takes no memory. Raises IncompleteRead."""
    pieces = list(iter(lambda: answer.read(PIECE), b""))
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return b"".join(pieces)


def _why(body: bytes) -> str:
    try:
        return f": {quoting.quote(json.loads(body)['message'])}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
