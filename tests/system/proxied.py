"""What passes through a host's proxy, held against a server that shows what it got: the same for Nginx and Caddy."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

from lab.table import PublicClient
from tests.support import WATCHME, catalogue, service
from tests.system.conftest import System
from tests.system.on import until

# Its route is / on both sides: nothing is rewritten on the way
SERVICE = "web"
# Listens in the service's place. /show answers with what it got, /events goes on once /go was asked for
SERVER = r"""
import json, socketserver, sys, threading
go = threading.Event()
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode().rstrip()
        headers = {}
        for text in iter(lambda: self.rfile.readline().decode().rstrip(), ""):
            name, _, value = text.partition(": ")
            headers[name.lower()] = value
        path = line.split(" ")[1] if line else ""
        kind = path.split("?")[0].split("/")[-1]
        if headers.get("upgrade") == "websocket":
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            self.wfile.write(self.request.recv(100).upper())
        elif kind == "broken":
            return
        elif kind == "events":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: first\n\n")
            go.wait(60)
            self.wfile.write(b"data: second\n\n")
        else:
            if kind == "go":
                go.set()
            more = "X-Large: " + "x" * 20000 + "\r\n" if kind == "large" else ""
            more += "X-Accel-Redirect: /elsewhere/show\r\n" if kind == "accel" else ""
            body = json.dumps({"path": path, "headers": headers}).encode()
            head = f"HTTP/1.1 200 OK\r\n{more}Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.wfile.write(head.encode() + body)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def passes_as_it_is(system: System) -> None:
    """Asserts all of it, with the service out of the way; afterwards it serves again."""
    found = service(WATCHME, SERVICE)
    unit = next(s for s in catalogue().systems["watchme"].compose_services if s.name == SERVICE).unit
    with _instead(system, unit, found["port"]):
        _requests(system)
        _answers(system)
        _connections(system)
    until("the service again", lambda: system.ask("GET", "/")[0] == 200)


@contextmanager
def _instead(system: System, unit: str, port: int) -> Iterator[None]:
    """The server in a service's place, once no listener at all has been a reason to come back later."""
    system.on_host("systemctl", "stop", "infra-monitor.timer", unit)
    try:
        status, headers, _ = system.ask("GET", "/")
        assert (status, headers.get("Retry-After")) == (503, "10")
        system.on_host("tee", "/tmp/proxied.py", stdin=SERVER)
        begun = ["systemd-run", "--quiet", "--collect", "--unit=proxied", "python3", "/tmp/proxied.py", str(port)]
        assert system.on_host(*begun).code == 0
        until("the server", lambda: system.ask("GET", "/show")[0] == 200)
        yield
    finally:
        system.on_host("systemctl", "stop", "proxied.service")
        system.on_host("systemctl", "start", unit, "infra-monitor.timer")


def _requests(system: System) -> None:
    for path in ("/a%2Fb/show", "/a//b/show?c=%2F&d", "/%E3%81%82/show", "/a+b%20c/show"):
        assert json.loads(system.ask("GET", path)[2])["path"] == path
    client = _client(system)
    shown = json.loads(client.ask("GET", "/show", None, {"X-Large": "y" * 20000, "Cookie": "z" * 9000})[2])["headers"]
    assert len(shown["x-large"]) == 20000 and len(shown["cookie"]) == 9000
    assert shown["host"] == shown["x-forwarded-host"] == "api.hey-watch.me" and shown["x-forwarded-proto"] == "https"
    assert shown.get("connection", "") in ("", "close") and "upgrade" not in shown
    lies = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Real-IP": "198.51.100.7",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "a",
    }
    honest = json.loads(_client(system).ask("GET", "/show", None, lies)[2])["headers"]
    assert {name: honest[name.lower()] for name in lies} == {name: shown[name.lower()] for name in lies}
    assert honest["x-forwarded-for"] == honest["x-real-ip"]
    assert json.loads(_client(system).ask("GET", "/show", None, {"X_Api_Key": "k"})[2])["headers"]["x_api_key"] == "k"


def _answers(system: System) -> None:
    status, headers, _ = system.ask("GET", "/large")
    assert status == 200 and len(headers["X-Large"]) == 20000
    # A service has no say in which other location answers
    status, _, body = system.ask("GET", "/accel")
    assert status == 200 and json.loads(body)["path"] == "/accel"
    # It took the request and broke off: its own fault, after which no client is asked to come back
    status, headers, _ = system.ask("GET", "/broken")
    assert status == 502 and "Retry-After" not in headers


def _connections(system: System) -> None:
    client = _client(system)
    client.request("GET", "/events")
    events: HTTPResponse = client.getresponse()
    # The second is sent only when the first has arrived here
    assert events.readline() == b"data: first\n"
    assert system.ask("GET", "/go")[0] == 200
    assert b"data: second\n" in events.read()

    client = _client(system)
    client.connect()
    head = "GET /socket HTTP/1.1\r\nHost: api.hey-watch.me\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    client.sock.sendall(
        f"{head}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    got = b""
    end = time.monotonic() + 20
    while b"\r\n\r\n" not in got and time.monotonic() < end:
        got += client.sock.recv(1000)
    assert got.startswith(b"HTTP/1.1 101"), got
    client.sock.sendall(b"hello")
    while b"HELLO" not in got and time.monotonic() < end:
        got += client.sock.recv(1000)
    assert got.endswith(b"HELLO")


def _client(system: System) -> PublicClient:
    return PublicClient("api.hey-watch.me", system.lab.dns, system.lab.path("ca.pem"))
