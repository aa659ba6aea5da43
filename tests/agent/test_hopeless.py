"""A service that keeps crashing is not waited for until the deadline; one that may wait for another one is."""

from collections.abc import Callable

import pytest

from agent import health
from agent.outcome import Failed
from agent.world import CommandResult
from tests.agent.fake import FakeWorld

DEADLINE = 180.0


def probe(service: str, port: int) -> dict:
    return {
        "service": service, "unit": f"{service}.service", "url": f"http://127.0.0.1:{port}/health", "public": None,
        "container": "",
    }  # fmt: skip


class Restarting(FakeWorld):
    """`api` has ended as often as `ends` says by the clock; `db` answers from `db_at` on, in seconds."""

    ends: Callable[[float], int] = staticmethod(lambda clock: int(clock // 10))
    state = "activating"
    db_at = 0.0

    def _systemctl(self, verb, names):
        if verb == "show" and "NRestarts" in names:
            number = self.ends(self.clock) if "api.service" in names else 0
            state = self.state if "api.service" in names else "active"
            return CommandResult(0, f"ActiveState={state}\nNRestarts={number}")
        return super()._systemctl(verb, names)

    def status_of(self, url, name=None):
        if ":8001/" in url:
            return self.web(url)
        return 200 if self.clock >= self.db_at else 0


def waited(world: Restarting) -> tuple[float, str]:
    world.active |= {"api.service", "db.service"}
    try:
        health.wait(world, [probe("api", 8001), probe("db", 8002)], {}, health.Patience(DEADLINE))
    except Failed as failure:
        return world.clock, str(failure)
    return world.clock, ""


def test_crash_looping_unit_is_given_up_early_with_its_count():
    clock, said = waited(Restarting(web=lambda url: 0))
    assert 50 <= clock < 70 and "api did not answer at http://127.0.0.1:8001/health, and ended 5 times; its log" in said


def test_failed_unit_is_given_up_at_once():
    world = Restarting(web=lambda url: 0)
    world.state = "failed"
    clock, said = waited(world)
    assert clock < 15 and "and was not restarted; its log is empty" in said


def test_failing_unit_is_awaited_while_its_dependency_starts():
    world = Restarting(web=lambda url: 0)
    world.db_at = 100.0
    clock, _ = waited(world)
    assert 120 <= clock < 140, "two ends more after the database answers"


def test_unit_that_recovers_in_time_is_healthy():
    world = Restarting()
    world.db_at, world.web = 100.0, lambda url: 200 if world.clock > 112 else 0
    assert waited(world)[1] == ""


@pytest.mark.parametrize("state", ["active", "activating"])
def test_slow_running_unit_is_awaited_until_the_deadline(state):
    world = Restarting(web=lambda url: 0)
    world.state, world.ends = state, lambda clock: 4
    clock, said = waited(world)
    assert clock >= DEADLINE and "did not answer at http://127.0.0.1:8001/health within 180 s" in said


def test_unanswered_unit_state_does_not_end_the_wait():
    world = Restarting(web=lambda url: 0)
    world.answers["systemctl show -p ActiveState -p NRestarts"] = CommandResult(1, "Failed to connect to bus")
    assert waited(world)[0] >= DEADLINE


class Slow(FakeWorld):
    """Each answer takes its time, as of services that drip theirs byte by byte."""

    each = 10.0

    def status_of(self, url, name=None):
        self.clock += self.each
        return 503


def test_a_round_of_slow_answers_ends_with_the_deadline():
    """One answer may be late, and not one after the other: those who were not asked are not called unhealthy."""
    world, number = Slow(), 12
    probes = [probe(f"api{one}", 8000 + one) for one in range(number)]
    world.active |= {one["unit"] for one in probes}
    with pytest.raises(Failed) as failure:
        health.wait(world, probes, {}, health.Patience(15.0))
    said = str(failure.value)
    assert world.clock <= 15.0 + health.AT_ONCE * world.each
    assert "api0 answered 503 at http://127.0.0.1:8000/health" in said
    assert "(api11.service) was not checked in time: the other checks took all of it" in said
