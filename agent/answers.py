"""What a host answered before a switch at the addresses of the services that the switch brings: it must answer so again
after a rollback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from agent import checks, health
from agent.documents.manifest import AimedProbe
from agent.documents.transaction import Address, EarlierAnswer
from agent.world import World

AddressType = TypeVar("AddressType", bound=Address)
PATIENCE = 60.0  # seconds in which all are asked before a switch


def collect(world: World, probes: list[AimedProbe]) -> list[EarlierAnswer]:
    """Each address that answers, with its status; a `public` one is asked of the host's own proxy. What answers 500 or
    more is broken already, and is not waited for."""
    addresses: list[Address] = [
        {"url": url, "public": kind == "public"}
        for kind in ("url", "public")
        for probe in probes
        if (url := probe[kind])
    ]
    statuses = _ask_all(world, addresses, world.now() + PATIENCE)
    return [{**address, "status": status} for address, status in statuses if 0 < status < 500]


def complaints(world: World, answers: list[EarlierAnswer], deadline: float) -> list[str]:
    """The addresses that do not answer as they did within `deadline` seconds, and how they answer."""
    end = world.now() + deadline
    latest: dict[str, int] = {}
    while True:
        latest |= {answer["url"]: status for answer, status in _ask_all(world, answers, end)}
        answers = [answer for answer in answers if latest.get(answer["url"]) != answer["status"]]
        if not answers or world.now() >= end:
            return [
                f"{answer['url']} answered {answer['status']} before, and now {latest.get(answer['url']) or 'nothing'}"
                for answer in answers
            ]
        world.sleep(health.INTERVAL)


def _ask_all(world: World, addresses: Sequence[AddressType], end: float) -> list[tuple[AddressType, int]]:
    """Each with its status now; without those whose turn does not come until `end`."""
    return health.ask_until(world, addresses, lambda address: _status(world, address["url"], address["public"]), end)


def _status(world: World, url: str, is_public: bool) -> int:
    return health.public_status(world, url) if is_public else checks.status(world, url)
