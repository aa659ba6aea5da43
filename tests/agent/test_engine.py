"""Docker's answers over its socket; here another socket says them."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from agent import engine


@pytest.fixture
def says(tmp_path, monkeypatch) -> Iterator:
    """A socket that gives one answer, and what it was asked."""
    path, asked = str(tmp_path / "docker.sock"), []
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    monkeypatch.setattr(engine, "SOCKET", path)

    def answer(raw: bytes) -> list[bytes]:
        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.extend(connection.recv(65536).splitlines())
                connection.sendall(raw)

        threading.Thread(target=serve, daemon=True).start()
        return asked

    yield answer
    server.close()


def test_the_body_of_an_answer(says):
    asked = says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n")
    assert engine.ask("GET", "/networks", 5) == b"[]"
    assert asked[0] == b"GET /networks HTTP/1.1" and b"Host: localhost" in asked


def test_request_to_another_socket_has_no_host_header(says):
    """As Caddy's administration wants it there."""
    asked = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert engine.ask("GET", "/config/", 5, engine.SOCKET) == b"{}"
    assert asked[0] == b"GET /config/ HTTP/1.1" and b"Host: " in asked


def no(body: bytes) -> bytes:
    return b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


UNHEALTHY = {
    "a no with a reason": (
        no(b'{"message":"No such container: x"}'), engine.Declined, "404 to /containers/x/json: No such container: x"
    ),
    "a no without one": (no(b"{}"), engine.Declined, "404 to /containers/x/json$"),
    "a no in no JSON": (no(b"<html>"), engine.Declined, "404 to /containers/x/json$"),
    "cut off": (b"", OSError, "Remote end closed connection without response"),
    "half an answer": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", OSError, "IncompleteRead"),
    "no HTTP": (b"hello\r\n\r\n", OSError, "hello"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "kind", "said"), UNHEALTHY.values(), ids=UNHEALTHY)
def test_refusal_is_an_answer_and_a_partial_answer_is_silence(says, raw, kind, said):
    says(raw)
    with pytest.raises(kind, match=said):
        engine.ask("GET", "/containers/x/json?size=1", 5)


def test_missing_socket_counts_as_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SOCKET", str(tmp_path / "none"))
    with pytest.raises(OSError, match="/none: No such file"):
        engine.ask("GET", "/networks", 5)


def test_a_docker_that_hangs_is_silence(says):
    with pytest.raises(OSError, match="timed out"):
        engine.ask("GET", "/networks", 0.2)


ENDLESS = {
    "a body": b"HTTP/1.1 200 OK\r\n\r\n%s" % (b"x" * 65536),
    "a length that is only claimed": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (10**18, b"x" * 65536),
    "a piece that is only claimed": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s" % (10**17, b"x" * 65536),
    "answers before the answer": b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
}  # fmt: skip


@pytest.mark.parametrize("place", [True, False], ids=["of another program", "of Docker"])
@pytest.mark.parametrize("raw", ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_an_end_is_silence(says, raw, place, monkeypatch):
    """What listens there may be anyone who has taken a proxy over: neither memory nor time is theirs."""
    monkeypatch.setattr(engine, "MiB", 1024)
    monkeypatch.setattr(engine, "LARGEST", 48 * 1024)
    monkeypatch.setattr(engine, "LARGEST_OF_OTHERS", 16 * 1024)
    says(raw)
    with pytest.raises(OSError, match="answered with more than 16 MiB" if place else "answered with more than 48 MiB"):
        engine.ask("GET", "/config/", 5, engine.SOCKET if place else "")


def test_answer_sent_byte_by_byte_times_out(says, monkeypatch):
    """Each byte would be in time for itself."""
    clock = iter(range(1000))
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    received = socket.socket.recv_into
    monkeypatch.setattr(socket.socket, "recv_into", lambda self, buffer, *_: received(self, memoryview(buffer)[:1]))
    says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%s" % (b"x" * 100))
    with pytest.raises(OSError, match="timed out"):
        engine.ask("GET", "/config/", 60, engine.SOCKET)
    assert next(clock) <= 70


def test_a_deeply_nested_refusal_has_no_reason(says):
    says(no(b"[" * 200_000))
    with pytest.raises(engine.Declined, match=r"404 to /networks$"):
        engine.ask("GET", "/networks", 5)
