"""How a host looks from here: the public names, asked at its address as any client would ask them."""

import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

PATIENCE = 10.0
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
    parts = urlsplit(url)
    try:
        with (
            socket.create_connection((address, parts.port or 443), 5) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            connection = http.client.HTTPConnection(parts.hostname or "")
            connection.sock = secure
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            status = connection.getresponse().status
            return "200" if status == 200 else f"answered {status}"
    except (OSError, http.client.HTTPException) as error:
        return f"did not answer: {error}"
