"""The agent's own requests, at a real TLS server on loopback."""

import http.server
import re
from typing import ClassVar

import pytest

from agent import web
from agent.web import download, fetch
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


def test_changed_trusted_certificates_take_effect_in_a_running_watch(url, tmp_path, monkeypatch):
    make_root(tmp_path / "another")
    trusted = tmp_path / "trusted.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert fetch(url, {}) == (0, b"")
    for root, answer in (("another", (0, b"")), ("root", (200, b"ok")), ("root", (200, b"ok")), ("another", (0, b""))):
        written = tmp_path / "written"
        written.write_bytes((tmp_path / f"{root}.crt").read_bytes())
        written.replace(trusted)
        assert fetch(url, {}) == answer


CONTENT = bytes(range(256)) * 4096


class Registry(http.server.BaseHTTPRequestHandler):
    """Sends a client on to a store that refuses a login, as ECR does; `breaks` are after how many bytes an answer
    ends."""

    breaks: ClassVar[list[int]] = []
    asked: ClassVar[list[tuple[str, str | None, str | None]]] = []
    ranges = True

    def do_GET(self):
        authorization, wanted = self.headers.get("Authorization"), self.headers.get("Range")
        self.asked.append((self.path, authorization, wanted))
        if self.path == "/blob":
            self.send_response(307 if authorization == "Basic right" else 401)
            self.send_header("Location", "/stored")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if authorization:
            self.send_response(400)
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        self.send_response(206 if wanted and self.ranges else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.breaks.pop(0)] if self.breaks else CONTENT[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def blob(tmp_path, monkeypatch):
    Registry.breaks, Registry.asked, Registry.ranges = [], [], True
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.crt"))
    with served(tmp_path, "localhost", Registry) as port:
        yield f"https://localhost:{port}/blob"


def test_login_of_a_download_goes_only_to_the_registry(blob, tmp_path):
    path = tmp_path / "file"
    assert download(blob, "Basic right", str(path), len(CONTENT)) == ""
    assert path.read_bytes() == CONTENT and path.stat().st_mode & 0o777 == 0o600
    assert Registry.asked == [("/blob", "Basic right", None), ("/stored", None, None)]
    assert download(blob, "Basic right", str(path), len(CONTENT)) == "" and len(Registry.asked) == 2


@pytest.mark.parametrize("ranges", [True, False])
def test_interrupted_download_resumes(blob, tmp_path, ranges):
    path, Registry.breaks, Registry.ranges = tmp_path / "file", [100_000, 200_000], ranges
    said = [download(blob, "Basic right", str(path), len(CONTENT)) for _ in range(3)]
    assert path.read_bytes() == CONTENT and said[2] == ""
    assert all("connection" in line for line in said[:2]), said
    starts = [wanted for name, _, wanted in Registry.asked if name == "/stored"]
    assert starts[:2] == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    ("login", "place", "expected"),
    [("Basic wrong", "", "its registry answers 401"), ("Basic right", "/nothing", "its registry answers 400")],
)
def test_refused_download_gives_its_reason(blob, tmp_path, login, place, expected):
    assert download(blob + place, login, str(tmp_path / "file"), 5) == expected


def test_download_from_an_unreachable_host_is_reported(tmp_path):
    assert "its registry does not answer: " in download("https://localhost:1/", "", str(tmp_path / "file"), 5)


def test_download_is_limited_to_the_announced_size(blob, tmp_path):
    assert download(blob, "Basic right", str(tmp_path / "file"), 1000) == ""
    assert (tmp_path / "file").read_bytes() == CONTENT[:1000]


def test_download_does_not_write_through_a_link(blob, tmp_path):
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        download(blob, "Basic right", str(tmp_path / "file"), 5)
    assert not (tmp_path / "elsewhere").exists()


def test_a_download_that_is_too_slow_ends(blob, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "ONE_FILE", -1000.0)
    said = download(blob, "Basic right", str(tmp_path / "file"), len(CONTENT))
    assert re.fullmatch(f"too slow: [0-9]+ of {len(CONTENT)} bytes came", said), said


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        said = b"<Error><Message>not authorized</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


def test_refusal_of_an_api_has_its_reason(tmp_path, monkeypatch):
    with served(tmp_path, "localhost", Refusing) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.crt"))
        found = fetch(f"https://localhost:{port}/", {}, "POST", b"x")
    assert found == (403, b"<Error><Message>not authorized</Message></Error>")
