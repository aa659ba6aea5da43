"""ECR's data plane: TLS, logins that expire and repositories that must exist, in front of a region's plain registry.
Also the front of the registry that stands for all others."""

import http.client
import json
import re
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab import ports, registry
from lab.settings import ACCOUNT, ELSEWHERE, REGISTRIES, Lab

CHUNK = 1 << 16
NAME = re.compile(r"^/v2/(?P<name>.+?)/(?:blobs|manifests|tags|referrers)/")
# What belongs to one connection and not to the request on it
HOP_BY_HOP = {"connection", "transfer-encoding", "authorization", "host", "keep-alive"}
Exists = Callable[[str, str], bool]


Refusal = tuple[int, str, str]  # status, ECR's code, message


def refusal(lab: Lab, region: str, path: str, authorization: str | None, exists: Exists) -> Refusal | None:
    """ECR's answer to a request that it refuses; None for a request that it allows. `exists(region, repository)`."""
    if authorization is None:
        return 401, "UNAUTHORIZED", "Not Authorized"
    reason = registry.login_complaint(lab, _password(authorization))
    if reason:
        return 403, "DENIED", reason
    repository = NAME.match(path)
    if repository and not exists(region, repository["name"]):
        text = f"The repository with name '{repository['name']}' does not exist in the registry with id '{ACCOUNT}'"
        return 404, "NAME_UNKNOWN", text
    return None


def elsewhere(method: str) -> Refusal | None:
    """As `refusal`, for the registry that stands for the public ones: any client may read, and none may write."""
    return None if method in ("GET", "HEAD") else (401, "UNAUTHORIZED", "authentication required")


def _password(authorization: str) -> str:
    try:
        return b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[2]
    except ValueError:
        return ""


def serve(lab: Lab, exists: Exists) -> None:
    """One server for each registry, at the address that its name leads to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(lab.path("tls", "registry.crt"), lab.path("tls", "registry.key"))
    for region in REGISTRIES:
        place = (lab.registry_address(region), ports.HTTPS + lab.shift)
        server = _Server(place, type("RegionHandler", (Handler,), {"front": Front(lab, region, exists)}))
        server.context = context
        threading.Thread(target=server.serve_forever, daemon=True).start()


class _Server(ThreadingHTTPServer):
    context: ssl.SSLContext
    daemon_threads = True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake happens in the connection's own thread: a slow client delays no other."""
        try:
            request.settimeout(60)
            request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that closed its connection early is not reported."""


@dataclass(frozen=True)
class Front:
    """The registry of a region, and which repositories it has."""

    lab: Lab
    region: str
    exists: Exists


class Handler(BaseHTTPRequestHandler):
    front: Front
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        lab, region = self.front.lab, self.front.region
        body = self._body()
        if region == ELSEWHERE:
            complaint = elsewhere(self.command)
        else:
            complaint = refusal(lab, region, self.path, self.headers.get("Authorization"), self.front.exists)
        if complaint:
            self._refuse(*complaint)
            return
        # Docker sends a header Accept for each kind that it knows
        names = {name.title() for name in self.headers if name.lower() not in HOP_BY_HOP}
        headers = {name: ", ".join(self.headers.get_all(name, [])) for name in names}
        headers |= {"Authorization": registry.backend_login(lab), "Host": self.headers.get("Host", "")}
        behind = http.client.HTTPConnection(*registry.backend(lab, region), timeout=300)
        try:
            chunked = body is not None and "Content-Length" not in headers
            behind.request(self.command, self.path, body, headers, encode_chunked=chunked)
            self._answer(behind.getresponse())
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            if not self.wfile.closed:
                self._refuse(502, "UNAVAILABLE", "the lab's registry does not answer")
        finally:
            behind.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = forward

    def _body(self) -> Iterable[bytes] | None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        return self._pieces(length) if length else None

    def _pieces(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self.rfile.read(min(CHUNK, length))
            if not piece:
                return
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield from self._pieces(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        length = answer.getheader("Content-Length")
        for key, value in answer.getheaders():
            if key.lower() not in HOP_BY_HOP:
                self.send_header(key, value)
        if length is None and self.command != "HEAD" and answer.status not in (204, 304):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        while piece := answer.read(CHUNK):
            self.wfile.write(piece)

    def _refuse(self, status: int, code: str, message: str) -> None:
        text = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if status == 401:
            self.send_header("WWW-Authenticate", f'Basic realm="https://{self.headers.get("Host", "ecr")}/"')
        # The unread rest of a body would be taken for the next request
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass
