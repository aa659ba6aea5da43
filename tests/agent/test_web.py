"""The agent's own requests, at a real TLS server on loopback."""

import http.server
import ssl
import threading

import pytest

from agent.web import fetch
from lab.authority import issue, make_root


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
    make_root(tmp_path / "root")
    issue(tmp_path / "root", tmp_path / "site", ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.crt", tmp_path / "site.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}/"
    server.shutdown()


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
