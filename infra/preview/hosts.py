"""What becomes of a host between two releases: its files, its services, what it has room for. Pure."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.units import changed

Host = dict[str, Any]
KINDS = ("files", "environment_files", "links")
# What users notice of each way to change a service: measured, benchmarks/README.md
GAPS = {
    "starts": "none before, it is new",
    "restarts": "some seconds; the proxy answers 503 with Retry-After",
    "restarts behind its socket": "none: requests wait at the held port",
    "restarts for its own users": "some seconds; nothing stands before it",
    "blue-green": "none",
    "runs at its next time": "none",
    "stops for good": "for good",
    "reloads": "none",
}


@dataclass(frozen=True)
class FileChange:
    """A file of a host. `diff` is unified, without its two header lines; `meta` is what else differs (mode, owner)."""

    path: str
    how: Literal["new", "changed", "removed"]
    diff: tuple[str, ...]
    meta: str = ""

    @property
    def added(self) -> int:
        return sum(line.startswith("+") for line in self.diff)

    @property
    def removed(self) -> int:
        return sum(line.startswith("-") for line in self.diff)


@dataclass(frozen=True)
class Effect:
    """What happens to one of a host's services. `unit` is systemd's name, `how` a key of GAPS."""

    service: str
    unit: str
    how: str
    because: tuple[str, ...] = ()

    @property
    def gap(self) -> str:
        return GAPS[self.how]


@dataclass(frozen=True)
class Room:
    """Memory in MiB: the sum of the services' limits, and what the machine has without its reserve."""

    limits: int
    room: int | None


@dataclass(frozen=True)
class HostChange:
    """One host, before and after: `ports` and `addresses` map each that changed to who had it and who has it then."""

    host: str
    how: Literal["new", "changed", "gone", "same", "moved"]
    files: list[FileChange] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    memory: tuple[Room | None, Room | None] = (None, None)
    ports: dict[str, tuple[str, str]] = field(default_factory=dict)
    addresses: dict[str, tuple[str, str]] = field(default_factory=dict)


def compared(before: dict[str, Host], after: dict[str, Host], moves: bool = False) -> list[HostChange]:
    """Every host of either. In a move of the region those that the program makes are new machines, beside the old."""
    return [_host(name, before.get(name), after.get(name), moves) for name in sorted({*before, *after})]


def _host(name: str, old: Host | None, new: Host | None, moves: bool) -> HostChange:
    files, moved = list(_files(old, new)), bool(moves and old and new and new["spec"].get("kind", "ec2") == "ec2")
    was, will = (host["manifest"] if host else None for host in (old, new))
    # A release can differ without any file: in what is asked of a service, or when
    same = was == will and not files and _room(old) == _room(new)
    how = "new" if old is None else "gone" if new is None else "same" if same else "changed"
    return HostChange(
        name, "moved" if moved else how, files, [] if moved else list(effects(was, will)), (_room(old), _room(new)),
        _swapped(_ports(old), _ports(new)), _swapped(_addresses(old), _addresses(new)),
    )  # fmt: skip


def _files(old: Host | None, new: Host | None) -> Iterator[FileChange]:
    before, after = (host["files"] if host else {} for host in (old, new))
    was, will = (_entries(host["manifest"]) if host else {} for host in (old, new))
    for path in sorted({*before, *after}):
        # What goes with its machine is no news file by file
        if new is None or (before.get(path) == after.get(path) and was.get(path) == will.get(path)):
            continue
        lines = difflib.unified_diff(_lines(before.get(path)), _lines(after.get(path)), lineterm="", n=3)
        how = "new" if path not in before else "removed" if path not in after else "changed"
        yield FileChange(path, how, tuple(lines)[2:], _meta(was.get(path), will.get(path)))


def _entries(manifest: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Path → mode and owner."""
    return {f["path"]: (f["mode"], f["owner"]) for kind in KINDS[:2] for f in manifest[kind]}


def _meta(was: tuple[int, str] | None, will: tuple[int, str] | None) -> str:
    if was is None or will is None or was == will:
        return ""
    return f"{was[0]:04o} {was[1]} → {will[0]:04o} {will[1]}"


def _lines(text: str | None) -> list[str]:
    return (text or "").splitlines()


def effects(old: dict[str, Any] | None, new: dict[str, Any] | None) -> Iterator[Effect]:
    """What the host's agent is going to do to its units, by the agent's own rule."""
    if new is None:
        return
    names = _services(new)
    before = {unit["name"]: unit for unit in (old or {"units": []})["units"]}
    paths = _differing(old, new)
    slots = {choice["unit"]: slot for slot in new["slots"] for choice in slot["choices"]}
    sockets = {unit["name"].rsplit(".", 1)[0] for unit in new["units"] if unit["name"].endswith(".socket")}
    touched = changed(new, paths)
    handed_over: set[str] = set()
    for unit in new["units"]:
        name = unit["name"]
        if name in slots:
            slot = slots[name]
            if name in touched and slot["service"] not in handed_over:
                handed_over.add(slot["service"])
                yield Effect(slot["service"], name, "blue-green", _because(unit, paths))
        elif name not in before:
            yield Effect(_known(names, name), name, "starts")
        elif name in touched:
            yield Effect(_known(names, name), name, _way(name, names, sockets, new), _because(unit, paths))
    kept = {unit["name"] for unit in new["units"]}
    of_old = _services(old) if old else {}
    yield from (Effect(_known(of_old, name), name, "stops for good") for name in before if name not in kept)
    for reaction in new["reactions"]:
        hit = tuple(sorted(path for path in paths if path.startswith(tuple(reaction["paths"]))))
        if old and hit:
            yield Effect(" ".join(reaction["run"]), "", "reloads", hit)


def _known(names: dict[str, str], unit: str) -> str:
    """A unit without a service of its own is told by its own name."""
    return names.get(unit, unit)


def _way(name: str, names: dict[str, str], sockets: set[str], manifest: dict[str, Any]) -> str:
    if name.endswith(".timer"):
        return "runs at its next time"
    if name.rsplit(".", 1)[0] in sockets:
        return "restarts behind its socket"
    public = {probe["unit"] for probe in manifest["probes"] if probe["public"]}
    return "restarts" if name in public else "restarts for its own users"


def _because(unit: dict[str, Any], paths: set[str]) -> tuple[str, ...]:
    return tuple(path for path in unit["files"] if path in paths)


def _services(manifest: dict[str, Any]) -> dict[str, str]:
    """Unit → the services in it, by name."""
    found: dict[str, list[str]] = {}
    for probe in manifest["probes"]:
        found.setdefault(probe["unit"], []).append(probe["service"])
    return {unit: ", ".join(services) for unit, services in found.items()}


def _differing(old: dict[str, Any] | None, new: dict[str, Any]) -> set[str]:
    """The paths that the release writes, removes or links."""
    was, will = (
        {entry["path"]: entry for kind in KINDS for entry in (manifest or {}).get(kind, [])} for manifest in (old, new)
    )
    return {path for path in {*was, *will} if was.get(path) != will.get(path)}


def _room(host: Host | None) -> Room | None:
    if host is None:
        return None
    return Room(sum(host["limits"].values()) // 1024**2, host["room"])


def _ports(host: Host | None) -> dict[str, str]:
    return {str(port["port"]): port["service"] for port in (host or {"manifest": {"ports": []}})["manifest"]["ports"]}


def _addresses(host: Host | None) -> dict[str, str]:
    return {address: container for container, address in (host or {"addresses": {}})["addresses"].items()}


def _swapped(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {
        key: (before.get(key, ""), after.get(key, ""))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    }
