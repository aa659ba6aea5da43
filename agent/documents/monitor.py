"""What the monitor found, did and remembers."""

from __future__ import annotations

from typing import TypedDict

from agent.documents.answers import Repair


class Condition(TypedDict):
    """As `ConditionResult` of agent/monitor/conditions.py says."""

    alert: str
    subject: str
    value: float
    met: bool
    text: str
    repair: str


class Run(TypedDict):
    """A run on a host without a release."""

    at: float
    release: str | None
    well: bool
    conditions: list[Condition]
    repairs: list[Repair]
    left: list[str]


class HostRun(Run):
    """A run on a host that has one: `resting` and `stopped` are units, `took` is in seconds."""

    host: str
    resting: list[str]
    stopped: list[str]
    took: float


class Sample(TypedDict):
    """How it was at one time: the status that each service answered."""

    at: float
    services: dict[str, int]


class Notice(TypedDict):
    """What was sent of a condition: `told` is when it was last reported, `quiet` counts runs without it."""

    told: float
    text: str
    quiet: int


class ServiceOnPage(TypedDict):
    """`memory` is what it uses and may use, `day` a value for each of the page's cells."""

    service: str
    status: int
    memory: tuple[int, int] | None
    day: list[int]


class Page(TypedDict):
    """All that the host's own page shows."""

    at: float
    host: str
    region: str
    release: str | None
    well: bool
    met: list[str]
    services: list[ServiceOnPage]
    resting: list[str]
    stopped: list[str]
    machine: list[tuple[str, str, float]]
    certificates: list[tuple[str, int, str]]
    jobs: list[dict[str, str]]
    repairs: list[list[str]]
