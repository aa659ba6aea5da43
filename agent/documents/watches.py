"""What the watches of a host are configured with, as rendering/singletons.py and rendering/pressure.py write it."""

from __future__ import annotations

from typing import TypedDict


class LowPriorityService(TypedDict):
    """One that makes room in memory: `container` is "" for a native one, `needs` the bytes that it may use."""

    service: str
    unit: str
    container: str
    needs: int


class _AnySingle(TypedDict):
    name: str
    service: str
    unit: str


class Single(_AnySingle, total=False):
    """A service that runs only where its `name` points."""

    container: str


class _AnySingles(TypedDict):
    check: float
    address: str
    zone: str
    singles: list[Single]


class Singles(_AnySingles, total=False):
    """`address` is the host's own, "" where AWS says it; without `servers` Route 53 is asked."""

    servers: list[str]
