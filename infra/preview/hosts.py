"""What becomes of a host between two releases: its files, its services, what it has room for. Pure."""

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Literal

from agent import holding, store
from agent.documents.manifest import Manifest, Unit
from agent.rolling import Disturbance, rolls
from agent.units import of_paths
from infra.preview import data, environments, serving, steps
from infra.preview.documents import Host
from infra.preview.files import KINDS, FileChange, compare_files
from rendering import proxies

WATCH = "infra-singles.service"
PROXIES = {proxy.unit for proxy in proxies.PROXIES.values()}
# What users notice of each way to change a service; tests/system/test_rollouts.py and test_recall.py count it
GAPS = {
    "starts": "none, it is new",
    "restarts": "a few seconds; the proxy answers 503 with Retry-After",
    "restarts behind its socket": "none: requests wait at the held port",
    "restarts while requests wait": "none: requests wait until it is healthy, up to its `hold`",
    "restarts for its own users": "a few seconds; nothing answers in its place",
    "blue-green": "none",
    "one after the other": "none: the other replicas take the requests",
    "waits for its name": "until its name has pointed here for a whole check (infra:singleCheck)",
    "runs at its next scheduled time": "none",
    "takes the other proxy's place": "about a second, in which the host's sites do not answer",
    "stops permanently": "permanent",
    "goes to another host": (
        "none; with data, until its last copy is there, and for clients with the old address in their cache "
        "(infra:recordTtl); a single service, until it starts there"
    ),
    "comes from another host": "none",
    "reloads": "none",
}


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
    """Memory in MiB: what the services may use at most at a time, and what the machine has without its reserve."""

    limits: int
    room: int | None


@dataclass(frozen=True)
class HostChange:
    """One host, before and after: `ports` and `addresses` map each that changed to who had it and who has it then,
    `health` each service to the path that had to answer and the one that has to then. `lost` and `gained` are
    public paths (see infra/preview/serving.py), `opened` those that every client may ask for from
    then on, `data` which environments are made, which release steps run and what becomes of data."""

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


def going(hosts: list[HostChange], systems: Mapping[str, tuple[str, str]]) -> list[HostChange]:
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
    said = [] if moved else [line for part in (environments, steps, data) for line in part.changes(was, will)]
    return HostChange(
        name, "moved" if moved else how, files, [] if moved else list(effects(was, will, drifted)),
        (_room(old), _room(new)), _changed_values(_ports(old), _ports(new)),
        _changed_values(_addresses(old), _addresses(new)),
        {name: both for name, both in asks.items() if all(both)}, sorted(public - will_be), sorted(will_be - public),
        sorted((guarded & will_be) - still), said,
    )  # fmt: skip


