"""What no account or service of a host can block: the agent's lock, a health check, a repair."""

import contextlib
import fcntl
import os
import socket
import stat
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent import lock, processes, web
from agent.monitor import repairs
from agent.monitor.conditions import ConditionResult
from agent.monitor.history import Repair
from agent.outcome import Refused
from agent.world import TIMED_OUT, World

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another account can only be tried by root")


# Locks


def test_lock_file_is_made_private_to_root(tmp_path):
    path = tmp_path / "run/lock"
    path.parent.mkdir()
    path.touch(0o644)
    with lock.lock("apply", print, path=str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@needs_root
def test_lock_cannot_be_held_by_another_account(tmp_path):
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    path = f"{tmp_path}/run/lock"
    with lock.lock("apply", print, path=path):
        pass
    script = f"import fcntl; fcntl.flock(open({path!r}), fcntl.LOCK_EX)"
    ran = subprocess.run(
        ["/usr/bin/python3", "-c", script], user=65534, group=65534, extra_groups=[], capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert ran.returncode != 0 and "PermissionError" in ran.stderr


def test_lock_holder_without_a_description_is_still_named(tmp_path):
    path = f"{tmp_path}/lock"
    with open(path, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert lock.holder(path) == lock.UNKNOWN != ""
        with (
            pytest.raises(Refused, match="another job is running on this host: an unnamed process"),
            lock.lock("apply", lambda line: None, path=path, patience=0),
        ):
            pass


# Health


@pytest.fixture
def asked():
    """A server that answers at once, or byte by byte; its port, and the requests that it got."""
    lines, server = [], socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    def answer(client):
        lines.append(client.recv(4096).decode().splitlines()[0])
        if "slow" not in lines[-1]:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        try:
            client.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
            while True:
                client.sendall(b"a")
                time.sleep(0.05)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1], lines
    server.close()


def test_a_health_path_keeps_its_query(asked):
    port, lines = asked
    assert World().status_of(f"http://127.0.0.1:{port}/health?ready=1&deep=yes") == 200
    assert lines == ["GET /health?ready=1&deep=yes HTTP/1.1"]


def test_an_answer_that_comes_byte_by_byte_has_an_end(asked, monkeypatch):
    monkeypatch.setattr(web, "WHOLE", 0.5)
    port, _ = asked
    assert World().status_of(f"http://127.0.0.1:{port}/slow") == 0


def test_a_clock_that_was_ahead_blocks_no_repair():
    now, wanted = 1.8e9, ConditionResult("unit-down", "x.service", 1, True, "", "start")
    ahead = Repair(now + 10 * 365 * 86400, "unit-down", "x.service", "start", True, "")
    assert repairs.why_not(wanted, [ahead], now) == ""


def test_output_of_a_command_is_bounded_in_memory(monkeypatch):
    """A service's own account may write a journal of any size; its end is what is asked for."""
    monkeypatch.setattr(processes, "MOST", 100_000)
    ran = World().run("sh", "-c", "yes | head -c 5000000; echo the end")
    assert ran.code == 0 and len(ran.output) == 100_000 and ran.output.endswith("the end\n")


def test_input_and_output_of_a_command_do_not_block_each_other():
    """Each would wait for the other, with a pipe that is full both ways."""
    text = "x" * 5_000_000
    assert World().run("cat", stdin=text).output == text
    assert World().run("true", stdin=text).code == 0


def test_command_with_endless_output_times_out():
    ran = World().run("yes", timeout=0.5)
    assert ran.code == TIMED_OUT and ran.output.endswith("no end after 0 s")


def test_endless_http_answer_is_a_failure(monkeypatch):
    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x" * 65536)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setattr(web, "MOST", 1_000_000)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert World().fetch(f"http://127.0.0.1:{server.server_port}/", {}) == (0, b"")
    finally:
        server.shutdown()
        server.server_close()
