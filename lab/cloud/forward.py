"""Public addresses out of 127.0.0.0/8, forwarded to the hosts' own."""

import asyncio
import threading

Place = tuple[str, int]


class Forwarder:
    """An asyncio loop in a thread of its own; `set_routes` opens and closes listeners to match."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.routes: dict[Place, Place] = {}
        self.servers: dict[Place, asyncio.Server] = {}
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def set_routes(self, wanted: dict[Place, Place]) -> None:
        asyncio.run_coroutine_threadsafe(self._set(wanted), self.loop).result(30)

    async def _set(self, wanted: dict[Place, Place]) -> None:
        for place in set(self.servers) - set(wanted):
            self.servers.pop(place).close()
        self.routes = wanted
        for place in set(wanted) - set(self.servers):
            handler = self._handler(place)
            self.servers[place] = await asyncio.start_server(handler, *place, reuse_address=True)

    def _handler(self, place: Place):
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                inner = await asyncio.wait_for(asyncio.open_connection(*self.routes[place]), 5)
            except (OSError, TimeoutError, KeyError):
                writer.transport.abort()
                return
            try:
                await asyncio.gather(_pump(reader, inner[1]), _pump(inner[0], writer))
            finally:
                # A socket that only the garbage collector closes stays known to the loop under a number of the next one
                for side in (writer, inner[1]):
                    side.close()

        return handle


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, ConnectionError):
        writer.transport.abort()
