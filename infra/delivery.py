"""A job on a host, followed to its end from here: started, watched, looked at from outside, and confirmed.

The job runs on without us. A lost connection is made again; without one the host rolls back.
"""

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.documents.jobs import Spec
from infra.answers import checked_job_event
from infra.errors import InfraError
from infra.foreign import clean
from infra.remote import Command, events
from infra.ssh import ConnectionLost, Target, connect

RETURN = 120.0  # seconds that a lost host has to come back
SIGNS = 1500  # signs of life without an event: hours, at one in some seconds
SURE = 3  # times that a host must say that it knows nothing of a job: it may be about to begin
# The same, where it has the whole release: it installs the agent first, and waits up to 30 s for another installation
SURE_AFTER_UPLOAD = 45

STARTING = ("receive", "rollback", "restart")
Say = Callable[[str], None]
OutsideLook = Callable[[Sequence[str]], str | None]  # what is wrong with these URLs from outside


def who() -> str:
    """Whose job this is, for the host's history."""
    name = os.environ.get("GITHUB_ACTOR") or os.environ.get("GITLAB_USER_LOGIN") or _account()
    return f"{name}@{socket.gethostname()}"


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container an account often has a number and no name
        return f"uid {os.getuid()}"


def spec(kind: str, release: str, target: Target, base: str | None, confirm: float) -> Spec:
    """What the agent is to do. `confirm` is how many seconds it waits for our word."""
    return {
        "id": uuid.uuid4().hex[:12], "kind": kind, "release": release, "host": target.host, "who": who(),
        "base": base, "confirm": confirm,
    }  # fmt: skip


@dataclass(frozen=True)
class Delivery:
    """A release on its way to a host: the `request` of components/release.py, the release that the host is to serve
    until then (`base`, None for any), and the services that may change (`only`), where not all may."""

    request: dict[str, Any]
    base: str | None
    only: Sequence[str] = ()


def send(target: Target, request: dict[str, Any], base: str | None, outside: OutsideLook, say: Say) -> dict[str, Any]:
    """Brings a release to a host; how that ended. Raises InfraError when the host cannot be talked to."""
    return sending(target, Delivery(request, base), outside, say).run()


def sending(target: Target, delivery: Delivery, outside: OutsideLook, say: Say) -> "Job":
    """The job that brings a release to a host."""
    request = delivery.request
    asked = spec("apply", request["release"], target, delivery.base, request["confirm"])
    if delivery.only:
        asked["only"] = [*delivery.only]
    payload = {key: request[key] for key in ("archive", "secrets")} | {"spec": asked}
    return Job(target, asked["id"], Command("receive", payload, request["receive"]), outside, say)


def following(target: Target, id: str, outside: OutsideLook, say: Say) -> "Job":
    """A job that another run started."""
    return Job(target, id, Command("follow", {"id": id, "seen": 0}), outside, say)


def go_back(target: Target, release: str | None, confirm: float, outside: OutsideLook, say: Say) -> dict[str, Any]:
    """Has a host go back to a release that it keeps (the one before, when none is named)."""
    asked = spec("rollback", release or "", target, None, confirm)
    command = Command("rollback", {"release": release, "spec": asked})
    return Job(target, asked["id"], command, outside, say).run()


def restart(target: Target, services: Sequence[str], confirm: float, outside: OutsideLook, say: Say) -> dict[str, Any]:
    """Has a host restart services of the release that serves there."""
    asked: Spec = {**spec("restart", "", target, None, confirm), "only": [*services]}
    return Job(target, asked["id"], Command("restart", {"spec": asked}), outside, say).run()


