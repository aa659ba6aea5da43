"""What the agent takes on standard input for the verbs of agent/main.py; for backups and moves see their modules."""

from __future__ import annotations

from typing import TypedDict

from agent.documents.jobs import Secrets, Spec, Verdict
from agent.documents.manifest import Account


class NoPayload(TypedDict):
    """Of a verb that needs nothing."""


class ReceivePayload(TypedDict):
    """A release on its way to the host: its `archive` is in base64."""

    spec: Spec
    archive: str
    secrets: Secrets


class RestartPayload(TypedDict):
    spec: Spec


class RollbackPayload(RestartPayload):
    """`release` is the beginning of a kept release's id; None stands for the one before the current one."""

    release: str | None


class FollowPayload(TypedDict):
    """`seen` counts the events that were received already."""

    id: str
    seen: int


class AnswerPayload(FollowPayload):
    """`said` is what the look from outside found."""

    said: Verdict


class _AnyLogsPayload(TypedDict):
    service: str
    lines: int
    follow: bool


class LogsPayload(_AnyLogsPayload, total=False):
    """`since` is how many seconds ago the first line was said at the earliest, `grep` a pattern that all have."""

    since: float | None
    grep: str


class MaintenancePayload(TypedDict):
    """`begin` says whether it begins or ends, for `sites`, if any; `seconds` is how long it lasts."""

    sites: list[str]
    begin: bool
    seconds: int
    who: str


class AccessPayload(TypedDict):
    """`how` is exec, shell, forward or host, `service` is "" for the host itself, `words` are the command, `tty` says
    whether it has a terminal; without `port` it is the service's own."""

    how: str
    service: str
    words: list[str]
    tty: bool
    port: int | None
    who: str


class _AnyDiskPayload(TypedDict):
    volume: str
    paths: list[str]
    accounts: list[Account]


class DiskPayload(_AnyDiskPayload, total=False):
    """To restore `paths` from the disk of `volume`, where it has them `inside` at other paths, onto the disk that is
    mounted at `onto`; the `accounts` are made first."""

    inside: dict[str, str]
    onto: str
