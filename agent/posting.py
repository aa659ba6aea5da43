"""Requests over a connection that stays open: what is posted, and the status that acknowledges it."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
from typing import NamedTuple

from agent.streams import Stream

WHOLE = 60.0  # seconds that a request and its answer may take in all, in whatever pieces they come
WORDS = 16384  # bytes of an answer that are looked at


class Answer(NamedTuple):
    """`is_last`: the connection takes no further request."""

    status: int
    body: bytes
    is_last: bool


def post(stream: Stream, path: str, headers: dict[str, str], body: bytes) -> Answer:
    """Follows no redirect: what leads to a page that says 200 has stored nothing. Raises OSError where there is no
    answer."""
    late = threading.Event()
    # Of a connection over TLS there is no other way to end what another thread waits for
    with socket.socket(fileno=os.dup(stream.connection.fileno())) as wire:
        over = threading.Timer(WHOLE, _end, [wire, late])
        over.daemon = True
        over.start()
        try:
            answer = _ask(stream, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and not late.is_set():
                raise
            answer = type(error).__name__
        finally:
            over.cancel()
    # Headers that were cut off would do as an answer
    if late.is_set():
        raise TimeoutError(f"no whole answer within {WHOLE:.0f} s")
    if isinstance(answer, str):
        raise ConnectionError(f"no answer of HTTP ({answer})")
    return answer


def _ask(stream: Stream, path: str, headers: dict[str, str], body: bytes) -> Answer:
    connection = http.client.HTTPConnection(headers["Host"])
    connection.auto_open = 0
    connection.sock = stream.connection
    failure: ConnectionError | None = None
    try:
        connection.request("POST", path, body, headers)
    except ConnectionError as error:
        # A server that reads no further, since there is too much, says so first
        failure = error
    with connection.getresponse() as response:
        if failure and 200 <= response.status < 300:
            raise failure
        text = response.read(WORDS)
        # What is left of a longer answer would be taken for the next one
        return Answer(response.status, text, response.will_close or not response.isclosed())


def _end(wire: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
