"""Memory pressure: services of low priority make room, in the catalogue's order, before the kernel kills anything.

What is stopped is always a beginning of that order, marked by flags that a reboot removes; the one stopped last comes
back first. The unit of such a service needs its flag to be absent, so that nothing else starts it meanwhile.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from agent import lock
from agent.documents.watches import LowPriorityService
from agent.health import STOPPED
from agent.monitor import history
from agent.monitor.history import Repair
from agent.watching import every
from agent.world import World

CONFIG = "/etc/infra/memory.json"
LOOK = 0.5  # seconds from look to look
PART, LEAST = 32, 160 * 1024**2  # a part of the memory, and bytes: with less than both left, a service makes room
MARGIN = 64 * 1024**2  # bytes beyond that which are to be left when a service has come back and uses all that it may
PATIENCE = 10.0  # seconds that a service has to end by itself
GIVEN_UP = 30.0  # seconds after which another one makes room, whether or not this one has
CALM = 60.0  # seconds with room before a service comes back; twice as many for each time it had to go
LONGEST_CALM = 960.0
HOUR = 3600.0


def floor(size: int) -> int:
    """Bytes that are to be left of a machine's memory."""
    return max(size // PART, LEAST)


def room(service: LowPriorityService, size: int) -> int:
    """Bytes that have to be left for a service to come back."""
    return service["needs"] + floor(size) + MARGIN


@dataclass
class StoppingService:
    """A service that was asked to end."""

    service: LowPriorityService
    since: float
    killed: bool = False


@dataclass
class Watch:
    """The services of a host that make room, first to go first: `service`, `unit`, `container` ("" for a native one)
    and `needs`, the bytes that it may use. `look` is one round."""

    world: World
    services: list[LowPriorityService]
    say: Callable[[str], None]
    going: StoppingService | None = None
    calm_since: float | None = None

    @property
    def stopped_services(self) -> list[LowPriorityService]:
        return [entry for entry in self.services if self.world.exists(flag(entry["service"]))]

    def begin(self) -> None:
        """What an earlier watch did not get to: a flag is written first, and may be all that was done. Flags of others
        are of an earlier release."""
        for entry in self.stopped_services:
            self.world.run("systemctl", "stop", "--no-block", entry["unit"])
        services = {entry["service"] for entry in self.services}
        for name in [name for name in self.world.listing(STOPPED) if name not in services]:
            self.world.remove(flag(name))

    def look(self) -> None:
        if self.going and self._has_gone(self.going):
            self.going = None
        memory = self.world.memory()
        size, available = memory.get("MemTotal", 0), memory.get("MemAvailable")
        if available is None:
            return
        if available < floor(size):
            self.calm_since = None
            self._make_room(available, size)
        else:
            self._bring_back(available, size)

    def _make_room(self, available: int, size: int) -> None:
        if self.going:
            late = self.world.now() - self.going.since > PATIENCE
            if (late or available < floor(size) // 2) and not self.going.killed:
                self._kill(self.going)
            return
        entry = next((entry for entry in self.services if not self.world.exists(flag(entry["service"]))), None)
        if entry is None:
            return
        # The flag first: nothing starts it again meanwhile
        self.world.write(flag(entry["service"]), b"", 0o644, "root", "root")
        # Itself before its unit, whose own commands want memory too
        if entry["container"]:
            self.world.signal_container(entry["container"], "SIGTERM")
        self.world.run("systemctl", "stop", "--no-block", entry["unit"])
        self.going = StoppingService(entry, self.world.now())
        self._record(
            entry, "make room", f"{entry['service']} was stopped: {_share_of_memory(available, size)} were left"
        )

    def _has_gone(self, going: StoppingService) -> bool:
        state = self.world.run("systemctl", "is-active", going.service["unit"]).output.strip()
        return state in ("inactive", "failed") or self.world.now() - going.since > GIVEN_UP

    def _kill(self, going: StoppingService) -> None:
        """Ends it at once: its memory is wanted now."""
        going.killed = True
        if going.service["container"]:
            self.world.signal_container(going.service["container"], "SIGKILL")
        else:
            self.world.run("systemctl", "kill", "-s", "KILL", going.service["unit"])
        self.say(f"{going.service['service']} did not stop in time and was killed")

    def _bring_back(self, available: int, size: int) -> None:
        """The last one that went, once there is room for all that it may use, and has been for a while. Not beside a
        release: that has its own wants."""
        now, stopped = self.world.now(), self.stopped_services
        if not stopped or self.going or available < room(stopped[-1], size) or lock.holder(lock.LOCK):
            self.calm_since = None
            return
        self.calm_since = now if self.calm_since is None else self.calm_since
        if now - self.calm_since < self._calm(stopped[-1]):
            return
        entry, self.calm_since = stopped[-1], None
        self.world.remove(flag(entry["service"]))
        self.world.run("systemctl", "start", "--no-block", entry["unit"])
        self._record(
            entry, "bring back", f"{entry['service']} was started again: {_share_of_memory(available, size)} are left"
        )

    def _calm(self, entry: LowPriorityService) -> float:
        past = [
            e for e in history.memory_repairs(self.world) if e.subject == entry["service"] and e.repair == "make room"
        ]
        times = sum(self.world.wall() - event.at < HOUR for event in past)
        return min(CALM * 2 ** max(0, times - 1), LONGEST_CALM)

    def _record(self, entry: LowPriorityService, what: str, line: str) -> None:
        self.say(line)
        # A full disk holds nothing up
        with contextlib.suppress(OSError):
            history.remember_room(self.world, Repair(self.world.wall(), "memory", entry["service"], what, True, line))


def flag(service: str) -> str:
    return f"{STOPPED}/{service}"


def _share_of_memory(part: int, size: int) -> str:
    return f"{part // 1024**2} of {size // 1024**2} MiB"


def run(world: World, say: Callable[[str], None]) -> None:
    """Watches for as long as the host runs. Its end stops and starts nothing: a new one goes on by the flags."""
    watch = Watch(world, json.loads(world.read(CONFIG) or b"[]"), say)
    watch.begin()
    every(world, LOOK, watch.look)
