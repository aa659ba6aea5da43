"""Answers that have no end, or come drop by drop: each request of the agent's has its time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from agent import web

ENDLESS = {
    "provisional answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers drop by drop": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "headers without an end": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a status drop by drop": (b"", b"H"),
}


@contextmanager
def saying(begin: bytes, again: bytes) -> Iterator[str]:
    """A server's address; it says the second part again and again, until no one listens."""
    server, ended = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.sendall(begin)
                while not ended.wait(0.05):
                    connection.sendall(again)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        ended.set()
        server.close()
        thread.join(10)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("begin", "again"), ENDLESS.values(), ids=ENDLESS)
def test_none_holds_up_a_request(begin, again, tmp_path):
    with saying(begin, again) as url:
        assert web.fetch(url, {}, timeout=0.5) == (0, b"")
    with saying(begin, again) as url:
        assert web.date_at(url, timeout=0.5) == ""
    with saying(begin, again) as url:
        assert "does not answer" in web.download(url, "Bearer x", str(tmp_path / "file"), 10, stalled=0.5)


def test_an_answer_in_time_is_whole():
    answer = b"HTTP/1.1 200 OK\r\nDate: Mon, 30 Nov 2026 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"
    with saying(answer, b"") as url:
        assert web.fetch(url, {}, timeout=5) == (200, b"ok")
    with saying(answer, b"") as url:
        assert web.date_at(url) == "Mon, 30 Nov 2026 00:00:00 GMT"
