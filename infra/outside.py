"""How a host looks from here: the public names, asked at its address as any client would ask them."""

import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

from infra.limits import ended_after

PATIENCE = 10.0
LONGEST = 10.0  # seconds that one answer may take
AT_ONCE = 8


def complaint(address: str, roots: Sequence[str], urls: Sequence[str], patience: float = PATIENCE) -> str | None:
    """None when every URL answers 200 at the address, with a certificate that is trusted here or by `roots` (PEM).

    Else, after `patience` seconds, which ones do not, and why.
    """
    context = ssl.create_default_context()
    for root in roots:
        context.load_verify_locations(cadata=root)
    end = time.monotonic() + patience
    while True:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            said = list(pool.map(lambda url: _ask(address, url, context), urls))
        wrong = [f"{url} {answer}" for url, answer in zip(urls, said, strict=True) if answer != "200"]
        if not wrong:
            return None
        if time.monotonic() > end:
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            return f"{wrong[0]} at {address}{more}"
        time.sleep(0.5)


def _ask(address: str, url: str, context: ssl.SSLContext) -> str:
    """ "200", or what happened instead."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
        if parts.scheme != "https" or not parts.hostname or not _is_plain(url):
            return "is not the address of a public name"
        with (
            socket.create_connection((address, port), 5) as plain,
            # Each part of an answer can come in time, and the whole never end
            ended_after(LONGEST, partial(plain.shutdown, socket.SHUT_RDWR)) as late,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
            ended_after(LONGEST, partial(secure.shutdown, socket.SHUT_RDWR)),
        ):
            connection = http.client.HTTPConnection(parts.hostname or "")
            connection.sock = secure
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            status = connection.getresponse().status
            if late.is_set():
                return f"did not answer within {LONGEST:.0f} s"
            return "200" if status == 200 else f"answered {status}"
    except (OSError, http.client.HTTPException) as error:
        return f"did not answer: {error}"
    except ValueError as error:
        # A port that is none, a bracket too few
        return f"is no address: {error}"


def _is_plain(url: str) -> bool:
    """No space and no line break, which would end the request's first line; a path of other letters is encoded."""
    return url.isascii() and url.isprintable() and " " not in url
