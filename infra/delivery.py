"""A job on a host, followed to its end from here: started, watched, looked at from outside, and confirmed.

The job runs on without us. A lost connection is made again; without one the host rolls back.
"""

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NotRequired, TypedDict

from agent.documents.jobs import Event, HistoryEntry, Result, Spec
from agent.documents.requests import ReceivePayload
from catalogue.shapes import JsonObject
from infra.answers import checked_job_event
from infra.errors import InfraError
from infra.foreign import clean
from infra.remote import Command, events
from infra.ssh import ConnectionLost, Target, connect
from rendering.requests import ReleaseRequest

RETURN = 120.0  # seconds that a lost host has to come back
SIGNS = 1500  # signs of life without an event: hours, at one in some seconds
SURE = 3  # times that a host must say that it knows nothing of a job: it may be about to begin
# The same, where it has the whole release: it installs the agent first, and waits up to 30 s for another installation
SURE_AFTER_UPLOAD = 45

STARTING = ("receive", "rollback", "restart")


class Ending(TypedDict):
    """How a job ended, by what is known here: of one that never began, and of one whose end is not known."""

    outcome: str
    code: int
    line: str
    release: NotRequired[str]


Outcome = Ending | Result | HistoryEntry
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
    """A release on its way to a host: its `request`, the release that the host is to serve
    until then (`base`, None for any), and the services that may change (`only`), where not all may."""

    request: ReleaseRequest
    base: str | None
    only: Sequence[str] = ()


def send(target: Target, request: ReleaseRequest, base: str | None, outside: OutsideLook, say: Say) -> Outcome:
    """Brings a release to a host; how that ended. Raises InfraError when the host cannot be talked to."""
    return sending(target, Delivery(request, base), outside, say).run()


def sending(target: Target, delivery: Delivery, outside: OutsideLook, say: Say) -> "Job":
    """The job that brings a release to a host."""
    request = delivery.request
    job = spec("apply", request["release"], target, delivery.base, request["confirm"])
    if delivery.only:
        job["only"] = [*delivery.only]
    payload: ReceivePayload = {"spec": job, "archive": request["archive"], "secrets": request["secrets"]}
    return Job(target, job["id"], Command("receive", payload, request["receive"]), outside, say)


def following(target: Target, id: str, outside: OutsideLook, say: Say) -> "Job":
    """A job that another run started."""
    return Job(target, id, Command("follow", {"id": id, "seen": 0}), outside, say)


def go_back(target: Target, release: str | None, confirm: float, outside: OutsideLook, say: Say) -> Outcome:
    """Has a host go back to a release that it keeps (the one before, when none is named)."""
    job = spec("rollback", release or "", target, None, confirm)
    command = Command("rollback", {"release": release, "spec": job})
    return Job(target, job["id"], command, outside, say).run()


def restart(target: Target, services: Sequence[str], confirm: float, outside: OutsideLook, say: Say) -> Outcome:
    """Has a host restart services of the release that serves there."""
    job: Spec = {**spec("restart", "", target, None, confirm), "only": [*services]}
    return Job(target, job["id"], Command("restart", {"spec": job}), outside, say).run()


@dataclass
class Progress:
    """What is known of a job, over all connections to its host."""

    is_sent: bool = False
    """The host may have begun."""
    is_uploaded: bool = False
    """It has all that it needs to begin."""
    has_started: bool = False
    """It has said that it began."""
    received: int = 0
    """How many of the job's own events came."""
    signs: int = 0
    """Signs of life since the last event."""
    denials: int = 0
    """How many times in a row the host said that it knows nothing of the job."""
    lost_at: float = 0.0
    """When the connection was lost that has not come back (`time.monotonic()`); 0 while there is one."""
    reason: str = ""
    """What was wrong, where it was not the connection."""

    @property
    def may_run(self) -> bool:
        return self.is_sent or self.has_started

    @property
    def never_began(self) -> bool:
        enough = SURE_AFTER_UPLOAD if self.is_uploaded else SURE
        return self.denials >= enough and not self.received

    @property
    def is_silent(self) -> bool:
        """The host answers, and nothing comes of the job any more."""
        return self.signs > SIGNS

    @property
    def is_lost(self) -> bool:
        """The host did not come back in the time that it has."""
        return bool(self.lost_at) and time.monotonic() - self.lost_at > RETURN

    def add_event(self, event: Event) -> None:
        self.signs = 0 if is_own(event) else self.signs + 1
        self.denials = self.denials + 1 if event.get("gone") else 0
        if not self.denials:
            self.has_started |= "started" in event
            self.received += is_own(event)
            self.lost_at = 0.0

    def add_error(self, error: InfraError) -> None:
        is_of_connection = isinstance(error, ConnectionLost)
        self.reason = "" if is_of_connection else str(error)
        # What has ended installs nothing any more
        self.is_uploaded &= is_of_connection


