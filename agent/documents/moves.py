"""What moves when data goes from one host to another: what the hosts are asked, answer and note down, and what is asked
about the requests that a host still gets."""

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


class _AnyTrafficPayload(TrafficSigns):
    within: float


class TrafficPayload(_AnyTrafficPayload, total=False):
    """What agent/traffic.py is asked: the requests of the last `within` seconds, and how many failed in the last
    `failed_within`."""

    failed_within: float


class TrafficAnswer(TypedDict):
    """How many `requests` were answered lately, how many `failed`, how many are `open`, how many seconds `ago` the
    latest was (None: none in a log), and the clients with the most, each with how many."""

    requests: int
    failed: int | None
    open: int
    ago: float | None
    clients: list[tuple[str, int]]


class _AnyMoveRecord(TypedDict):
    id: str
    to: str
    region: str
    units: list[str]


class MoveRecord(_AnyMoveRecord, total=False):
    """Where a system's data has gone from this host; `at` is in UTC."""

    what: str
    at: str


class HoldRecord(MoveRecord):
    """One of a host whose units were stopped for it: `running` are those that ran."""

    running: list[str]


class MovedPath(TypedDict):
    """A directory whose data arrives: `staged` is where it was copied to, `aside` is for what was at `path`."""

    path: str
    aside: str
    staged: str


class _AnyArrivalRecord(TypedDict):
    system: str
    id: str
    region: str
    units: list[str]
    was: MoveRecord | None
    what: str
    running: list[str]
    moved: list[MovedPath]


class ArrivalRecord(_AnyArrivalRecord, total=False):
    """Data that is arriving: `running` are the units that ran before it, `was` is the record of the same system,
    `others` are those of other moves that held some of its units, and `undoing` is set once it goes back."""

    others: dict[str, MoveRecord]
    undoing: bool


class TakenRecord(TypedDict):
    """What became of the last arrival of a system's data; `at` is in seconds since 1970."""

    id: str
    region: str
    at: float
    undone: bool


class DescribeAnswer(TypedDict):
    """What a host has of a system's data: `bytes` by path, the version of its `rsync`, the id of the move by which it
    is `held`, where it is `away`, and the `records` of all moves by their files' names; `users` and `groups` are the
    numbers of `owners`, `steps` the keys of the release steps that the data has seen."""

    bytes: dict[str, int]
    rsync: str
    held: str
    away: MoveRecord | None
    records: dict[str, MoveRecord | None]
    taken: TakenRecord | None
    arriving: ArrivalRecord | None
    users: dict[str, int]
    groups: dict[str, int]
    steps: list[str]


class ShareAnswer(TypedDict):
    """Nothing."""


class HoldAnswer(TypedDict):
    running: list[str]


class RenewAnswer(TypedDict):
    held: bool


class CommitAnswer(TypedDict):
    """`gone` is false where the lease was over before: all runs on the old host again then."""

    gone: bool


class LiftAnswer(TypedDict):
    started: list[str]


class PreparePayload(TypedDict):
    """What agent/arriving.py is asked: where each path of `bytes` is to be copied to."""

    system: str
    what: str
    volumes: list[str]
    bytes: dict[str, int]


class PrepareAnswer(TypedDict):
    places: dict[str, str]


ReadyFrom = TypedDict("ReadyFrom", {"from": str})


class ReadyPayload(ReadyFrom):
    """To put what was copied to `places` in its place; `from` and `region` are the host that gives it."""

    system: str
    what: str
    id: str
    region: str
    units: list[str]
    places: dict[str, str]


class ReadyAnswer(TypedDict):
    ready: bool


class StartPayload(TypedDict):
    """To start `services` on what arrived; `done` are the keys of the release steps that it has seen."""

    system: str
    what: str
    id: str
    services: list[str]
    done: list[str]


class _AnyStartAnswer(TypedDict):
    started: bool


class StartAnswer(_AnyStartAnswer, total=False):
    """Where it started, what was there is kept `aside`; else `why` it did not, and whether all of it is `off` again."""

    aside: list[str]
    off: bool
    why: str


class UndoPayload(TypedDict):
    system: str
    id: str


class UndoAnswer(TypedDict):
    undone: bool
