"""Docker, and other programs of root's, by their own sockets: no command has to find 40 MB of memory for an answer."""

import http.client
import json
import socket

from agent import quoting

SOCKET = "/run/docker.sock"


class Declined(Exception):
    """Docker answered, and does not have what was asked, or will not do it."""


def ask(method: str, path: str, timeout: float, place: str = "") -> bytes:
    """The body of an answer of Docker's, or of what else listens at `place`; `timeout` are seconds of silence. Raises
    Declined, and OSError where it says nothing."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(timeout)
    with connection.sock:
        try:
            connection.sock.connect(place or SOCKET)
            # At a socket of its own Caddy takes requests without a host alone
            connection.request(method, path, headers={"Host": ""} if place else {})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise OSError(f"{place or SOCKET}: {getattr(error, 'strerror', '') or error}") from None
    if answer.status >= 300:
        raise Declined(f"{place or 'Docker'} answered {answer.status} to {path.partition('?')[0]}{_why(body)}")
    return body


def _why(body: bytes) -> str:
    try:
        return f": {quoting.quoted(json.loads(body)['message'])}"
    except (ValueError, KeyError, TypeError):
        return ""
