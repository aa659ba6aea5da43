"""The agent's own requests, at a real TLS server on loopback."""

import http.server

import pytest

from agent.web import fetch
from lab.authority import make_root
from tests.tls_server import served


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def url(tmp_path):
    with served(tmp_path, "localhost", Handler) as port:
        yield f"https://localhost:{port}/"


def test_what_the_host_trusts_may_change_while_a_watch_runs(url, tmp_path, monkeypatch):
    make_root(tmp_path / "another")
    trusted = tmp_path / "trusted.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert fetch(url, {}) == (0, b"")
    for root, answer in (("another", (0, b"")), ("root", (200, b"ok")), ("root", (200, b"ok")), ("another", (0, b""))):
        written = tmp_path / "written"
        written.write_bytes((tmp_path / f"{root}.crt").read_bytes())
        written.replace(trusted)
        assert fetch(url, {}) == answer
