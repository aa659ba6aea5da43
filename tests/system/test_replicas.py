"""Several of one service behind the proxy: none of its users notices when they change."""

from collections.abc import Iterator

import pytest

from tests.support import WATCHME
from tests.system import faults
from tests.system.conftest import System
from tests.system.faults import Load, at, push, serving
from tests.system.on import wait_until_well

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
YAML = "files/systems/watchme.yaml"
PATHS = [e["routes"][0]["public"] for e in WATCHME["services"] if not e.get("retired") and not e.get("single")]
PLACE = "    port: 8014\n    address: 172.27.0.16\n"
SEVERAL = "    port: 8014\n    replicas: {}\n"
UNITS = ["watchme-avatar-uploader.service", "watchme-avatar-uploader-2.service"]


@pytest.fixture(scope="module")
def watchme_of_two(system: System) -> Iterator[System]:
    """The owner's budget has no room for a second one beside a reserve of 1g."""
    with system.configured(**{"hosts.watchme.reserve": "800m"}):
        wait_until_well(system)
        system.edit(YAML, PLACE, SEVERAL.format(2))
        with Load(system, PATHS).going() as load:
            output = system.must_up()
        assert "starting avatar-uploader/2 by itself" in output, output
        assert "restarting avatar-uploader by itself" in output, output
        assert load.lost() == {} and len(load.answers[faults.PATH]) > 10
        yield system
        system.restore_all()


def instances(system: System) -> list[str]:
    names = system.on_host("docker", "ps", "--format", "{{.Names}}").output.split()
    return sorted(name for name in names if name.startswith("watchme-avatar-uploader"))


def requests_of(system: System, unit: str) -> str:
    return system.on_host("systemctl", "show", "-p", "InvocationID", "--value", unit).output


def test_both_replicas_serve_and_are_listed(watchme_of_two: System) -> None:
    system = watchme_of_two
    assert instances(system) == ["watchme-avatar-uploader", "watchme-avatar-uploader-2"]
    said = system.command("infra", "status", "--stack", "lab", "--host", "watchme").output
    # Each of them has a probe of its own
    count = sum(not entry.get("retired") for entry in WATCHME["services"]) + 1
    assert f"services: {count} of {count} healthy" in said, said
    logs = system.command("infra", "logs", "avatar-uploader", "--stack", "lab").output
    assert logs.count(f"{faults.REPOSITORY} listens on 8014") >= 2, logs
    monitor = system.on_host("/usr/local/bin/infra-monitor", "--quiet").output
    assert "avatar-uploader" not in monitor, monitor
    # One of them ends by itself: the other one takes the requests
    with Load(system, [faults.PATH]).going() as load:
        system.on_host("docker", "kill", "watchme-avatar-uploader-2")
        wait_until_well(system, 40)
    assert set(load.answers[faults.PATH]) <= {200, 502} and load.answers[faults.PATH].count(502) <= 2


def test_rolling_release_loses_no_request(watchme_of_two: System) -> None:
    system = watchme_of_two
    before = [requests_of(system, unit) for unit in UNITS]
    push(system)
    previewed = system.command("infra", "preview", "--stack", "lab").output
    assert "restart one after the other" in previewed, previewed
    with Load(system, PATHS).going() as load:
        system.must_up()
    print(f"requests: {sum(len(seen) for seen in load.answers.values())}, lost: {load.lost()}")
    assert load.lost() == {} and len(load.answers[faults.PATH]) > 10
    assert all(one != other for one, other in zip(before, [requests_of(system, unit) for unit in UNITS], strict=True))


def test_unhealthy_replica_gets_no_request(watchme_of_two: System) -> None:
    system = watchme_of_two
    release, second = serving(system), requests_of(system, UNITS[1])
    push(system, "never")
    with system.configured(healthDeadline="8"), Load(system, PATHS).going() as load:
        ran = system.up()
    assert ran.code != 0 and "rolled back on watchme: avatar-uploader" in ran.output, ran.output
    assert load.lost() == {} and serving(system) == release and len(instances(system)) == 2
    assert requests_of(system, UNITS[1]) == second, "the other one was touched"
    push(system)
    system.must_up()


def test_long_request_is_finished_before_the_restart(watchme_of_two: System) -> None:
    system = watchme_of_two
    push(system, "slow")
    system.must_up()
    push(system)
    with Load(system, [f"{faults.PATH}a/b"] * 2).going() as load:
        system.must_up()
    assert load.lost() == {} and 2 < load.slowest < 12


def test_killed_rolling_release_loses_no_request(watchme_of_two: System) -> None:
    """The agent's job is killed with one restarted: the next one finishes or undoes it, and both serve again."""
    system = watchme_of_two
    push(system)
    script = "sleep 1; systemctl kill --signal=KILL 'infra-job-*.service'"
    with Load(system, PATHS).going() as load:
        with at(system, "restarting avatar-uploader/2 by itself", script):
            system.up()
        system.must_up()
    assert load.lost() == {}, load.lost()
    assert len(instances(system)) == 2
    links = system.on_host("ls", "/etc/nginx/replicas/avatar-uploader.d").output.split()
    assert links == ["1.conf", "2.conf"]


def test_removed_replica_loses_no_request(watchme_of_two: System) -> None:
    system = watchme_of_two
    system.edit(YAML, SEVERAL.format(2), SEVERAL.format(1))
    with Load(system, PATHS).going() as load:
        system.must_up()
    assert load.lost() == {} and instances(system) == ["watchme-avatar-uploader"]
