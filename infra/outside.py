"""How a host looks from here: the public names, asked at its address as any client would ask them."""

import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import SplitResult, urlsplit

from infra.limits import time_limit

PATIENCE = 10.0
LONGEST = 10.0  # seconds that one answer may take
AT_ONCE = 8
HTTP2 = "h2"  # its name in TLS


def complaint(
    address: str, roots: Sequence[str], urls: Sequence[str], patience: float = PATIENCE, resting: Sequence[str] = ()
) -> str | None:
    """None when every URL answers 200 at the address, with a certificate that is trusted here or by `roots` (PEM); one
    of `resting` may answer 503, as the proxy does for a service that does not run.

    Else, after `patience` seconds, which ones do not, and why.
    """
    asking = partial(_ask, address, _context(roots, []), _context(roots, [HTTP2, "http/1.1"]))
    end = time.monotonic() + patience
    while True:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            complaints = list(pool.map(asking, urls))
        pairs = list(zip(urls, complaints, strict=True))
        rests = {url for url, answer in pairs if url in resting and answer.startswith("answered 503")}
        wrong = [f"{url} {answer}" for url, answer in pairs if answer != "200" and url not in rests]
        if not wrong:
            return None
        if time.monotonic() > end:
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            return f"{wrong[0]} at {address}{more}"
        time.sleep(0.5)


def _context(roots: Sequence[str], protocols: list[str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for root in roots:
        context.load_verify_locations(cadata=root)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def _ask(address: str, context: ssl.SSLContext, newer: ssl.SSLContext, url: str) -> str:
    """ "200", or what happened instead. Where a server speaks HTTP/2 too it is asked by it as well, as browsers do: a
    header that is not allowed there ends that answer alone."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
        if parts.scheme != "https" or not parts.hostname or not _is_plain(url):
            return "is not the address of a public name"
        answer = _answer(address, port, context, parts)
        return _answer(address, port, newer, parts) if answer == "200" else answer
    except ValueError as error:
        # A port that is none, a bracket too few
        return f"is no address: {error}"


def _answer(address: str, port: int, context: ssl.SSLContext, parts: SplitResult) -> str:
    from infra.http2 import status_over_http2

    name, target = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    over = ""
    try:
        with (
            socket.create_connection((address, port), 5) as plain,
            # Each part of an answer can come in time, and the whole never end
            time_limit(LONGEST, partial(plain.shutdown, socket.SHUT_RDWR)) as late,
            context.wrap_socket(plain, server_hostname=name) as secure,
            time_limit(LONGEST, partial(secure.shutdown, socket.SHUT_RDWR)),
        ):
            is_newer = secure.selected_alpn_protocol() == HTTP2
            over = " over HTTP/2" if is_newer else ""
            status = status_over_http2(secure, name, target) if is_newer else _status(secure, name, target)
            if late.is_set():
                return f"did not answer within {LONGEST:.0f} s{over}"
            return "200" if status == 200 else f"answered {status}{over}"
    except (OSError, http.client.HTTPException) as error:
        return f"did not answer{over}: {error}"


def _status(secure: ssl.SSLSocket, name: str, target: str) -> int:
    connection = http.client.HTTPConnection(name)
    connection.sock = secure
    connection.request("GET", target)
    return connection.getresponse().status


def _is_plain(url: str) -> bool:
    """No space and no line break, which would end the request's first line; a path of other letters is encoded."""
    return url.isascii() and url.isprintable() and " " not in url
