"""What a host answered before a switch at the addresses of the services that the switch brings: it must answer so again
after a rollback."""

from __future__ import annotations

from typing import Any

from agent import checks, health
from agent.world import World


def taken(world: World, probes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each address that answers, with its status; a `public` one is asked of the host's own proxy. What answers 500 or
    more is broken already, and is not waited for."""
    asked = [(probe[kind], kind == "public") for kind in ("url", "public") for probe in probes if probe[kind]]
    answers = [{"url": url, "public": public, "status": _status(world, url, public)} for url, public in asked]
    return [answer for answer in answers if 0 < answer["status"] < 500]


def lost(world: World, answers: list[dict[str, Any]], deadline: float) -> list[str]:
    """The addresses that do not answer as they did within `deadline` seconds, and how they answer."""
    end = world.now() + deadline
    while True:
        now = [(answer, _status(world, answer["url"], answer["public"])) for answer in answers]
        answers = [answer for answer, status in now if status != answer["status"]]
        if not answers or world.now() >= end:
            return [
                f"{answer['url']} answered {answer['status']} before, and now {status or 'nothing'}"
                for answer, status in now
                if status != answer["status"]
            ]
        world.sleep(health.INTERVAL)


def _status(world: World, url: str, is_public: bool) -> int:
    return health.public_status(world, url) if is_public else checks.status(world, url)
