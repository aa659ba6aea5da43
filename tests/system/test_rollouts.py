"""What users notice of a release, under continuous requests."""

import json
from collections.abc import Iterator

import pytest

from tests.support import WATCHME
from tests.system import faults
from tests.system.conftest import System
from tests.system.faults import Load, push, serving
from tests.system.on import wait_until_well

pytestmark = pytest.mark.lab
YAML = "files/systems/watchme.yaml"
# The scheduler follows Route 53, whose emulator may be late on a loaded machine: tests/moves is about that one
PATHS = [e["routes"][0]["public"] for e in WATCHME["services"] if not e.get("retired") and not e.get("single")]
MARK = "    unit: watchme-avatar-uploader.service"
BLUE_GREEN = f"{MARK}\n    rollout: blue-green\n    spare_port: 8094\n    spare_address: 172.27.0.94"


@pytest.fixture(scope="module")
def blue_green(system: System) -> Iterator[System]:
    """One service has two places. The owner's budget has no room for it beside a reserve of 1g."""
    with system.configured(**{"hosts.watchme.reserve": "800m"}):
        system.edit(YAML, MARK, BLUE_GREEN)
        system.must_up()
        wait_until_well(system)
        yield system
        system.restore_all()


def instances(system: System) -> list[str]:
    names = system.on_host("docker", "ps", "--format", "{{.Names}}").output.split()
    return sorted(name for name in names if name.startswith("watchme-avatar-uploader"))


def test_rollout_beyond_the_memory_budget_is_refused(watchme):
    watchme.edit(YAML, MARK, BLUE_GREEN)
    ran = watchme.up()
    assert ran.code != 0 and "(avatar-uploader twice, for rollout: blue-green)" in ran.output


def memory_of_waiting(system: System) -> float:
    """Proportional memory, in MiB, of all that the services' units keep running besides their containers."""
    script = "for p in $(pgrep -f 'docker-compose|unix-socket /run/docker.sock'); do grep -h ^Pss: /proc/$p/smaps_rollup; done"
    return sum(int(line.split()[1]) for line in system.on_host("sh", "-c", script).output.splitlines()) / 1024


def test_memory_cost_of_units_is_small(system):
    wait_until_well(system)
    cost = memory_of_waiting(system)
    print(f"the services' units: {cost:.0f} MiB")
    assert 1 < cost <= 100


@pytest.mark.nightly
def test_unit_follows_the_documented_pattern(system):
    """After the infrastructure unit; restart within 10 s; stop stops the container; logs in the journal."""
    unit = faults.UNIT
    show = system.on_host("systemctl", "show", "-p", "After,Requires,Restart,RestartUSec", unit).output
    assert "watchme-infrastructure.service" in show and "Restart=always" in show and "RestartUSec=10s" in show
    said = system.on_host("journalctl", "-u", unit, "-o", "cat", "--no-pager").output
    assert f"{faults.REPOSITORY} listens on 8014" in said
    system.on_host("systemctl", "stop", unit)
    assert "watchme-avatar-uploader" not in instances(system)
    system.on_host("systemctl", "start", unit)
    wait_until_well(system, 30)
    system.on_host("docker", "kill", "watchme-avatar-uploader")
    wait_until_well(system, 40)


@pytest.mark.nightly
def test_blue_green_release_loses_no_request(blue_green):
    watchme = blue_green
    assert instances(watchme) == ["watchme-avatar-uploader-blue"]
    for slot in ("green", "blue"):
        push(watchme)
        with Load(watchme, PATHS).going() as load:
            output = watchme.must_up()
        assert "directing avatar-uploader to the new slot" in output
        count = sum(len(seen) for seen in load.answers.values())
        print(f"requests: {count}, lost: {load.lost()}")
        assert load.lost() == {} and len(load.answers[faults.PATH]) > 10
        assert instances(watchme) == [f"watchme-avatar-uploader-{slot}"]
    served = json.loads(watchme.ask("GET", "/avatar/a/b")[2])
    assert served["service"] == faults.REPOSITORY


@pytest.mark.nightly
def test_unhealthy_blue_green_release_gets_no_request(blue_green):
    watchme = blue_green
    before = serving(watchme)
    push(watchme, "never")
    with watchme.configured(healthDeadline="8"), Load(watchme, PATHS).going() as load:
        ran = watchme.up()
    assert ran.code != 0 and "rolled back on watchme" in ran.output
    assert load.lost() == {} and serving(watchme) == before
    assert len(instances(watchme)) == 1
    push(watchme)
    watchme.must_up()


@pytest.mark.nightly
def test_a_request_that_takes_long_is_finished_by_the_old_container(blue_green):
    """Draining: what began before the hand-over ends as it began."""
    watchme = blue_green
    push(watchme, "slow")
    watchme.must_up()
    push(watchme)
    with Load(watchme, [f"{faults.PATH}a/b"] * 1).going() as load:
        watchme.must_up()
    assert load.lost() == {} and 2 < load.slowest < 10
