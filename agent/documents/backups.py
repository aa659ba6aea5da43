"""Backups: what a host is asked and answers, what it remembers of each service's, and what a restore notes down."""

from __future__ import annotations

from typing import TypedDict


class SetAside(TypedDict):
    """A path whose data is at `aside` while other data is in its place."""

    path: str
    aside: str


class RestoreRecord(TypedDict):
    """A restore under way, or left: `running` are the units that ran before it, `stops` those that it stops."""

    service: str
    snapshot: str
    running: list[str]
    stops: list[str]
    moved: list[SetAside]


class BackupSize(TypedDict):
    snapshot: str
    bytes: int


class GoodBackup(BackupSize):
    """`at` is in seconds since 1970, as in the others."""

    at: float
    seconds: float


class FailedBackup(TypedDict):
    at: float
    why: str


class _AnyDrill(TypedDict):
    at: float
    snapshot: str


class DrillRecord(_AnyDrill, total=False):
    """The last drill; one that failed has only `why`."""

    bytes: int
    started: bool
    seconds: float
    why: str


class BackupResults(TypedDict, total=False):
    """The last backup that is `good`, the last try that `failed` since, the last `drill`."""

    good: GoodBackup | None
    failed: FailedBackup | None
    drill: DrillRecord | None


class BackupRecord(BackupResults, total=False):
    """What is remembered of a service's backups; `since` is when it first had one to make."""

    since: float


class BackupPayload(TypedDict):
    service: str


class VerifyPayload(TypedDict):
    """Whether `everything` is read, and not a tenth."""

    everything: bool


class DrillPayload(BackupPayload):
    """`snapshot` is the beginning of a backup's id; None stands for the newest."""

    snapshot: str | None


class RestorePayload(DrillPayload):
    """`to` is the directory that gets it; None stands for its own place."""

    to: str | None


class KeptBackup(TypedDict):
    """`at` is in UTC."""

    id: str
    at: str


class _AnyServiceBackups(TypedDict):
    service: str
    backups: list[KeptBackup]


class ServiceBackups(_AnyServiceBackups, BackupResults):
    """Of one service: those that there are, and what is remembered."""


class ListAnswer(TypedDict):
    services: list[ServiceBackups]


class BackupAnswer(GoodBackup):
    """`warning` is what could not be done beside it, "" where all was."""

    service: str
    warning: str


class VerifyAnswer(TypedDict):
    line: str


class _AnyRestoreAnswer(TypedDict):
    service: str
    snapshot: str
    at: str


class RestoreAnswer(_AnyRestoreAnswer, total=False):
    """Of one `into` a directory, whether that has a `dump`; of one in place where the earlier data is, and the units
    that were `started`."""

    into: str
    dump: bool
    aside: list[str]
    started: list[str]


class DrillAnswer(TypedDict):
    """A drill of the backup `of` a time; `started` says whether the service was started on it."""

    service: str
    of: str
    at: float
    snapshot: str
    bytes: int
    started: bool
    seconds: float
