"""Are the services well: each on its own port, and through the proxy under its public name."""

from typing import Any
from urllib.parse import urlsplit

from agent.outcome import Failed
from agent.world import World

DEADLINE = 180.0
INTERVAL = 0.5


def wait(world: World, probes: list[dict[str, Any]], deadline: float = DEADLINE) -> dict[str, int]:
    """Service → status, once all answer 200. Raises Failed naming every service that does not within the deadline."""
    end = world.now() + deadline
    waiting = {probe["service"]: probe for probe in probes}
    seen: dict[str, int] = {}
    while True:
        for name, probe in list(waiting.items()):
            seen[name] = status(world, probe)
            if seen[name] == 200:
                del waiting[name]
        if not waiting:
            return seen
        if world.now() >= end:
            raise Failed("; ".join(_complaint(world, probe, seen[name], deadline) for name, probe in waiting.items()))
        world.sleep(INTERVAL)


def status(world: World, probe: dict[str, Any]) -> int:
    """200 when both ways answer 200, else the first other status (0: no answer)."""
    own = world.status_of(probe["url"])
    if own != 200 or not probe["public"]:
        return own
    public = urlsplit(probe["public"])
    return world.status_of(f"https://127.0.0.1{public.path}", name=public.hostname)


def _complaint(world: World, probe: dict[str, Any], code: int, deadline: float) -> str:
    log = world.run("journalctl", "-u", probe["unit"], "-n", "5", "-o", "cat", "--no-pager").last_lines(5)
    said = f"answered {code}" if code else "did not answer"
    return f"{probe['service']} {said} at {probe['url']} within {deadline:.0f} s; its log ends: {log}"
