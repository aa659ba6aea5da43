"""What moves when data goes from one host to another."""

from __future__ import annotations

from typing import TypedDict


class MovingData(TypedDict):
    """The data of a host, or of one system, that moves as a whole (`name`); `what` are its systems, `units` all that
    write to it, `services` those that start with it, `owners` the accounts and groups of its files."""

    name: str
    what: str
    paths: list[str]
    volumes: list[str]
    units: list[str]
    services: list[str]
    owners: list[str]
