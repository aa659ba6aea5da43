"""The look from outside, at a real TLS server on loopback."""

import contextlib
import http.server
import socket
import ssl
import threading

import pytest

from infra import outside
from infra.outside import complaint
from lab.authority import issue, make_root


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
    make_root(tmp_path / "root")
    issue(tmp_path / "root", tmp_path / "site", ["api.test"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.crt", tmp_path / "site.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, (tmp_path / "root.crt").read_text()
    server.shutdown()


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
    "an authority that nobody trusts": ({"trusted": False}, "unable to get local issuer certificate"),
    "several": ({"paths": ("/a", "/b", "/c")}, "/a answered 502 at 127.0.0.1, and 2 more"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(site, change, said):
    assert said in (looked(site, **change) or "")


def test_nobody_there():
    assert "did not answer" in (complaint("127.0.0.1", [], ["https://api.test:9/health"], patience=0) or "")


@pytest.mark.parametrize(
    "part", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 8], ids=["goes on", "never ends"]
)
def test_an_answer_of_which_each_part_comes_in_time_ends_too(tmp_path, monkeypatch, part):
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
