"""What people and timers ask of backups."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from agent import jobs, quoting
from agent.backups import drills, making, restoring
from agent.outcome import Failed, Mask, Refused
from agent.world import World

EVERY = 300.0  # seconds
Say = Callable[[str], None]


def _list(world: World, _: dict[str, Any], __: Say) -> dict[str, Any]:
    return {"services": making.list_backups(world)}


def _now(world: World, payload: dict[str, Any], say: Say) -> dict[str, Any]:
    return making.back_up(world, payload["service"], say)


def _verify(world: World, payload: dict[str, Any], say: Say) -> dict[str, Any]:
    return {"line": making.verify(world, payload["everything"], say)}


def _restore(world: World, payload: dict[str, Any], say: Say) -> dict[str, Any]:
    service, snapshot = payload["service"], payload["snapshot"]
    if payload["to"] is not None:
        return restoring.into(world, service, snapshot, payload["to"], say)
    return restoring.in_place(world, service, snapshot, say)


def _drill(world: World, payload: dict[str, Any], say: Say) -> dict[str, Any]:
    return drills.drill(world, payload["service"], payload["snapshot"], say)


ANSWERS: dict[str, Callable[[World, dict[str, Any], Say], dict[str, Any]]] = {
    "list": _list, "now": _now, "verify": _verify, "restore": _restore, "drill": _drill,
}  # fmt: skip


def handle(world: World, what: str, payload: dict[str, Any], say: Say) -> dict[str, Any]:
    """`payload` has the service, the beginning of a backup's id and a directory, where `what` wants them. Raises
    Refused."""
    mask = Mask(jobs.secret_values(world, None))
    with quoting.hiding(mask.all_of), _signs(say):
        try:
            return ANSWERS[what](world, payload, say)
        except Failed as failure:
            raise Refused(str(failure)) from None
        except OSError as error:
            raise Refused(quoting.error(error)) from None


@contextmanager
def _signs(say: Say) -> Generator[None]:
    """Says now and then that it is at work: who hears signs of life alone gives up after an hour."""
    done, began = threading.Event(), time.monotonic()

    def beat() -> None:
        while not done.wait(EVERY):
            say(f"running for {(time.monotonic() - began) / 60:.0f} min")

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def run_scheduled(world: World, service: str, say: Say) -> int:
    """For the timer: 0 once there is a backup."""
    try:
        backup = handle(world, "now", {"service": service}, say)
    except Refused as refusal:
        say(str(refusal))
        return 1
    say(f"backup {backup['snapshot'][:8]} of {service}: {backup['bytes']} bytes in {backup['seconds']} s")
    if backup["warning"]:
        say(backup["warning"])
    return 0