@dataclass
class Job:
    """A job followed to its end: `command` starts it, or takes it up."""

    target: Target
    id: str
    command: Command
    outside: OutsideLook
    say: Say
    on_sending: Callable[[str], None] = lambda id: None
    progress: Progress = field(default_factory=Progress)

    @property
    def is_sent(self) -> bool:
        return self.progress.is_sent

    def run(self) -> Outcome:
        """How it ended. Raises InfraError when the host cannot be talked to at all."""
        while True:
            try:
                if (outcome := self._follow_connection()) is not None:
                    return outcome
            except InfraError as error:
                # Before anything was sent that is the end. Else the host may be on its way back; and what was started
                # goes on, whatever became of who reported it: it is asked
                if not self.progress.may_run:
                    raise
                self.progress.add_error(error)
                if not self.progress.lost_at:
                    is_lost = isinstance(error, ConnectionLost)
                    self.say(f"{error}; the job continues there; reconnecting" if is_lost else str(error))
            if self.progress.never_began:
                return _never_began(self.target, self.progress.reason)
            self.progress.lost_at = self.progress.lost_at or time.monotonic()
            if self.progress.is_lost:
                return _unknown_result(self.target, self.id)
            self.command = Command("follow", {"id": self.id, "seen": self.progress.received})
            time.sleep(1)

    def _follow_connection(self) -> Outcome | None:
        """The result, when it comes over this connection; None when the host knows nothing of the job (yet)."""
        for raw_event in self._conversation():
            event = checked_job_event(clean(raw_event), str(self.target))
            self.progress.add_event(event)
            if self.progress.is_silent:
                return _silent(self.target, self.id)
            if self.progress.denials:
                return None
            if "say" in event:
                self.say(event["say"])
            if "result" in event:
                return event["result"]
        return None

    def _conversation(self) -> Iterator[JsonObject]:
        """The events over one connection; where the agent waits for our word it gets it."""
        with connect(self.target) as transport:
            look_at: list[str] | None = None
            received = self.progress.received
            starts = self.command.name in STARTING
            for event in events(
                transport, self.target, replace(self.command, has_end=False), on_start=self._mark_sent,
                on_sent=self._mark_uploaded if starts else lambda: None,
            ):  # fmt: skip
                received += is_own(event)
                look_at = event.get("look_at", look_at)
                yield event
            if look_at is not None:
                self.say("checking from outside")
                reason = self.outside(look_at)
                answer = {"id": self.id, "seen": received, "said": {"well": reason is None, "reason": reason}}
                yield from events(transport, self.target, Command("answer", answer, has_end=False))

    def _mark_sent(self) -> None:
        if not self.progress.is_sent:
            self.on_sending(self.id)
        self.progress.is_sent = True

    def _mark_uploaded(self) -> None:
        self.progress.is_uploaded = True


def is_own(event: Mapping[str, object]) -> bool:
    """Is it one of the job's own events, which are counted; not a sign of life, nor one that is repeated."""
    return bool(event) and not {"started", "again"} & set(event)


def _never_began(target: Target, reason: str) -> Outcome:
    reason = reason or "the connection was lost before the job began; run again"
    line = f"refused on {target.host}, nothing touched: {reason}"
    return {"outcome": "refused", "code": 3, "line": line}


def _silent(target: Target, id: str) -> Outcome:
    line = (
        f"unknown on {target.host}: the host responds, but no longer reports job {id}; see infra status and infra "
        "releases"
    )
    return {"outcome": "unknown", "code": 6, "line": line}


def _unknown_result(target: Target, id: str) -> Outcome:
    line = (
        f"unknown on {target.host}: the host did not answer again within {RETURN:.0f} s, so how job {id} ended is not "
        "known. An unconfirmed release rolls back; see infra status and infra releases"
    )
    return {"outcome": "unknown", "code": 6, "line": line}
