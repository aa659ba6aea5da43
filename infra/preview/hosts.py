"""What becomes of a host between two releases: its files, its services (effects.py), what it has room for. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from agent import store
from infra.preview import data, environments, serving, steps
from infra.preview.documents import Host
from infra.preview.effects import Effect, effects
from infra.preview.files import FileChange, compare_files


@dataclass(frozen=True)
class Room:
    """Memory in MiB: what the services may use at most at a time, and what the machine has without its reserve."""

    limits: int
    room: int | None


@dataclass(frozen=True)
class ExistingThing:
    """Something that is on a host before its first release: what the release does to it, in what it `differs` from the
    release's own, and the line that says so."""

    kind: Literal["container", "unit", "file", "port", "site"]
    name: str
    becomes: Literal["adopted", "replaced", "left alone", "refused", "not known"]
    differs: list[str]
    line: str


@dataclass(frozen=True)
class HostChange:
    """One host, before and after: `ports` and `addresses` map each that changed to who had it and who has it then,
    `health` each service to the path that had to answer and the one that has to then. `lost` and `gained` are
    public paths (see infra/preview/serving.py), `opened` those that every client may ask for from
    then on, `data` which environments are made, which release steps run and what becomes of data. `existing` is what
    is on a host without a release already, None where that was not asked (see infra/preview/existing.py)."""

    host: str
    how: Literal["new", "changed", "gone", "same", "moved"]
    files: list[FileChange] = field(default_factory=list[FileChange])
    effects: list[Effect] = field(default_factory=list[Effect])
    memory: tuple[Room | None, Room | None] = (None, None)
    ports: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    addresses: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    health: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    lost: list[str] = field(default_factory=list[str])
    gained: list[str] = field(default_factory=list[str])
    opened: list[str] = field(default_factory=list[str])
    data: list[str] = field(default_factory=list[str])
    existing: list[ExistingThing] | None = None


def compare_hosts(
    before: dict[str, Host], after: dict[str, Host], was: str = "", will: str = "", replaced: Collection[str] = ()
) -> list[HostChange]:
    """Every host of either. A stack that moves from region `was` to `will` has new machines there, which are held
    against the old ones, or had some that stood by; one that is named HOST@REGION stands by. So have the hosts that are
    `replaced` where they are."""
    old, new = _by_place(before, was), _by_place(after, will)
    changes: list[HostChange] = []
    for place in sorted({*old, *new}):
        name = (new.get(place) or old[place])[0]
        if will != was and was and place not in old and name in before:
            changes.append(_host(name, before[name], new[place][1], moved=True))
        elif place in new or name not in after:
            was_there, will_be = (side[place][1] if place in side else None for side in (old, new))
            changes.append(_host(name, was_there, will_be, moved=name.partition("@")[0] in replaced))
    return changes


def mark_moving_systems(hosts: list[HostChange], systems: Mapping[str, tuple[str, str]]) -> list[HostChange]:
    """The same, where `systems` go from one host to another one: what one of them stops and the other starts goes."""

    def services(host: str, how: str) -> set[str]:
        # Units of a host itself, as the proxy's, are no services of a system
        effects = [e for change in hosts if change.host == host for e in change.effects if e.service != e.unit]
        return {e.service for e in effects if e.how == how}

    words: dict[tuple[str, str], str] = {}
    for giver, taker in systems.values():
        for service in services(giver, "stops permanently") & (
            services(taker, "starts") | services(taker, "waits for its name")
        ):
            words |= {(giver, service): "goes to another host", (taker, service): "comes from another host"}
    return [
        replace(change, effects=[replace(e, how=words.get((change.host, e.service), e.how)) for e in change.effects])
        for change in hosts
    ]


def _by_place(hosts: dict[str, Host], region: str) -> dict[str, tuple[str, Host]]:
    """By where they are: those that the program makes, in a region; others are the same machine wherever it serves."""

    def place(name: str, host: Host) -> str:
        return f"{name}@{region}" if "@" not in name and host["spec"].get("kind", "ec2") == "ec2" else name

    return {place(name, host): (name, host) for name, host in hosts.items()}


def _host(name: str, old: Host | None, new: Host | None, moved: bool = False) -> HostChange:
    was, will = (store.complete(host["manifest"]) if host else None for host in (old, new))
    # The same release goes nowhere: hand edits stay as they are
    released = was != will
    files = list(compare_files(old, new)) if released else []
    # A release can differ without any file: in what is asked of a service, or when
    same = not released and _room(old) == _room(new)
    how = "new" if old is None else "gone" if new is None else "same" if same else "changed"
    drifted = set(old.get("drifted", ())) if old and released else set[str]()
    public, will_be = (serving.public_paths(host["files"]) if host else set[str]() for host in (old, new))
    guarded, still = (serving.guarded_paths(host["files"]) if host else set[str]() for host in (old, new))
    # What a service is asked for is news only of one that is there before and after
    asks = _changed_values(serving.health_paths(was), serving.health_paths(will))
    lines = [] if moved else [line for part in (environments, steps, data) for line in part.changes(was, will)]
    return HostChange(
        name, "moved" if moved else how, files, [] if moved else list(effects(was, will, drifted)),
        (_room(old), _room(new)), _changed_values(_ports(old), _ports(new)),
        _changed_values(_addresses(old), _addresses(new)),
        {name: both for name, both in asks.items() if all(both)}, sorted(public - will_be), sorted(will_be - public),
        sorted((guarded & will_be) - still), lines,
    )  # fmt: skip


def _room(host: Host | None) -> Room | None:
    if host is None:
        return None
    return Room(host["manifest"]["memory"] // 1024**2, host["room"])


def _ports(host: Host | None) -> dict[str, str]:
    return {str(port["port"]): port["service"] for port in (host or {"manifest": {"ports": []}})["manifest"]["ports"]}


def _addresses(host: Host | None) -> dict[str, str]:
    return {address: container for container, address in (host or {"addresses": {}})["addresses"].items()}


def _changed_values(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {
        key: (before.get(key, ""), after.get(key, ""))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    }
