"""What a restore of a backup notes down before it touches anything."""

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
