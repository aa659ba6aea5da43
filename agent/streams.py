"""Connections of the agent's own that stay open, over TCP or TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl

PATIENCE = 20.0  # seconds for a connection, and for what is sent over it
LOST_AFTER = 30_000  # milliseconds without an acknowledgement, after which a connection counts as lost


class Stream:
    """A connection to which lines are sent, and from which nothing is expected."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def is_closed(self) -> bool:
        """Has the other side ended it. What it says is passed over."""
        self.connection.setblocking(False)
        try:
            return self.connection.recv(4096) == b""
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(PATIENCE)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()


def connect(host: str, port: int, tls: bool, authorities: str) -> Stream:
    """With `tls` the server shows a certificate for `host` by an authority that this host trusts, or by `authorities`
    (PEM). Raises OSError."""
    plain = socket.create_connection((host, port), PATIENCE)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_AFTER)
    if not tls:
        return Stream(plain)
    try:
        context = ssl.create_default_context()
        if authorities:
            context.load_verify_locations(cadata=authorities)
        return Stream(context.wrap_socket(plain, server_hostname=host))
    except BaseException:
        plain.close()
        raise
