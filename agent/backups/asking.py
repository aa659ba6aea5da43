"""What people and timers ask of backups."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Union

from agent import jobs, quoting
from agent.backups import drills, making, restoring
from agent.documents.backups import (
    BackupAnswer,
    BackupPayload,
    DrillAnswer,
    DrillPayload,
    ListAnswer,
    RestoreAnswer,
    RestorePayload,
    VerifyAnswer,
    VerifyPayload,
)
from agent.documents.requests import NoPayload
from agent.outcome import Failed, Mask, Refused
from agent.world import World

EVERY = 300.0  # seconds
Say = Callable[[str], None]


def _list(world: World, _: NoPayload, __: Say) -> ListAnswer:
    return {"services": making.list_backups(world)}


def _now(world: World, payload: BackupPayload, say: Say) -> BackupAnswer:
    return making.back_up(world, payload["service"], say)


def _verify(world: World, payload: VerifyPayload, say: Say) -> VerifyAnswer:
    return {"line": making.verify(world, payload["everything"], say)}


def _restore(world: World, payload: RestorePayload, say: Say) -> RestoreAnswer:
    service, snapshot = payload["service"], payload["snapshot"]
    if payload["to"] is not None:
        return restoring.restore_into(world, service, snapshot, payload["to"], say)
    return restoring.restore_in_place(world, service, snapshot, say)


def _drill(world: World, payload: DrillPayload, say: Say) -> DrillAnswer:
    return drills.drill(world, payload["service"], payload["snapshot"], say)


Answer = Union[ListAnswer, BackupAnswer, VerifyAnswer, RestoreAnswer, DrillAnswer]
# Each takes the payload of its name
ANSWERS: dict[str, Callable[[World, Any, Say], Answer]] = {
    "list": _list, "now": _now, "verify": _verify, "restore": _restore, "drill": _drill,
}  # fmt: skip


def handle(world: World, what: str, payload: Any, say: Say) -> Answer:
    """`payload` has the service, the beginning of a backup's id and a directory, where `what` wants them. Raises
    Refused."""
    with _explaining(world, say):
        return ANSWERS[what](world, payload, say)


@contextmanager
def _explaining(world: World, say: Say) -> Generator[None]:
    """Whatever ends the body is a refusal, and quotes no secret; it says now and then that it is running."""
    mask = Mask(jobs.secret_values(world, None))
    with quoting.hiding(mask.all_of), _signs(say):
        try:
            yield
        except Failed as failure:
            raise Refused(str(failure)) from None
        except OSError as error:
            raise Refused(quoting.error(error)) from None


@contextmanager
def _signs(say: Say) -> Generator[None]:
    """Says now and then that it is running: who hears signs of life alone gives up after an hour."""
    ending, began = threading.Event(), time.monotonic()

    def beat() -> None:
        while not ending.wait(EVERY):
            say(f"running for {(time.monotonic() - began) / 60:.0f} min")

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ending.set()


def run_scheduled(world: World, service: str, say: Say) -> int:
    """For the timer: 0 once there is a backup."""
    try:
        with _explaining(world, say):
            backup = making.back_up(world, service, say)
    except Refused as refusal:
        say(str(refusal))
        return 1
    say(f"backup {backup['snapshot'][:8]} of {service}: {backup['bytes']} bytes in {backup['seconds']} s")
    if backup["warning"]:
        say(backup["warning"])
    return 0


def run_scheduled_drill(world: World, service: str, say: Say) -> int:
    """For the timer: 0 once the newest backup was good. What it found is remembered, for the alert."""
    try:
        with _explaining(world, say):
            drill = drills.drill(world, service, None, say)
    except Refused as refusal:
        say(str(refusal))
        return 1
    did = "started on it and healthy" if drill["started"] else "read in full"
    say(f"drill of {service}: backup {drill['snapshot'][:8]} is good: {did}, {drill['seconds']} s")
    return 0
