"""A real TLS server on loopback, with an authority of its own."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from lab.authority import issue, make_root


@contextlib.contextmanager
def served(folder: Path, name: str, handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server of this name; `folder` has its authority's certificate, root.crt."""
    make_root(folder / "root")
    issue(folder / "root", folder / "site", [name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.crt", folder / "site.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
