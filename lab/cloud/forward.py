"""Public addresses out of 127.0.0.0/8, forwarded to the hosts' own."""

import asyncio
import threading

Place = tuple[str, int]


class Forwarder:
    """An asyncio loop in a thread of its own; `set_routes` opens and closes listeners to match. `delays` are the
    seconds that each byte takes to an inner address, and again back."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.routes: dict[Place, Place] = {}
        self.servers: dict[Place, asyncio.Server] = {}
        self.delays: dict[str, float] = {}
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def set_routes(self, routes: dict[Place, Place]) -> None:
        asyncio.run_coroutine_threadsafe(self._set(routes), self.loop).result(30)

    async def _set(self, routes: dict[Place, Place]) -> None:
        for place in set(self.servers) - set(routes):
            self.servers.pop(place).close()
        self.routes = routes
        for place in set(routes) - set(self.servers):
            handler = self._handler(place)
            self.servers[place] = await asyncio.start_server(handler, *place, reuse_address=True)

    def _handler(self, place: Place):
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                target = self.routes[place]
                delay = self.delays.get(target[0], 0.0)
                await asyncio.sleep(2 * delay)
                inner = await asyncio.wait_for(asyncio.open_connection(*target), 5)
            except (OSError, TimeoutError, KeyError):
                writer.transport.abort()
                return
            try:
                await asyncio.gather(pump(reader, inner[1], delay), pump(inner[0], writer, delay))
            finally:
                # A socket that only the garbage collector closes stays known to the loop under a number of the next one
                for side in (writer, inner[1]):
                    side.close()

        return handle


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float = 0.0) -> None:
    """Copies a stream until its end; each byte arrives `delay` seconds later."""
    try:
        while data := await reader.read(65536):
            if delay:
                await asyncio.sleep(delay)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, ConnectionError):
        writer.transport.abort()
