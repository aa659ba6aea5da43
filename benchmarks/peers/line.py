"""A line of a given round trip between an operator and a host's SSH server, which counts what passes it.

It delays what was sent, and limits no bandwidth. TCP's own first round trip is waited for before a connection takes
anything. With `loss` a chunk of one segment is held up for the time after which TCP would send it again, and all that
follows it waits behind it: not every kernel has netem (tc), and TCP recovers from most losses sooner than that.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

SEGMENT = 1448  # bytes of data in a segment of TCP, with an MTU of 1500
LEAST_RTO = 0.2  # seconds: Linux's least time until it sends again (TCP_RTO_MIN)
PATIENCE = 30.0  # seconds for the host to take a connection


@dataclass
class Count:
    """What passed. A round trip is begun by what the operator's side sends first, or after the host's side sent."""

    connections: int = 0
    round_trips: int = 0
    up: int = 0
    """Bytes to the host."""
    down: int = 0
    """Bytes from it."""

    def note(self, is_up: bool, size: int, was_up: bool | None) -> bool:
        """Counts a chunk of a connection whose chunk before it went `was_up`; which way this one goes."""
        if is_up:
            self.up += size
            self.round_trips += was_up is not True
        else:
            self.down += size
        return is_up


@dataclass
class Line:
    """Listens on 127.0.0.1 at `port` (0: any free one) and leads to `target`; `round_trip` in seconds, `loss` as a
    share of segments. A context: at its end all connections are cut, those that a client keeps open included."""

    target: tuple[str, int]
    round_trip: float = 0.0
    loss: float = 0.0
    port: int = 0
    seed: int = 1
    count: Count = field(default_factory=Count)

    def __enter__(self) -> "Line":
        self._loop = asyncio.new_event_loop()
        self._chance = random.Random(self.seed)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _close(self) -> None:
        self._server.close()
        # A task that ends may end others only in its last step
        while others := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count.connections += 1
        was_up: list[bool | None] = [None]
        try:
            await asyncio.sleep(self.round_trip)
            host_reader, host_writer = await asyncio.wait_for(asyncio.open_connection(*self.target), PATIENCE)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        try:
            # The streams' own callback would report a task that ends as cancelled
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(reader, host_writer, True, was_up))
                    both.create_task(self._carry(host_reader, writer, False, was_up))
        except* OSError:
            pass
        finally:
            for side in (writer, host_writer):
                side.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_up: bool, was_up: list[bool | None]
    ) -> None:
        """One direction: everything arrives half a round trip after it was sent, in its order."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await queue.get()
                if (wait := due - self._loop.time()) > 0:
                    await asyncio.sleep(wait)
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            while True:
                data = await reader.read(65536)
                if data:
                    was_up[0] = self.count.note(is_up, len(data), was_up[0])
                queue.put_nowait((self._loop.time() + self.round_trip / 2 + self._recovery_time(len(data)), data))
                if not data:
                    break
            await delivering
        finally:
            delivering.cancel()

    def _recovery_time(self, size: int) -> float:
        """Seconds that lost segments of a chunk cost; several losses of one chunk are repaired together."""
        if not self.loss:
            return 0.0
        segments = max(1, -(-size // SEGMENT))
        return self.round_trip + LEAST_RTO if self._chance.random() < 1 - (1 - self.loss) ** segments else 0.0