@dataclass
class Job:
    """A job followed to its end: `command` starts it, or takes it up. `seen` counts the events that were received,
    `is_sent` is set once the host may have begun, `has_started` once it has said so."""

    target: Target
    id: str
    command: Command
    outside: OutsideLook
    say: Say
    on_sending: Callable[[str], None] = lambda id: None
    is_sent: bool = False
    has_started: bool = False
    seen: int = 0
    _lost_at: float = 0.0
    _gone: int = 0
    _is_uploaded: bool = False
    _reason: str = ""
    _signs: int = 0

    def run(self) -> dict[str, Any]:
        """How it ended. Raises InfraError when the host cannot be talked to at all."""
        while True:
            try:
                if (result := self._follow_connection()) is not None:
                    return result
            except InfraError as error:
                # Before anything was sent that is the end. Else the host may be on its way back; and what was started
                # goes on, whatever became of who reported it: it is asked
                is_lost = isinstance(error, ConnectionLost)
                if not (self.is_sent or self.has_started):
                    raise
                self._reason = "" if is_lost else str(error)
                # What has ended installs nothing any more
                self._is_uploaded &= is_lost
                if not self._lost_at:
                    self.say(f"{error}; the job continues there; reconnecting" if is_lost else str(error))
            if self._gone >= (SURE_AFTER_UPLOAD if self._is_uploaded else SURE) and not self.seen:
                return _never_began(self.target, self._reason)
            self._lost_at = self._lost_at or time.monotonic()
            if time.monotonic() - self._lost_at > RETURN:
                return _unknown_result(self.target, self.id)
            self.command = Command("follow", {"id": self.id, "seen": self.seen})
            time.sleep(1)

    def _follow_connection(self) -> dict[str, Any] | None:
        """The result, when it comes over this connection; None when the host knows nothing of the job (yet)."""
        for received in self._conversation():
            event = checked_job_event(clean(received), str(self.target))
            # Over all connections: a new one is no news
            self._signs = 0 if is_shown(event) else self._signs + 1
            if self._signs > SIGNS:
                return _silent(self.target, self.id)
            self._gone = self._gone + 1 if event.get("gone") else 0
            if self._gone:
                return None
            self.has_started |= "started" in event
            self.seen, self._lost_at = self.seen + is_shown(event), 0.0
            if "say" in event:
                self.say(event["say"])
            if "result" in event:
                return event["result"]
        return None

    def _conversation(self) -> Iterator[dict[str, Any]]:
        """The events over one connection; where the agent waits for our word it gets it."""
        with connect(self.target) as transport:
            look_at, seen = None, self.seen
            starts = self.command.name in STARTING
            for event in events(
                transport, self.target, replace(self.command, has_end=False), on_start=self._sending,
                on_sent=self._mark_uploaded if starts else lambda: None,
            ):  # fmt: skip
                seen += is_shown(event)
                look_at = event.get("look_at", look_at)
                yield event
            if look_at is not None:
                self.say("checking from outside")
                reason = self.outside(look_at)
                answer = {"id": self.id, "seen": seen, "said": {"well": reason is None, "reason": reason}}
                yield from events(transport, self.target, Command("answer", answer, has_end=False))

    def _mark_uploaded(self) -> None:
        self._is_uploaded = True

    def _sending(self) -> None:
        if not self.is_sent:
            self.on_sending(self.id)
        self.is_sent = True


def is_shown(event: dict[str, Any]) -> bool:
    """Is it one of the job's own events, which are counted; not a sign of life, nor one that is repeated."""
    return bool(event) and not {"started", "again"} & set(event)


def _never_began(target: Target, reason: str) -> dict[str, Any]:
    reason = reason or "the connection was lost before the job began; run again"
    line = f"refused on {target.host}, nothing touched: {reason}"
    return {"outcome": "refused", "code": 3, "line": line}


def _silent(target: Target, id: str) -> dict[str, Any]:
    line = (
        f"unknown on {target.host}: the host responds, but no longer reports job {id}; see infra status and infra "
        "releases"
    )
    return {"outcome": "unknown", "code": 6, "line": line}


def _unknown_result(target: Target, id: str) -> dict[str, Any]:
    line = (
        f"unknown on {target.host}: the host did not answer again within {RETURN:.0f} s, so how job {id} ended is not "
        "known. An unconfirmed release rolls back; see infra status and infra releases"
    )
    return {"outcome": "unknown", "code": 6, "line": line}
