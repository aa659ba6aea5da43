"""What users notice when a service of which there is one restarts: that an answer takes longer."""

from collections.abc import Iterator

import pytest

from tests.rows import EVERYTHING
from tests.support import WATCHME
from tests.system import faults
from tests.system.conftest import System
from tests.system.faults import Load, at, push, serving
from tests.system.on import wait_until_well

pytestmark = pytest.mark.lab
YAML = "files/systems/watchme.yaml"
# The scheduler follows Route 53, whose emulator may be late on a loaded machine: tests/moves is about that one
PATHS = [e["routes"][0]["public"] for e in WATCHME["services"] if not e.get("retired") and not e.get("single")]
MARK = "    unit: watchme-avatar-uploader.service"


@pytest.fixture(autouse=True, scope="module")
def settled(system: System) -> Iterator[None]:
    """Afterwards the lab serves what its tags mean, as it does after the test of the day."""
    yield
    if EVERYTHING:
        system.must_up()


def leads_to_services(system: System) -> bool:
    """Does the proxy lead to no place where requests wait, and nothing holds them there."""
    links = system.on_host("sh", "-c", "readlink /etc/nginx/conf.d/service-*.conf").output.split()
    closed = system.on_host("sh", "-c", "ls /run/infra-waiting/*.closed 2>/dev/null").output
    failed = system.on_host("systemctl", "list-units", "--failed", "--plain", "--no-legend", "infra-waiting@*").output
    return len(links) == 13 and all(link.endswith(".serving") for link in links) and not closed and not failed


def test_a_release_of_one_service_loses_no_request(watchme: System) -> None:
    wait_until_well(watchme)
    push(watchme)
    previewed = watchme.command("infra", "preview", "--stack", "lab").output
    assert "1 service restarts while its requests wait: avatar-uploader" in previewed, previewed
    with Load(watchme, PATHS).going() as load, Load(watchme, [faults.PATH], method="POST").going() as written:
        output = watchme.must_up()
    assert "holding requests for avatar-uploader" in output, output
    counts = {path: len(seen) for path, seen in load.answers.items()}
    print(f"requests: {sum(counts.values())}, of them to the restarted one: {counts[faults.PATH]} + {written.count}")
    assert len(counts) == 12 and min(counts.values()) > 10 and written.count > 10
    assert load.lost() == written.lost() == {} and max(load.slowest, written.slowest) > 0.5, "one waited"
    assert leads_to_services(watchme)


@pytest.mark.nightly
def test_requests_wait_during_a_rollback(watchme: System) -> None:
    release = serving(watchme)
    push(watchme, "never")
    with watchme.configured(healthDeadline="8"), Load(watchme, PATHS).going() as load:
        ran = watchme.up()
    assert ran.code != 0 and "rolled back on watchme" in ran.output and serving(watchme) == release, ran.output
    assert load.lost() == {} and load.slowest > 8
    assert leads_to_services(watchme)
    push(watchme)


@pytest.mark.nightly
def test_running_request_is_finished_before_the_service_stops(watchme: System) -> None:
    push(watchme, "slow")
    watchme.must_up()
    push(watchme)
    with Load(watchme, [f"{faults.PATH}a/b"] * 2).going() as load:
        watchme.must_up()
    assert load.lost() == {} and 2 < load.slowest < 15


@pytest.mark.nightly
def test_killed_job_loses_no_waiting_request(watchme: System) -> None:
    push(watchme)
    script = "sleep 1; systemctl kill --signal=KILL 'infra-job-*.service'"
    with Load(watchme, PATHS).going() as load:
        with at(watchme, "holding requests for avatar-uploader", script):
            watchme.up()
        watchme.must_up()
    assert load.lost() == {}, load.lost()
    assert leads_to_services(watchme)


@pytest.mark.nightly
def test_restart_of_all_services_loses_no_request(watchme: System) -> None:
    for path in PATHS:
        service = next(e for e in WATCHME["services"] if e.get("routes") and e["routes"][0]["public"] == path)
        unit = f"    unit: {service['unit']}\n"
        watchme.edit(YAML, unit, f"{unit}    init: true\n")
    with Load(watchme, PATHS).going() as load:
        output = watchme.must_up()
    assert "(re)starting 12 units" in output or "(re)starting 13 units" in output, output
    print(f"requests: {load.count}, the longest took {load.slowest:.1f} s")
    assert load.lost() == {} and leads_to_services(watchme)


@pytest.mark.nightly
def test_requests_wait_no_longer_than_the_hold(watchme: System) -> None:
    """What waits longer, and comes then, is refused at once, and asked to come back; none gets to what is unhealthy."""
    watchme.edit(YAML, MARK, f"{MARK}\n    hold: 3\n    drain: 1")
    watchme.must_up()
    push(watchme, "never")
    with watchme.configured(healthDeadline="12"), Load(watchme, PATHS).going() as load:
        assert watchme.up().code != 0
    away = [status for status in load.answers[faults.PATH] if status != 200]
    assert load.lost(but=faults.PATH) == {} and {*away} == {503} and load.headers[503]["Retry-After"] == "10"
    assert load.headers[503]["Access-Control-Allow-Origin"] == "*" and load.slowest < 8
    push(watchme)


@pytest.mark.nightly
def test_restarting_service_without_a_hold_answers_retry_after(watchme: System) -> None:
    """A request that it was answering when it was stopped, and one that Docker takes before it listens, break off: that
    is no refusal."""
    watchme.edit(YAML, MARK, f"{MARK}\n    hold: 0")
    watchme.must_up()
    push(watchme)
    with Load(watchme, PATHS).going() as load:
        watchme.must_up()
    assert load.lost(but=faults.PATH) == {}
    away = [status for status in load.answers[faults.PATH] if status != 200]
    assert set(away) <= {502, 503} and away.count(503) > 0 and away.count(502) <= 2, away
    assert load.headers[503]["Retry-After"] == "10"
    assert load.headers[503]["Access-Control-Allow-Origin"] == "*" and load.slowest < 6
