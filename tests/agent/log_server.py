"""A server on loopback that takes posted logs: what it got, and what it answers."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agent import shipping
from tests.agent.fake import FakeWorld

CURSOR = "s=0a;i={:x};b=2b;m=3c;t=4d;x=5e"


@dataclass
class LogServer:
    """Answers with `statuses` in their order and 204 after them, or with what `judge` says of a request's body; `got`
    are the bodies that it took."""

    statuses: list[int] = field(default_factory=list)
    judge: Callable[[bytes], int] | None = None
    says: bytes = b""
    echoes: bool = False  # repeats the headers of a request in its answer
    closes: bool = False  # after each answer
    got: list[Any] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, dict(self.headers)))
                server.connections.add(self.client_address)
                status = server.judge(body) if server.judge else server.statuses.pop(0) if server.statuses else 204
                if 200 <= status < 300:
                    server.got.append(json.loads(body))
                text = str(self.headers).encode() if server.echoes else b"" if status == 204 else server.says
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                if status == 302:
                    self.send_header("Location", "/login")
                if server.closes:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                raise AssertionError("a redirect was followed")

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    @property
    def lines(self) -> list[str]:
        """What Loki got, in the order in which it came."""
        return [value[1] for body in self.got for stream in body["streams"] for value in stream["values"]]


@contextmanager
def served(server: LogServer) -> Iterator[int]:
    """Its port."""
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), server.handler())
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield listener.server_port
    finally:
        listener.shutdown()
        listener.server_close()


def entry(message: Any, number: int = 1, **fields: Any) -> str:
    """An entry of the journal as it is read; `number` is its place there."""
    values = {"__CURSOR": CURSOR.format(number), "__REALTIME_TIMESTAMP": "1795566697500000", "MESSAGE": message}
    return json.dumps({**values, "SYSLOG_IDENTIFIER": "web", **fields})


def configuration(port, form="loki", **values):
    path = "/loki/api/v1/push" if form == "loki" else "/v1/logs"
    base = {"host": "127.0.0.1", "port": port, "tls": False, "ca": "", "name": "watchme.prod"}
    return {**base, "form": form, "path": path, "user": "", **values}


def host_with(config, token=""):
    world = FakeWorld()
    world.files[shipping.CONFIG] = (json.dumps(config).encode(), 0o644, "root", "root")
    if token:
        world.files[shipping.TOKEN_FILE] = (f"TOKEN={token}\n".encode(), 0o600, "root", "root")
    return world


def shipped(lines, config, world=None, token="", sleep=lambda seconds: None):
    """What was said, and the command that the lines came from."""
    world = world or FakeWorld()
    world.files |= host_with(config, token).files
    said, commands = [], []
    world.sleep = sleep

    def stream(*argv, pause=5.0):
        commands.append(" ".join(argv))
        return iter(lines)

    world.stream = stream
    shipping.run(world, said.append)
    return said, commands[0]


def cursor_of(world):
    return json.loads(world.read(shipping.CURSOR))["cursor"]
