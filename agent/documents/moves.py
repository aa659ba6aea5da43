"""What moves when data goes from one host to another, and what is asked about the requests that a host still gets."""

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


class DescribePayload(TypedDict):
    """What agent/moving.py is asked: what the host has of this data."""

    system: str
    paths: list[str]
    owners: list[str]


class SharePayload(TypedDict):
    """To share it; `program` is the text of agent/moving.py itself."""

    system: str
    paths: list[str]
    program: str


class MovePayload(TypedDict):
    """To renew, commit or lift the move `id`."""

    system: str
    id: str


class HoldPayload(MovePayload):
    """To stop what writes it; `to` and `region` are where it goes."""

    to: str
    region: str
    what: str
    units: list[str]
    paths: list[str]


class ProxyLog(TypedDict):
    """Where a proxy notes its answers, as `Log` in agent/proxy.py says of each field."""

    file: str
    journal: str
    pattern: str
    time_format: str
    keys: dict[str, list[str]]
    only: dict[str, str]


class TrafficSigns(TypedDict):
    """What shows requests: the logs of all proxies, and the processes whose connections are requests under way."""

    logs: list[ProxyLog]
    processes: list[str]


class TrafficPayload(TrafficSigns):
    """What agent/traffic.py is asked: the requests of the last `within` seconds."""

    within: float
