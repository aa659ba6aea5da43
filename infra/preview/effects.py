"""What a host's agent is going to do to its units between two releases, by the agent's own rules. Pure."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from agent import holding
from agent.documents.manifest import Manifest, Unit
from agent.rolling import Disturbance, rolls
from agent.units import units_with_files
from infra.preview.files import KINDS
from rendering import proxies

WATCH = "infra-singles.service"
PROXIES = {proxy.unit for proxy in proxies.PROXIES.values()}
# What users notice of each way to change a service; tests/system/test_rollouts.py and test_recall.py count it
GAPS = {
    "starts": "none, it is new",
    "restarts": "a few seconds; the proxy answers 503 with Retry-After",
    "restarts behind its socket": "none: requests wait at the held port",
    "restarts while requests wait": "none: requests wait until it is healthy, up to its `hold`",
    "restarts for its own users": "unavailable for a few seconds",
    "blue-green": "none",
    "one after the other": "none: the other replicas take the requests",
    "copies one after the other": "none: each new copy starts before an old one ends",
    "another number of copies": "none",
    "handed to the group again": "none",
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
# What the unit of a spread service does to its copies: infra/preview/groups.py
OF_SPREAD = ("copies one after the other", "another number of copies", "handed to the group again")

# What people read where the key of GAPS, which JSON keeps, does not say it
LABELS = {"restarts for its own users": "restarts (no proxy)"}


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

    @property
    def label(self) -> str:
        return LABELS.get(self.how, self.how)


def effects(old: Manifest | None, new: Manifest | None, drifted: AbstractSet[str] = frozenset()) -> Iterator[Effect]:
    """What happens to each unit, in the order of the new manifest, then what stops, then what is reloaded. `drifted`
    are hand-edited files and units that do not run: a release puts them right."""
    if new is None:
        return
    units = Units(old, new, drifted)
    position = {name: number for number, name in enumerate(units.by_name)}
    of_units = [*slot_effects(units), *single_effects(units), *start_effects(units), *restart_effects(units)]
    yield from sorted(of_units, key=lambda effect: position[effect.unit])
    yield from stop_effects(units)
    yield from reload_effects(units)


@dataclass(frozen=True)
class Units:
    """The units of a host by both manifests. `old` is None on a new host."""

    old: Manifest | None
    new: Manifest
    drifted: AbstractSet[str]

    @cached_property
    def by_name(self) -> dict[str, Unit]:
        return {unit["name"]: unit for unit in self.new["units"]}

    @cached_property
    def before(self) -> set[str]:
        return {unit["name"] for unit in (self.old or {"units": []})["units"]}

    @cached_property
    def paths(self) -> set[str]:
        """The paths that the release writes, removes, links or puts right."""
        was, will = (
            {entry["path"]: entry for kind in KINDS for entry in (manifest or {}).get(kind, [])}
            for manifest in (self.old, self.new)
        )
        return {path for path in {*was, *will} if was.get(path) != will.get(path)} | self.drifted

    @cached_property
    def to_restart(self) -> set[str]:
        """The units that restart, since something that they were started from changes."""
        return {*units_with_files(self.new, self.paths), *(self.by_name.keys() & self.drifted)}

    @cached_property
    def services(self) -> dict[str, list[str]]:
        return _services(self.new)

    @cached_property
    def services_before(self) -> dict[str, list[str]]:
        """Unit → its services by the old manifest, each place of a slot included."""
        return (_services(self.old) | _slot_services(self.old)) if self.old else {}

    @cached_property
    def slot_services(self) -> dict[str, list[str]]:
        return _slot_services(self.new)

    @cached_property
    def singles(self) -> set[str]:
        return {name for name, unit in self.by_name.items() if unit.get("flag")}

    @cached_property
    def new_proxy(self) -> set[str]:
        """Of two proxies the one that takes the ports of the other."""
        is_replaced = PROXIES & (self.before - self.by_name.keys())
        return PROXIES & (self.by_name.keys() - self.before) if is_replaced else set()

    @cached_property
    def socket_activated(self) -> set[str]:
        return _with_socket(self.before) & _with_socket(self.by_name.keys())

    @cached_property
    def with_waiting_requests(self) -> set[str]:
        """The units that restart while the proxy holds the requests for all of their services."""
        entries = holding.entries_to_hold(self.old, self.new, self.to_restart | (self.before - self.by_name.keys()))
        held_services, then = {entry["service"] for entry in entries}, {entry["then"] for entry in entries}
        return then | {unit for unit, services in self.services.items() if held_services.issuperset(services)}

    @cached_property
    def rolling(self) -> set[str]:
        """The replicas that restart by themselves, since others of the service serve meanwhile."""
        return _rolling_units(self.old, self.new, self.to_restart, self.before - self.drifted)

    def had_services(self, services: list[str]) -> bool:
        """Whether the old release had all these services, in whatever units."""
        return {*services} <= {*chain.from_iterable(self.services_before.values())}

    def label(self, unit: str) -> str:
        """The services of a unit; one without a service is shown by its own name."""
        return ", ".join(self.services.get(unit, [unit]))

    def causes(self, unit: str) -> tuple[str, ...]:
        """The changed files that the unit is started from."""
        return tuple(path for path in self.by_name[unit]["files"] if path in self.paths)

    def way_to_restart(self, unit: str) -> str:
        if unit.endswith(".timer"):
            return "runs at its next scheduled time"
        if unit in self.socket_activated:
            return "restarts behind its socket"
        if unit in self.with_waiting_requests:
            return "restarts while requests wait"
        public = {probe["unit"] for probe in self.new["probes"] if probe["public"]}
        return "restarts" if unit in public else "restarts for its own users"


def slot_effects(units: Units) -> Iterator[Effect]:
    """Services with two places: one effect for each service, at the first of its units that changes."""
    slots_before = {slot["service"] for slot in (units.old or {"slots": []})["slots"]}
    changing: dict[str, str] = {}
    for unit in (name for name in units.by_name if name in units.slot_services):
        [service] = units.slot_services[unit]
        if unit in units.to_restart or service not in slots_before:
            changing.setdefault(service, unit)
    for service, unit in changing.items():
        how = "blue-green" if service in slots_before else "restarts" if units.had_services([service]) else "starts"
        yield Effect(service, unit, how, units.causes(unit))


def single_effects(units: Units) -> Iterator[Effect]:
    """Services of which only one may run: they stop with their watch, and wait for their name again."""
    watch_starts = WATCH in units.by_name and (WATCH in units.to_restart or WATCH not in units.before)
    for unit in units.singles - units.slot_services.keys():
        if watch_starts or unit in units.to_restart or unit not in units.before:
            yield Effect(units.label(unit), unit, "waits for its name", units.causes(unit))


def start_effects(units: Units) -> Iterator[Effect]:
    """Units that the old release did not have. One whose services it had in other units restarts them."""
    for unit in units.by_name.keys() - units.before - units.slot_services.keys() - units.singles:
        services = units.services.get(unit, [])
        if services and units.had_services(services) and not unit.endswith(".socket"):
            yield Effect(units.label(unit), unit, units.way_to_restart(unit))
        else:
            how = "takes the other proxy's place" if unit in units.new_proxy else "starts"
            yield Effect(units.label(unit), unit, how)


def restart_effects(units: Units) -> Iterator[Effect]:
    for unit in (units.to_restart & units.before) - units.slot_services.keys() - units.singles:
        how = "one after the other" if unit in units.rolling else units.way_to_restart(unit)
        yield Effect(units.label(unit), unit, how, units.causes(unit))


def stop_effects(units: Units) -> Iterator[Effect]:
    """Units that the new release does not have, but for those whose services other units run."""
    running = {*chain.from_iterable([*units.services.values(), *units.slot_services.values()])}
    removed_units = units.before - units.by_name.keys() - (PROXIES if units.new_proxy else set[str]())
    labels = _services(units.old) if units.old else {}
    for unit in sorted(removed_units):
        if unit not in units.services_before or not running.issuperset(units.services_before[unit]):
            yield Effect(", ".join(labels.get(unit, [unit])), unit, "stops permanently")


def reload_effects(units: Units) -> Iterator[Effect]:
    """What is run since files changed that a program reads again."""
    for reaction in units.new["reactions"]:
        causes = tuple(sorted(path for path in units.paths if path.startswith(tuple(reaction["paths"]))))
        if units.old and causes:
            yield Effect(" ".join(reaction["run"]), "", "reloads", causes)


def _rolling_units(old: Manifest | None, new: Manifest, touched: set[str], running: AbstractSet[str]) -> set[str]:
    if not new.get("replicas"):
        return set()
    states = {unit["name"]: {"active": unit["name"] in running} for unit in new["units"]}
    starting = touched | {name for name, state in states.items() if not state["active"]}
    previous_keys = {step["key"] for step in (old or {}).get("steps", [])}
    pending = [step for step in new.get("steps", []) if step["key"] not in previous_keys]
    # By the agent's own rule a step runs within the switch where what it needs changes with it
    units = {probe["service"].partition("/")[0]: probe["unit"] for probe in new["probes"]}
    late = [step for step in pending if any(units.get(name) in starting for name in step["needs"])]
    needed_services = {name for step in late for name in step["needs"]}
    disturbance = Disturbance([*starting], [*(touched & running)], needed_services)
    return {roll.unit for roll in rolls(old, new, disturbance, states)}


def _with_socket(units: AbstractSet[str]) -> set[str]:
    """The services whose port systemd holds."""
    return {f"{name.rsplit('.', 1)[0]}.service" for name in units if name.endswith(".socket")}


def _services(manifest: Manifest) -> dict[str, list[str]]:
    """Unit → the services in it."""
    by_unit: dict[str, list[str]] = {}
    for probe in manifest["probes"]:
        by_unit.setdefault(probe["unit"], []).append(probe["service"])
    return by_unit


def _slot_services(manifest: Manifest) -> dict[str, list[str]]:
    """Unit → the service that it runs by turns with another unit."""
    return {choice["unit"]: [slot["service"]] for slot in manifest["slots"] for choice in slot["choices"]}
