"""A service on another host than its system: reached by the same public path, from its system's host alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import WATCHME
from tests.system.conftest import System
from tests.system.faults import Load
from tests.system.on import wait_until_well
from tests.system.one_service import CONTAINER, REPOSITORY, SERVICE, push

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
ELSEWHERE = "services"
(ENTRY,) = [entry for entry in WATCHME["services"] if entry["name"] == SERVICE]
PATH, PORT = ENTRY["routes"][0]["public"], str(ENTRY.get("container_port") or ENTRY["port"])


def private_address(system: System) -> str:
    return json.loads(system.output("privateAddresses"))[ELSEWHERE]


@dataclass
class Placed:
    system: System
    load: Load
    said: str

    def containers(self, host: str) -> list[str]:
        return self.system.on_host("docker", "ps", "--format", "{{.Names}}", host=host).output.split()


@pytest.fixture(scope="module")
def placed(system: System) -> Iterator[Placed]:
    """Placed under load; afterwards it is back."""
    configuration = system.lab.config_file.read_text()
    entry = "infra:hosts.services.systems[2]"
    system.set(f"{entry}.system", "watchme")
    system.set(f"{entry}.services[0]", SERVICE)
    with Load(system, [PATH]).going() as load:
        said = system.must_up()
    yield Placed(system, load, said)
    system.lab.config_file.write_text(configuration)
    push(system, REPOSITORY)
    system.must_up()
    wait_until_well(system)
    assert CONTAINER in system.on_host("docker", "ps", "--format", "{{.Names}}").output.split()
    assert CONTAINER not in system.on_host("docker", "ps", "--format", "{{.Names}}", host=ELSEWHERE).output.split()


def test_placed_service_answers_at_its_public_path(placed: Placed) -> None:
    print(f"requests: {placed.load.count}, lost {placed.load.lost()}, the slowest {placed.load.slowest:.1f} s")
    assert placed.system.ask("GET", PATH)[0] == 200
    assert CONTAINER in placed.containers(ELSEWHERE) and CONTAINER not in placed.containers("watchme")
    relay = placed.system.on_host("systemctl", "is-active", f"{SERVICE}-on-{ELSEWHERE}.socket")
    assert relay.output == "active"
    # They waited while its container was gone and the relay had not its port yet
    assert not placed.load.lost() and placed.load.answers[PATH][-5:] == [200] * 5
    assert placed.system.pulumi("preview", "--expect-no-changes").code == 0


def test_only_its_systems_host_reaches_a_placed_service(placed: Placed) -> None:
    address = private_address(placed.system)
    ask = ["curl", "-s", "-m", "3", "--noproxy", "*", "-D-", f"http://{address}:{PORT}/health"]
    answers = {host: placed.system.on_host(*ask, host=host).output for host in ("watchme", "home")}
    assert "200 OK" in answers["watchme"] and "200 OK" not in answers["home"], answers


def test_deploy_and_logs_of_a_placed_service_go_to_its_host(placed: Placed) -> None:
    system = placed.system
    digest = push(system, REPOSITORY, build="placed")
    deployed = system.command("infra", "deploy", SERVICE, "--stack", "lab")
    assert deployed.code == 0 and f"{digest[:19]} serves on {ELSEWHERE}" in deployed.output, deployed.output
    assert system.ask("GET", PATH)[0] == 200
    logs = system.command("infra", "logs", SERVICE, "--stack", "lab", "-n", "20")
    assert logs.code == 0 and f"{REPOSITORY} listens on" in logs.output, logs.output


def test_placed_service_that_is_down_is_reported_on_both_hosts(placed: Placed) -> None:
    system = placed.system
    system.on_host("systemctl", "stop", ENTRY["unit"], host=ELSEWHERE)
    try:
        assert system.ask("GET", PATH)[0] in (502, 503)
        status = system.command("infra", "status", "--stack", "lab")
        assert f"{SERVICE}-on-{ELSEWHERE}" in status.output and status.code != 0, status.output
    finally:
        system.on_host("systemctl", "start", ENTRY["unit"], host=ELSEWHERE)
    wait_until_well(system)
