"""A proxy for this machine's own programs: the lab's names lead to the lab, all other names to where they always do."""

import asyncio
import threading
from collections.abc import Mapping

from lab.cloud.forward import pump

LIMIT = 16384  # bytes of a request's head


class Proxy:
    """Answers CONNECT alone: what passes is TLS between the program and whom it asked for."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def serve(self, address: str, port: int) -> None:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._handle, address, port, limit=LIMIT, reuse_address=True), loop
        ).result(10)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            method, target, *_ = head.split(b"\r\n", 1)[0].decode().split()
            host, _, port = target.rpartition(":")
            if method != "CONNECT":
                raise ValueError(method)
            inner = await asyncio.wait_for(asyncio.open_connection(self.names.get(host, host), int(port)), 10)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(pump(reader, inner[1]), pump(inner[0], writer))
        finally:
            for side in (writer, inner[1]):
                side.close()
