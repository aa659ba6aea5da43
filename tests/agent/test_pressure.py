"""Memory pressure, on a host in memory: who makes room, in which order, and when they come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import lock
from agent.monitor import history
from agent.pressure import CALM, LONGEST_CALM, LOOK, MARGIN, PATIENCE, STOPPED, Watch, flag, floor, room
from agent.world import CommandResult
from rendering import pressure
from tests.agent.fake import FakeWorld
from tests.support import whole

MiB = 1024**2
SIZE = 2048 * MiB
FLOOR = floor(SIZE)
OTHER = "watchme-ast-api.service"


def entry(name: str, container: str = "", needs: int = 300) -> dict:
    return {"service": name, "unit": f"{name}.service", "container": container, "needs": needs * MiB}


ORDER = [entry("first", "first-1"), entry("second", "second-1"), entry("third")]


class Host(FakeWorld):
    """Its services hold memory while they run; a stop takes `lingers` looks, a kill none."""

    def __init__(self, lingers: int = 0, holds: int = 250) -> None:
        super().__init__(there=set())
        self.active = {OTHER, *(entry["unit"] for entry in ORDER)}
        self.ending: dict[str, int] = {}
        self.lingers, self.holds, self.used = lingers, holds, 0  # type: ignore[assignment]

    def memory(self):
        left = SIZE - self.used - self.holds * MiB * sum(entry["unit"] in self.active for entry in ORDER)  # type: ignore[operator]
        return {"MemTotal": SIZE, "MemAvailable": max(0, left)}

    def run(self, *argv, **options):
        match argv:
            case ("systemctl", "stop", "--no-block", unit):
                self.ending[unit] = self.lingers
                self.tick(0)
            case ("systemctl", "start", "--no-block", unit):
                assert unit not in self.ending
                self.active.add(unit)
            case ("systemctl", "kill", "-s", "KILL", unit):
                self._gone(unit)
            case ("systemctl", "is-active", unit):
                return CommandResult(
                    0, "deactivating" if unit in self.ending else "active" if unit in self.active else "inactive"
                )
            case _:
                raise AssertionError(argv)
        self.ran.append(" ".join(argv))
        return CommandResult(0, "")

    def signal_container(self, name, signal):
        self.ran.append(f"{signal} {name}")
        if signal == "SIGKILL":
            self._gone(f"{name.removesuffix('-1')}.service")

    def tick(self, looks: int = 1) -> None:
        for unit in list(self.ending):
            self.ending[unit] -= looks
            if self.ending[unit] <= 0:
                self._gone(unit)

    def _gone(self, unit: str) -> None:
        self.ending.pop(unit, None)
        self.active.discard(unit)


def on(world: Host, said: list[str] | None = None) -> Watch:
    return Watch(world, ORDER, (said if said is not None else []).append)


def looks(watch: Watch, count: int = 1) -> None:
    for _ in range(count):
        watch.look()
        watch.world.tick()  # type: ignore[attr-defined]
        watch.world.sleep(LOOK)
        watch.world.time += LOOK  # type: ignore[attr-defined]


def short_by(world: Host, mib: int) -> None:
    """So much of what is to be left is missing."""
    world.used = 0  # type: ignore[assignment]
    world.used = world.memory()["MemAvailable"] - FLOOR + mib * MiB  # type: ignore[assignment]


def stopped(watch: Watch) -> list[str]:
    return [entry["service"] for entry in watch.stopped_services]


WANTS = {0: [], 1: ["first"], 250: ["first"], 251: ["first", "second"], 2000: ["first", "second", "third"]}


@pytest.mark.parametrize(("missing", "gone"), WANTS.items(), ids=str)
def test_only_as_many_services_stop_as_memory_needs(missing, gone):
    world = Host()
    watch = on(world)
    short_by(world, missing)
    looks(watch, 20)
    assert stopped(watch) == gone
    assert world.active == {OTHER, *(e["unit"] for e in ORDER if e["service"] not in gone)}


def test_next_service_stops_only_after_the_earlier_one_has():
    world = Host(lingers=6)
    watch = on(world)
    short_by(world, 10)
    looks(watch, 5)
    assert stopped(watch) == ["first"] and world.commands("SIGKILL") == []
    looks(watch, 20)
    assert stopped(watch) == ["first"]


def test_stopping_service_is_killed_after_its_patience_or_at_the_floor():
    for missing, within in ((10, PATIENCE + 2 * LOOK), (FLOOR // MiB, 2 * LOOK)):
        world, said = Host(lingers=10**6), []
        watch = on(world, said)
        short_by(world, missing)
        looks(watch, int(within / LOOK) + 1)
        assert world.ran[:2] == ["SIGTERM first-1", "systemctl stop --no-block first.service"], missing
        assert world.commands("SIGKILL") == ["SIGKILL first-1"], missing
        assert "first did not stop in time and was killed" in said


def test_native_service_is_killed_through_its_unit():
    world = Host(lingers=10**6)
    watch = Watch(world, [entry("third")], lambda line: None)
    short_by(world, FLOOR // MiB)
    looks(watch, 3)
    assert world.commands("systemctl kill") == ["systemctl kill -s KILL third.service"]


def test_services_return_in_reverse_order_after_calm():
    world = Host()
    watch = on(world)
    short_by(world, 300)
    looks(watch, 10)
    assert stopped(watch) == ["first", "second"]
    world.used = 0  # type: ignore[assignment]
    calm = int(CALM / LOOK)
    looks(watch, calm)
    assert stopped(watch) == ["first", "second"]
    looks(watch)
    assert stopped(watch) == ["first"]
    looks(watch, calm + 1)
    assert stopped(watch) == [] and world.active == {OTHER, *(e["unit"] for e in ORDER)}
    repairs = [(e.subject, e.repair) for e in history.all_repairs(world)]
    assert repairs == [
        ("first", "make room"),
        ("second", "make room"),
        ("second", "bring back"),
        ("first", "bring back"),
    ]
    assert history.all_repairs(world)[0].said == "first was stopped: 0 of 2048 MiB were left"


def test_service_stays_stopped_without_memory_for_its_limit():
    world = Host()
    watch = on(world)
    short_by(world, 1)
    looks(watch, 5)
    world.used = 0  # type: ignore[assignment]
    world.used = world.memory()["MemAvailable"] - (300 * MiB + FLOOR + MARGIN) + 1  # type: ignore[assignment]
    looks(watch, 1000)
    assert stopped(watch) == ["first"]
    world.used -= 1  # type: ignore[operator]
    looks(watch, int(CALM / LOOK) + 1)
    assert stopped(watch) == []


def test_repeatedly_stopped_service_stays_away_longer():
    world = Host()
    watch = on(world)
    pauses = []
    for _ in range(6):
        short_by(world, 1)
        looks(watch, 3)
        world.used, since = 0, world.clock  # type: ignore[assignment]
        while stopped(watch):
            looks(watch)
        pauses.append(round((world.clock - since) / CALM))
    assert pauses == [1, 2, 4, 8, 16, round(LONGEST_CALM / CALM)]


def test_nothing_comes_back_beside_a_release(monkeypatch):
    world = Host()
    watch = on(world)
    short_by(world, 1)
    looks(watch, 3)
    world.used = 0  # type: ignore[assignment]
    monkeypatch.setattr(lock, "holder", lambda path: "apply")
    looks(watch, int(3 * CALM / LOOK))
    assert stopped(watch) == ["first"]


def test_new_watch_continues_the_earlier_one():
    world = Host()
    watch = on(world)
    short_by(world, 300)
    looks(watch, 5)
    again = on(world)
    world.used = 0  # type: ignore[assignment]
    looks(again, int(2 * CALM / LOOK) + 2)
    assert stopped(again) == []


def test_new_watch_completes_an_interrupted_stop():
    """The flag is there, and the service runs: it would count as gone, and the next one would go."""
    world = Host()
    world.files[flag("first")] = (b"", 0o644, "root", "root")
    world.files[f"{STOPPED}/of-a-release-of-before"] = (b"", 0o644, "root", "root")
    watch = on(world)
    watch.begin()
    assert world.commands("systemctl stop") == ["systemctl stop --no-block first.service"]
    assert "first.service" not in world.active and stopped(watch) == ["first"]
    assert world.listing(STOPPED) == ["first"]


def test_watchme_fits_its_host_at_usual_load():
    """WatchMe's containers as the document saw them, and what their limits do not cap, on its t4g.large."""
    catalogue = whole()
    services = [s for system in catalogue.systems_on("watchme") for s in system.active]
    usual = sum(min(service.observed_memory or service.limit, service.limit) for service in services)
    size = 7836 * MiB
    left = size - usual - 512 * MiB
    for yielding in pressure.services_to_stop(catalogue, "watchme"):
        assert left + yielding.observed_memory >= room({"needs": yielding.limit}, size), (yielding.name, left // MiB)


def test_nothing_is_stopped_without_a_memory_reading():
    world = Host()
    world.memory = lambda: {}  # type: ignore[method-assign]
    looks(on(world), 5)
    assert world.ran == []


def test_a_full_disk_holds_up_nothing():
    world = Host()
    watch = on(world)
    short_by(world, 1)
    # The flag, on a file system of its own, and then what is remembered
    world.break_at = world.changes + 2
    looks(watch, 3)
    assert stopped(watch) == ["first"] and OTHER in world.active


@given(
    st.lists(st.tuples(st.integers(0, SIZE // MiB), st.integers(1, 400)), max_size=8),
    st.integers(0, 30),
    st.integers(0, 300),
)
def test_stopped_services_are_always_the_first_of_the_order(spans, lingers, holds):
    world = Host(lingers, holds)
    watch = on(world)
    names = [entry["service"] for entry in ORDER]
    for used, count in spans:
        world.used = used * MiB  # type: ignore[assignment]
        for _ in range(count):
            before, left = stopped(watch), world.memory()["MemAvailable"]
            looks(watch)
            now = stopped(watch)
            assert now == names[: len(now)] and abs(len(now) - len(before)) <= 1
            assert len(now) <= len(before) or left < FLOOR, "one went although there was room"
            assert len(now) >= len(before) or left >= 300 * MiB + FLOOR + MARGIN, "one came back without room"
            assert OTHER in world.active
    world.used = 0  # type: ignore[assignment]
    looks(watch, int(4 * LONGEST_CALM / LOOK))
    assert stopped(watch) == [] and all(not world.exists(flag(name)) for name in names)
