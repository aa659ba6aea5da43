"""What a job on a host is asked, what it says while it runs, how it ended, and what the host's history keeps of it."""

from __future__ import annotations

from typing import TypedDict

Secrets = dict[str, dict[str, str]]  # service → name → value


class _AnySpec(TypedDict):
    id: str
    kind: str
    who: str
    host: str
    release: str
    base: str | None
    confirm: float


class Spec(_AnySpec, total=False):
    """What a job is to do, as agent/job.py says. `confirm` is how many seconds it waits for the look from outside,
    `agent` the directory of the agent that does it."""

    only: list[str]
    agent: str


class _AnyPayload(TypedDict):
    secrets: Secrets


class Payload(_AnyPayload, total=False):
    """What a job needs that is secret; a release's `archive` is in base64. `instead` are two names of an image: the
    second one takes the first one's place in the release that serves."""

    archive: str
    instead: list[str]


class _AnyResult(TypedDict):
    outcome: str
    code: int
    release: str
    line: str


class Result(_AnyResult, total=False):
    """How a job ended, as agent/outcome.py says; of one that never began there is no more than the line."""

    changed: list[str]
    restarted: list[str]
    services: dict[str, int]
    edited: dict[str, str]
    warnings: list[str]


class _AnyEntry(Result):
    job: str
    kind: str
    who: str


class HistoryEntry(_AnyEntry, total=False):
    """A job in the host's history; `began` is in UTC."""

    base: str | None
    began: str
    seconds: float


class Event(TypedDict, total=False):
    """A line about a job, for who follows it. It waits `awaiting` seconds for an answer about the URLs `look_at`; the
    last one has its `result`, or is `gone`. Without any of these it is a sign of life."""

    say: str
    started: str
    awaiting: float
    look_at: list[str]
    again: bool
    result: Result | HistoryEntry
    gone: bool


class _AnyVerdict(TypedDict):
    well: bool


class Verdict(_AnyVerdict, total=False):
    """What a look from outside found."""

    reason: str
