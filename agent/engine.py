"""Docker by its own socket: no command of its has to find 40 MB of memory for an answer."""

import http.client
import socket

SOCKET = "/run/docker.sock"


def ask(method: str, path: str, timeout: float) -> bytes:
    """The body of an answer; `timeout` are seconds of silence. Raises FileNotFoundError for what Docker does
    not have, OSError where it says nothing, or no."""
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
            # A socket that is not there is no answer either
            raise OSError(str(error) or type(error).__name__) from None
    if answer.status == 404:
        raise FileNotFoundError(f"Docker has no {path}")
    if answer.status >= 300:
        raise OSError(f"Docker answered {answer.status}")
    return body
