"""Docker by its own socket: no command of its has to find 40 MB of memory for an answer."""

import http.client
import json
import socket

from agent import quoting

SOCKET = "/run/docker.sock"


class Declined(Exception):
    """Docker answered, and does not have what was asked, or will not do it."""


def ask(method: str, path: str, timeout: float) -> bytes:
    """The body of an answer; `timeout` are seconds of silence. Raises Declined, and OSError where Docker says
    nothing."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(timeout)
    with connection.sock:
        try:
            connection.sock.connect(SOCKET)
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise OSError(f"{SOCKET}: {getattr(error, 'strerror', '') or error}") from None
    if answer.status >= 300:
        raise Declined(f"Docker answered {answer.status} to {path.partition('?')[0]}{_why(body)}")
    return body


def _why(body: bytes) -> str:
    try:
        return f": {quoting.quoted(json.loads(body)['message'])}"
    except (ValueError, KeyError, TypeError):
        return ""
