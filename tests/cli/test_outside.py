"""The look from outside, at a real TLS server on loopback."""

import contextlib
import http.server
import socket
import ssl
import threading

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from infra import outside
from infra.outside import complaint
from lab.authority import issue, make_root
from tests.tls_server import served


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 502)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """Port and root of a site `api.test` that answers 200 on /health and 502 elsewhere."""
    with served(tmp_path, "api.test", Handler) as port:
        yield port, (tmp_path / "root.crt").read_text()


def looked(site, name: str = "api.test", paths: tuple[str, ...] = ("/health",), trusted: bool = True) -> str | None:
    port, root = site
    urls = [f"https://{name}:{port}{path}" for path in paths]
    return complaint("127.0.0.1", [root] if trusted else [], urls, patience=0)


def test_well_by_name_at_the_address_with_a_trusted_certificate(site):
    assert looked(site) is None
    assert complaint("127.0.0.1", [], []) is None


WRONG = {
    "status": ({"paths": ("/health", "/other")}, "/other answered 502 at 127.0.0.1"),
    "another name's certificate": ({"name": "www.test"}, "Hostname mismatch"),
    "an authority that is not trusted": ({"trusted": False}, "unable to get local issuer certificate"),
    "several": ({"paths": ("/a", "/b", "/c")}, "/a answered 502 at 127.0.0.1, and 2 more"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_failure_from_outside_is_reported(site, change, said):
    assert said in (looked(site, **change) or "")


def test_no_server_there():
    assert "did not answer" in (complaint("127.0.0.1", [], ["https://api.test:9/health"], patience=0) or "")


@pytest.mark.parametrize(
    "part", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 8], ids=["goes on", "never ends"]
)
def test_slow_answer_ends_at_its_deadline(tmp_path, monkeypatch, part):
    monkeypatch.setattr(outside, "LONGEST", 1.0)
    make_root(tmp_path / "root")
    issue(tmp_path / "root", tmp_path / "site", ["api.test"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.crt", tmp_path / "site.key")
    listener, enough = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as client:
            while not enough.wait(0.05):
                client.sendall(part)

    threading.Thread(target=serve, daemon=True).start()
    try:
        said = looked((listener.getsockname()[1], (tmp_path / "root.crt").read_text()))
    finally:
        enough.set()
        listener.close()
    assert said and "did not answer" in said


class Newer:
    """A server of HTTP/2 and 1.1, whose answers over HTTP/2 have these headers, and end in this way."""

    def __init__(self, folder, headers=(), end: str = "", protocols=("h2", "http/1.1")) -> None:
        self.headers, self.end = list(headers), end
        self.asked: list[str] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "site.crt", folder / "site.key")
        self.context.set_alpn_protocols(list(protocols))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), self.context.wrap_socket(client, server_side=True) as secure:
            protocol = secure.selected_alpn_protocol()
            self.asked.append(protocol or "none")
            if protocol != "h2":
                secure.recv(65536)
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return
            # It sends any headers, right or wrong
            config = H2Configuration(
                client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False
            )
            connection = H2Connection(config)
            connection.initiate_connection()
            while True:
                for event in connection.receive_data(secure.recv(65536)):
                    if isinstance(event, RequestReceived):
                        self.reply(connection, event.stream_id)
                secure.sendall(connection.data_to_send())

    def reply(self, connection, stream: int) -> None:
        if self.end == "reset":
            connection.reset_stream(stream, 2)
        elif self.end == "away":
            connection.close_connection(11)
        else:
            connection.send_headers(stream, self.headers, end_stream=True)


OVER_HTTP2 = {
    "the same answer": ({"headers": [(":status", "200")]}, None),
    "another status": ({"headers": [(":status", "502")]}, "/health answered 502 over HTTP/2 at 127.0.0.1"),
    "a header of HTTP/1.1": (
        {"headers": [(":status", "200"), ("connection", "keep-alive")]},
        "/health did not answer over HTTP/2: Connection-specific header field present: b'connection'.",
    ),
    "capital letters": ({"headers": [(":status", "200"), ("X-Token", "a")]}, "did not answer over HTTP/2: Received uppercase header name b'X-Token'."),
    "a reset": ({"end": "reset"}, "/health did not answer over HTTP/2: the server ended it ("),
    "going away": ({"end": "away"}, "/health did not answer over HTTP/2: the server ended it ("),
    "HTTP/1.1 alone": ({"protocols": ["http/1.1"], "headers": [(":status", "500")]}, None),
}  # fmt: skip


@pytest.mark.parametrize(("server", "said"), OVER_HTTP2.values(), ids=OVER_HTTP2)
def test_http2_server_is_also_asked_over_http2(tmp_path, server, said):
    make_root(tmp_path / "root")
    issue(tmp_path / "root", tmp_path / "site", ["api.test"])
    newer = Newer(tmp_path, **server)
    found = looked((newer.port, (tmp_path / "root.crt").read_text()))
    assert (found is None) if said is None else (found and said in found), found
    assert newer.asked == ["none", server.get("protocols", ["h2"])[0]]