def effects(old: Manifest | None, new: Manifest | None, drifted: AbstractSet[str] = frozenset()) -> Iterator[Effect]:
    """What the host's agent is going to do to its units, by the agent's own rule. `drifted` are hand-edited files
    and units that do not run: a release puts them right."""
    if new is None:
        return
    names, of_old = _services(new), _services(old) if old else {}
    before = {unit["name"] for unit in (old or {"units": []})["units"]}
    paths = _differing(old, new) | drifted
    slots = {choice["unit"]: slot for slot in new["slots"] for choice in slot["choices"]}
    slots_before = {slot["service"] for slot in (old or {"slots": []})["slots"]}
    socket_activated = _with_socket(before) & _with_socket({unit["name"] for unit in new["units"]})
    touched = {*of_paths(new, paths), *(unit["name"] for unit in new["units"] if unit["name"] in drifted)}
    leaving = before - {unit["name"] for unit in new["units"]}
    waiting = {entry["service"] for entry in holding.entries_to_hold(old, new, touched | leaving)}
    waited_for = {unit for unit, services in names.items() if {*services.split(", ")} <= waiting}
    # Also where another unit runs them, or two by turns
    in_old = of_old | {
        choice["unit"]: slot["service"] for slot in (old or {"slots": []})["slots"] for choice in slot["choices"]
    }
    known_before = {service for services in in_old.values() for service in services.split(", ")}
    rolled = _rolling_units(old, new, touched, before - drifted)
    watched = {unit["name"] for unit in new["units"] if unit.get("flag")}
    rests = any(
        name in touched or name not in before for name in (unit["name"] for unit in new["units"]) if name == WATCH
    )
    kept = {unit["name"] for unit in new["units"]}
    # Of two proxies one takes the ports of the other
    taken = PROXIES & (kept - before) if PROXIES & (before - kept) else set[str]()
    reported: set[str] = set()
    for unit in new["units"]:
        name, because = unit["name"], _because(unit, paths)
        service = slots[name]["service"] if name in slots else _service_name(names, name)
        if name in slots:
            if service not in reported and (name in touched or service not in slots_before):
                reported.add(service)
                how = "blue-green" if service in slots_before else "restarts" if service in known_before else "starts"
                yield Effect(service, name, how, because)
        elif name in watched and (rests or name not in before or name in touched):
            yield Effect(service, name, "waits for its name", because)
        elif name not in before:
            if name in names and {*service.split(", ")} <= known_before and not name.endswith(".socket"):
                yield Effect(service, name, _way(name, socket_activated, waited_for, new))
            else:
                yield Effect(service, name, "takes the other proxy's place" if name in taken else "starts")
        elif name in touched and name in rolled:
            yield Effect(service, name, "one after the other", because)
        elif name in touched:
            yield Effect(service, name, _way(name, socket_activated, waited_for, new), because)
    gone = before - kept - (PROXIES if taken else set())
    stays = {service for services in names.values() for service in services.split(", ")}
    stays |= {slot["service"] for slot in new["slots"]}
    gone -= {unit for unit, services in in_old.items() if {*services.split(", ")} <= stays}
    yield from (Effect(_service_name(of_old, name), name, "stops permanently") for name in sorted(gone))
    for reaction in new["reactions"]:
        hit = tuple(sorted(path for path in paths if path.startswith(tuple(reaction["paths"]))))
        if old and hit:
            yield Effect(" ".join(reaction["run"]), "", "reloads", hit)


def _rolling_units(old: Manifest | None, new: Manifest, touched: set[str], running: set[str]) -> set[str]:
    """The replicas that restart by themselves, since others of the service serve meanwhile."""
    if not new.get("replicas"):
        return set()
    states = {unit["name"]: {"active": unit["name"] in running} for unit in new["units"]}
    starting = touched | {name for name, state in states.items() if not state["active"]}
    previous_keys = {step["key"] for step in (old or {}).get("steps", [])}
    pending = [step for step in new.get("steps", []) if step["key"] not in previous_keys]
    # By the agent's own rule a step runs within the switch where what it needs changes with it
    units = {probe["service"].partition("/")[0]: probe["unit"] for probe in new["probes"]}
    late = [step for step in pending if any(units.get(name) in starting for name in step["needs"])]
    needed = {name for step in late for name in step["needs"]}
    disturbance = Disturbance([*starting], [*(touched & running)], needed)
    return {roll.unit for roll in rolls(old, new, disturbance, states)}


def _with_socket(units: set[str]) -> set[str]:
    """The services whose port systemd holds."""
    return {f"{name.rsplit('.', 1)[0]}.service" for name in units if name.endswith(".socket")}


def _service_name(names: dict[str, str], unit: str) -> str:
    """A unit without a service of its own is shown by its own name."""
    return names.get(unit, unit)


def _way(name: str, socket_activated: set[str], waited_for: set[str], manifest: Manifest) -> str:
    if name.endswith(".timer"):
        return "runs at its next scheduled time"
    if name in socket_activated:
        return "restarts behind its socket"
    if name in waited_for:
        return "restarts while requests wait"
    public = {probe["unit"] for probe in manifest["probes"] if probe["public"]}
    return "restarts" if name in public else "restarts for its own users"


def _because(unit: Unit, paths: set[str]) -> tuple[str, ...]:
    return tuple(path for path in unit["files"] if path in paths)


def _services(manifest: Manifest) -> dict[str, str]:
    """Unit → the services in it, by name."""
    by_unit: dict[str, list[str]] = {}
    for probe in manifest["probes"]:
        by_unit.setdefault(probe["unit"], []).append(probe["service"])
    return {unit: ", ".join(services) for unit, services in by_unit.items()}


def _differing(old: Manifest | None, new: Manifest) -> set[str]:
    """The paths that the release writes, removes or links."""
    was, will = (
        {entry["path"]: entry for kind in KINDS for entry in (manifest or {}).get(kind, [])} for manifest in (old, new)
    )
    return {path for path in {*was, *will} if was.get(path) != will.get(path)}


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
