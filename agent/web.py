"""Requests of the agent's own, over HTTP and TLS."""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from agent import quoting

WHOLE = 10.0  # seconds that one answer may take in all
WORDS = 16384  # bytes of what an error says
MOST = 64 << 20  # bytes of one
ONE_FILE, SLOWEST = 600.0, 64 << 10  # seconds that a download may take, and bytes in each second more


def fetch(
    url: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None, timeout: float = 20
) -> tuple[int, bytes]:
    """See World.fetch."""
    opener = _opener()
    try:
        request = urllib.request.Request(url, body, method=method)
        for name, value in headers.items():
            # A login is for whom it was given to, wherever that sends us on to
            add = request.add_unredirected_header if name.lower() == "authorization" else request.add_header
            add(name, value)
        end = time.monotonic() + timeout
        with opener.open(request, timeout=timeout) as response:
            parts: list[bytes] = []
            size = 0
            while data := response.read1(65536):
                parts.append(data)
                size += len(data)
                # One that goes on and on, in whatever pieces, fills no memory and holds up nothing
                if size > MOST or time.monotonic() > end + WHOLE:
                    return 0, b""
            return response.status, b"".join(parts)
    except urllib.error.HTTPError as error:
        # It says why: of a refusal by AWS or another API that is what people need
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            return error.code, error.read1(WORDS)
        return error.code, b""
    except (OSError, http.client.HTTPException, ValueError):
        # What is no address has no answer, and may be a secret
        return 0, b""


def download(url: str, authorization: str, path: str, size: int, stalled: float = 60) -> str:
    """See World.download."""
    opener = _opener()
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b") as file:
        have = file.seek(0, os.SEEK_END)
        if have == size:
            return ""
        have = have if have < size else 0
        end = time.monotonic() + ONE_FILE + size / SLOWEST
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        # Where it sends us on to has its own right in its address, and refuses a second one
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        try:
            with opener.open(request, timeout=stalled) as response:
                file.seek(have if response.status == 206 else 0)
                file.truncate()
                while (have := file.tell()) < size and (data := response.read1(min(1 << 20, size - have))):
                    file.write(data)
                    if time.monotonic() > end:
                        return f"too slow: {have} of {size} bytes came"
        except urllib.error.HTTPError as error:
            return f"its registry answers {error.code}"
        except (http.client.HTTPException, ValueError) as error:
            return f"the connection was lost: {type(error).__name__}"
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            return f"its registry does not answer: {reason}"
    return "" if have == size else f"the connection ended after {have} of {size} bytes"


class _Timed:
    """A connection whose handshake and headers have one time limit, however slowly they come: its own timeout."""

    _over: threading.Timer

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._create_connection = self._connect
        self._late = threading.Event()

    def _connect(self, address: Any, timeout: float, *more: Any) -> socket.socket:
        connection = socket.create_connection(address, timeout, *more)
        self._over = threading.Timer(timeout, _end, [connection.dup(), self._late])
        self._over.daemon = True
        self._over.start()
        return connection

    def getresponse(self) -> http.client.HTTPResponse:
        try:
            response = cast("http.client.HTTPResponse", super().getresponse())  # type: ignore[misc]
            self._over.cancel()
            if self._late.is_set():
                raise TimeoutError("timed out")
            return response
        except http.client.HTTPException:
            if self._late.is_set():
                raise TimeoutError("timed out") from None
            raise
        finally:
            self._over.cancel()


class _Plain(_Timed, http.client.HTTPConnection):
    pass


class _Secure(_Timed, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, req)  # type: ignore[arg-type]


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Secure, req, context=_trust())  # type: ignore[arg-type]


def _opener(secure: bool = True) -> urllib.request.OpenerDirector:
    """Without a proxy of the environment's."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _Http, *([_Https] if secure else []))


def _trust() -> ssl.SSLContext:
    """The certificates that the host trusts; the newest, however long this process runs."""
    with contextlib.suppress(OSError, TypeError):
        return _trust_of(os.stat(str(ssl.get_default_verify_paths().cafile)).st_mtime_ns)
    return ssl.create_default_context()


@functools.lru_cache(maxsize=1)
def _trust_of(written_at: int) -> ssl.SSLContext:
    """Reading more than a hundred certificates costs a watch more than all the rest of a request."""
    return ssl.create_default_context()


def date_at(url: str, timeout: float = 2) -> str:
    """See World.date_at."""
    try:
        with _opener(secure=False).open(url, timeout=timeout) as response:
            return response.headers.get("Date", "")
    except urllib.error.HTTPError as error:
        return error.headers.get("Date", "")
    except (OSError, http.client.HTTPException):
        return ""


def _target(parts: SplitResult) -> str:
    """What is asked for: the path, and the query where there is one."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _end(connection: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def status_of(url: str, name: str | None = None) -> int:
    """See World.status_of."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), 5) as plain, plain.dup() as wire:
            connection = http.client.HTTPConnection(name or parts.netloc)
            # However slowly it answers, byte by byte, its part of a handshake included
            late = threading.Event()
            over = threading.Timer(WHOLE, _end, [wire, late])
            over.start()
            try:
                connection.sock = _wrap_tls(plain, name) if parts.scheme == "https" else plain
                with connection.sock:
                    connection.request("GET", _target(parts))
                    status = connection.getresponse().status
            finally:
                over.cancel()
            return 0 if late.is_set() else status
    except (OSError, http.client.HTTPException):
        return 0


def certificate_ends(name: str) -> tuple[float, str]:
    """See World.certificate_ends."""
    try:
        with (
            socket.create_connection(("127.0.0.1", 443), 5) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=name) as secure,
        ):
            return float(ssl.cert_time_to_seconds(str((secure.getpeercert() or {})["notAfter"]))), ""
    except ssl.SSLCertVerificationError as error:
        return 0.0, error.verify_message
    except OSError as error:
        return 0.0, quoting.quote(str(error))


def _wrap_tls(plain: socket.socket, name: str | None) -> socket.socket:
    # The certificate is judged from outside; here only the way through the proxy is: no list of authorities is loaded
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=name)
