"""One request over HTTP/2. Apart from infra/outside.py: the protocol's library is read only where it is spoken."""

import ssl

from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamReset
from h2.exceptions import ProtocolError


def status_over_http2(secure: ssl.SSLSocket, name: str, target: str) -> int:
    """The status of one answer. Raises OSError, for an answer that no client takes too."""
    try:
        return _ask(secure, name, target)
    except ProtocolError as error:
        raise OSError(str(error)) from None


def _ask(secure: ssl.SSLSocket, name: str, target: str) -> int:
    connection = H2Connection()
    connection.initiate_connection()
    request = {":method": "GET", ":scheme": "https", ":authority": name, ":path": target}
    connection.send_headers(1, list(request.items()), end_stream=True)
    while True:
        secure.sendall(connection.data_to_send())
        for event in connection.receive_data(secure.recv(65536) or _raise_closed()):
            if isinstance(event, ResponseReceived):
                status = dict(event.headers).get(b":status", b"")
                return int(status) if status.isdigit() else 0
            if isinstance(event, (StreamReset, ConnectionTerminated)):
                raise OSError(f"the server ended it ({event.error_code!s})")


def _raise_closed() -> bytes:
    raise OSError("the connection was closed")
