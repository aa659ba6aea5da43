"""What the agent answers to the verbs of agent/main.py."""

from __future__ import annotations

from typing import TypedDict

from agent.documents.backups import BackupResults
from agent.documents.jobs import HistoryEntry
from agent.documents.manifest import Manifest


class UnfinishedSwitch(TypedDict):
    """A switch under way, or left."""

    release: str
    who: str
    reason: str


class FiringAlert(TypedDict):
    alert: str
    subject: str
    text: str


class Repair(TypedDict):
    """As agent/monitor/history.py says."""

    at: float
    alert: str
    subject: str
    repair: str
    worked: bool
    said: str


class SiteMaintenance(TypedDict):
    """Times are in seconds since 1970."""

    since: int
    until: int
    who: str


class SpreadState(TypedDict):
    """How many of a spread service are to run, and the hosts on which one is healthy."""

    replicas: int
    hosts: list[str]


class GroupState(TypedDict):
    """What a group's first host knows: the state of each host, the spread services, and why it knows no more
    (`error`)."""

    hosts: dict[str, str]
    services: dict[str, SpreadState]
    error: str


class Status(TypedDict):
    """`certificates` are public name, days that are left, and what is wrong; `units` whether each is active, `services`
    the status that each answers, `away` what rests and where its data is, `builds` what each service's image says,
    `follows` the tag that services follow by themselves, `group` how the group is that the host leads."""

    release: str | None
    kept: list[str]
    last_job: HistoryEntry | None
    brought: HistoryEntry | None
    unfinished: UnfinishedSwitch | None
    holder: str | None
    units: dict[str, bool]
    certificates: list[list[str | int]]
    alerts: list[FiringAlert]
    services: dict[str, int]
    drifted: list[str]
    repairs: list[Repair]
    resting: list[str]
    builds: dict[str, dict[str, str]]
    maintenance: dict[str, SiteMaintenance]
    away: dict[str, str]
    follows: dict[str, str]
    group: GroupState | None


class _AnyFinding(TypedDict):
    path: str
    found: str


class Finding(_AnyFinding, total=False):
    """What is not as the release left it: a path or a unit, and of a file's content the difference."""

    diff: str


class _PartlyCounted(TypedDict, total=False):
    at_least: bool


class Hour(_PartlyCounted):
    """An hour of a host, which began `at`: percent of its memory and of each disk that was in use at most, how many
    `answers` its proxy gave, and how many were `errors` of the server's. None where that was not measured. The answers
    are counted `until` then; with `at_least` the proxy's log did not have all of them any more."""

    at: int
    until: float
    memory: float | None
    disks: dict[str, float]
    answers: int | None
    errors: int | None


class MachineUse(TypedDict):
    """The memory, or a disk by where it is mounted: bytes in all, and bytes that are not in use."""

    subject: str
    size: int
    free: int


class BackupState(BackupResults):
    """What a host remembers of a service's backups."""

    service: str


class Overview(TypedDict):
    """What the dashboard shows beside the status: the last month by hours, memory and disks now, each service's day by
    the cells of the host's page, the latest jobs (the last one first), and backups."""

    at: float
    hours: list[Hour]
    memory: MachineUse | None
    disks: list[MachineUse]
    days: dict[str, list[int]]
    jobs: list[HistoryEntry]
    backups: list[BackupState]


class Drift(TypedDict):
    release: str | None
    drift: list[Finding]
    maintenance: dict[str, SiteMaintenance]


class AccessRecord(TypedDict):
    """Who got to a service, as agent/reaching.py notes it."""

    at: int
    who: str
    how: str
    service: str
    program: str


class _AnyReleases(TypedDict):
    """`services` is release → service → its images, `builds` release → service → what its image's labels say;
    None stands for images that are not known."""

    current: str | None
    kept: list[str]
    history: list[HistoryEntry]
    images: list[str] | None
    services: dict[str, dict[str, list[str]]]
    reached: list[AccessRecord]
    damaged: list[str]
    damaged_jobs: list[str]


class Releases(_AnyReleases, total=False):
    """Agents before 0.3.0 give no `builds`."""

    builds: dict[str, dict[str, dict[str, str]]]


class MilestoneResult(TypedDict):
    """`seconds` are None until it is reached."""

    name: str
    unit: str
    seconds: float | None
    within: int


class BootTimes(TypedDict):
    milestones: list[MilestoneResult]


class PruneAnswer(TypedDict):
    """`freed` are bytes."""

    freed: int


class InMaintenance(TypedDict):
    maintenance: dict[str, SiteMaintenance]


class _AnyContents(TypedDict):
    release: str | None


class Contents(_AnyContents, total=False):
    """A host's files as they are; of one without a release nothing but that."""

    manifest: Manifest
    files: dict[str, str]


class Access(TypedDict, total=False):
    """How a person gets to a service: the id that `enter` takes, an `address` and its `port`, or the `host` itself."""

    enter: str
    address: str
    port: int
    host: bool


LogSource = TypedDict("LogSource", {"from": str})


class LogLine(LogSource):
    """`at` is in seconds since 1970, `from` the unit or container that said it."""

    at: float
    line: str


class SignOfLife(TypedDict):
    """Nothing, now and then."""


class RestoredPath(TypedDict):
    """What came to a path: files and bytes, files that were there already, and how many could not be restored."""

    files: int
    bytes: int
    kept: int
    failed: int


class DiskAnswer(TypedDict):
    """What a restore from another disk brought, by path, and the paths that are `absent` there."""

    brought: dict[str, RestoredPath]
    absent: list[str]
