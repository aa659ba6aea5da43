"""The fault table of the move: whatever fails, and wherever it is killed, the old region is left as it was and keeps serving
until the names point to the new one, nothing of it is deleted before the drain, and the same command goes on.

One move goes through all rows: each fails a step further on. Here it is the way back, from Tokyo to Sydney. All of them
run in the night; by day a refusal on the way there (tests/moves/test_move.py).
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import sleep

import pytest

from lab import registry
from lab.run import run
from tests.moves.on import (
    SYDNEY,
    TOKYO,
    answers,
    client,
    goes_to,
    of_region,
    points_to,
    refused,
    runs,
    turns,
    were_refused,
)
from tests.moves.traffic import inner_address
from tests.rows import rows
from tests.system.conftest import Ran, System, end_session

pytestmark = pytest.mark.lab
OLD, NEW = TOKYO, SYDNEY
Fault = Callable[[System], Ran]


def aws_refuses(*actions: str, region: str = "", body: str = "") -> Fault:
    def fault(system: System) -> Ran:
        with refused(system, *actions, region=region, body=body):
            return system.up()

    return fault


CREATIONS = [
    "CreateVpc", "CreateInternetGateway", "CreateSubnet", "CreateRouteTable", "AssociateRouteTable",
    "CreateSecurityGroup", "AuthorizeSecurityGroup", "CreateRepository", "PutLifecyclePolicy", "CreateRole",
    "PutRolePolicy", "CreateInstanceProfile", "AllocateAddress", "RunInstances", "AssociateAddress", "CreateTopic", "Subscribe",
]  # fmt: skip
REMOVALS = [
    "DisassociateAddress", "ReleaseAddress", "TerminateInstances", "DeleteRolePolicy", "DeleteRepository",
    "DeleteSecurityGroup", "DeleteSubnet", "DeleteVpc", "DeleteAlarms", "Unsubscribe", "DeleteTopic",
]  # fmt: skip


def one_after_the_other(actions: list[str]) -> Fault:
    """Each time the next of these, in the order in which Pulumi comes to them: all that is left is refused, Pulumi does
    one thing at a time, and what it was refused is left out from then on."""
    left = list(actions)

    def fault(system: System) -> Ran:
        with refused(system, *left):
            ran = system.pulumi("up", "--yes", "--skip-preview", "--parallel", "1")
        (action,) = {wanted for wanted in left for asked in were_refused(system) if asked.startswith(wanted)}
        left.remove(action)
        print(f"refused: {action}")
        return ran

    return fault


def killed_at(said: str) -> Fault:
    return lambda system: system.up_killed_at(said)


def killed_with_its_lock(said: str) -> Fault:
    """As above, and its lock stays: `infra move`, which comes next, does not know whether that update still runs."""

    def fault(system: System) -> Ran:
        return system.up_and(said, lambda process: end_session(process.pid))

    return fault


def configured(**values: str) -> Fault:
    def fault(system: System) -> Ran:
        with system.configured(**values):
            return system.up()

    return fault


def never_boots(system: System) -> Ran:
    """The machine is there, and hangs."""
    container = system.container_of("watchme", NEW)
    run("docker", "pause", container)
    with system.configured(readyTimeout="15"):
        ran = system.up()
    run("docker", "unpause", container)
    return ran


def registry_down(system: System) -> Ran:
    """The new region's registry goes away while images are being copied into it."""
    ran = system.up_and("by watchme itself", lambda _: registry.daemon(system.lab, NEW).stop(patience=1))
    registry.start_in(system.lab, NEW)
    return ran


def proxy_down(system: System) -> Ran:
    """The new host's proxy ends between its release and the gate."""
    ran = system.up_and("3 times in a row", lambda _: system.on_host("systemctl", "stop", "nginx", region=NEW))
    system.on_host("systemctl", "start", "nginx", region=NEW)
    return ran


def credentials_expire(system: System) -> Ran:
    """The administrator's key is refused from the middle on."""

    def expire(_) -> None:
        stopping.enter_context(refused(system, "", reason="ExpiredTokenException"))

    with ExitStack() as stopping:
        return system.up_and(f"watchme-{NEW}-ready created", expire)


def interrupted(system: System) -> Ran:
    """Ctrl-C in a terminal reaches `infra move` and Pulumi alike."""
    command = ["infra", "move", NEW, "--retire", "--yes", "--stack", "lab"]
    # The lock of the row before is that of a plain `pulumi up`: whether it still runs, a person has to say
    locked = system.command(*command)
    assert locked.code == 1, locked.output
    assert "which may still be running; once it no longer runs: pulumi cancel --stack lab" in locked.output, (
        locked.output
    )
    assert system.pulumi("cancel", "--yes").code == 0
    ran = system.follow("3 times in a row", lambda process: os.killpg(process.pid, signal.SIGINT), *command)
    assert f"an unfinished move to {NEW}: it continues" in ran.output, ran.output
    return ran


COMPOSE = ("/usr/bin/docker-compose", "/usr/libexec/docker/cli-plugins/docker-compose")


def without_compose(system: System) -> Ran:
    """The new host does not take its release."""
    for path in COMPOSE:
        assert system.on_host("mv", path, f"{path}.away", region=NEW).code == 0
    ran = system.up()
    for path in COMPOSE:
        assert system.on_host("mv", f"{path}.away", path, region=NEW).code == 0
    return ran


def never_healthy(system: System) -> Ran:
    """The new host's release comes to nothing: a port of it is deaf while the others are healthy."""
    rule = ["INPUT", "-i", "lo", "-p", "tcp", "--dport", "9000", "-j", "DROP"]
    system.on_host("iptables", "-I", *rule, region=NEW)
    with system.configured(healthDeadline="15"):
        ran = system.up()
    system.on_host("iptables", "-D", *rule, region=NEW)
    return ran


def away_after_the_switch(system: System) -> Ran:
    """The new host's proxy ends between the switch and the look at every public path."""
    stop = lambda _: system.on_host("systemctl", "stop", "nginx", region=NEW)  # noqa: E731
    with system.configured(confirmDeadline="20"):
        ran = system.up_and("with the new address of", stop)
    system.on_host("systemctl", "start", "nginx", region=NEW)
    return ran


@contextmanager
def still_asked(system: System) -> Iterator[None]:
    """A client that never asks for the name again goes on asking the old region."""
    address = client(system, "ec2", OLD).describe_addresses()["Addresses"][0]["PublicIp"]
    inner, stop = inner_address(system, address), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            assert system.ask("GET", "/health", address=inner)[0] == 200
            sleep(0.5)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def never_quiet(system: System) -> Ran:
    with still_asked(system), system.configured(drainLimit="10"):
        return system.up()


@dataclass(frozen=True)
class Row:
    """What happens, what the user is shown, and which region serves afterwards."""

    fault: Fault
    message: str
    serves: str = OLD


NEXT_CREATION, NEXT_REMOVAL = one_after_the_other(CREATIONS), one_after_the_other(REMOVALS)


ROWS = {
    "the provider is refused": Row(aws_refuses("GetCallerIdentity"), "AccessDenied"),
    **{f"creation {number} is refused": Row(NEXT_CREATION, "AccessDenied") for number in range(1, len(CREATIONS) + 1)},
    "killed while booting": Row(killed_at(f"watchme-{NEW}-ready creating"), ""),
    "the machine does not boot": Row(never_boots, "is not ready for a release after 15 s"),
    "credentials expire in the middle": Row(credentials_expire, "ExpiredToken"),
    "the registry goes away": Row(registry_down, "not copied"),
    "killed while copying": Row(killed_at("copied watchme-"), ""),
    "the release is refused": Row(without_compose, "not installed: docker-compose"),
    "the release is never healthy": Row(never_healthy, "rolled back on watchme"),
    "killed while releasing": Row(killed_at("switching"), ""),
    "an alarm is refused": Row(aws_refuses("PutMetricAlarm"), "AccessDenied"),
    "the proxy ends before the gate": Row(proxy_down, "no name was switched"),
    "killed, and its lock is left": Row(killed_with_its_lock("3 times in a row"), ""),
    "infra move is interrupted": Row(interrupted, "interrupted; run the same command again to continue"),
    "killed at the gate": Row(killed_at("3 times in a row"), ""),
    "the record is refused": Row(aws_refuses("rrset", body="<Type>A</Type>"), "AccessDenied"),
    "the name servers do not answer": Row(
        configured(**{"nameServers[0]": "127.73.255.9:53", "confirmDeadline": "5"}), "does not answer for", NEW
    ),
    "the proxy ends after the switch": Row(away_after_the_switch, "the old region still exists", NEW),
    "killed at the verification": Row(killed_at("with the new address of"), "", NEW),
    "the old region is still asked": Row(never_quiet, "Nothing was deleted, and everything is served", NEW),
    "killed while draining": Row(killed_at("until no more requests come"), "", NEW),
}


@pytest.fixture(scope="module")
def leaving(sydney: System) -> System:
    """The stack serves from one region, and its configuration says the other."""
    if points_to(sydney) != OLD or of_region(sydney, NEW):
        # Nothing of the other region is left, not even as a standby
        goes_to(sydney, OLD)
        sydney.must_up()
    goes_to(sydney, NEW)
    # Sydney's earlier network belonged to another: this time one is made, or refused
    sydney.unset("infra:networks")
    return sydney


@pytest.fixture(scope="module")
def began(leaving: System) -> float:
    """When the first row began, by the clock of the scheduler's log."""
    return runs(leaving)[-1][0]


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """A line a row, for people: `pytest -s` shows it at the end."""
    lines = ["| what fails | what is shown | serves |", "|---|---|---|"]
    yield lines
    print("\n".join(["", *lines]))


@pytest.mark.parametrize("name", rows(ROWS, always=[]))
def test_a_failure_leaves_the_old_region_whole(leaving, began, name, table):
    row = ROWS[name]
    before = of_region(leaving, OLD)
    ran = row.fault(leaving)
    assert ran.code != 0, ran.output
    assert row.message in ran.output, ran.output
    assert points_to(leaving) == row.serves and answers(leaving)
    assert of_region(leaving, OLD) == before and len(before) > 40
    assert leaving.ask("GET", "/health", address=old_address(leaving))[0] == 200
    said = next((line.strip() for line in ran.output.splitlines() if row.message and row.message in line), "(killed)")
    table.append(f"| {name} | {said[:140]} | {row.serves} |")


def old_address(system: System) -> str:
    return client(system, "ec2", OLD).describe_addresses()["Addresses"][0]["PublicIp"]


DELETIONS = {
    **{
        f"deletion {number} is refused": Row(NEXT_REMOVAL, "AccessDenied", NEW)
        for number in range(1, len(REMOVALS) + 1)
    },
    "killed while deleting": Row(killed_at("deleting ("), "", NEW),
}


@pytest.mark.parametrize("name", rows(DELETIONS, always=[]))
def test_a_failed_deletion_leaves_the_new_region_serving(leaving, name, table):
    row = DELETIONS[name]
    ran = row.fault(leaving)
    assert ran.code != 0 and row.message in ran.output, ran.output
    assert points_to(leaving) == NEW and answers(leaving)
    table.append(f"| {name} | {row.message or '(killed)'} | {row.serves} |")


@pytest.mark.nightly
def test_the_same_command_comes_to_the_end(leaving):
    leaving.must_up()
    assert points_to(leaving) == NEW and answers(leaving) and not of_region(leaving, OLD)
    ran = leaving.pulumi("preview", "--expect-no-changes")
    assert ran.code == 0, ran.output
    assert leaving.containers_of("watchme", OLD) == [] and len(leaving.containers_of("watchme")) == 1


@pytest.mark.nightly
def test_only_one_scheduler_ran_during_all_faults(leaving, began):
    """Whatever failed, and whatever was killed: no one's turn came again once another's had begun."""
    seen = turns([run for run in runs(leaving) if run[0] >= began])
    assert len(seen) == len({machine for machine, _, _ in seen}) == 2, seen


@pytest.mark.nightly
def test_a_move_that_is_given_up_leaves_nothing_behind(leaving):
    """Back by setting aws:region back, half-way: the half-built region goes, and nothing waits for it to be quiet."""
    goes_to(leaving, OLD)
    with refused(leaving, "RunInstances"):
        assert leaving.up().code != 0
    assert of_region(leaving, OLD)
    goes_to(leaving, NEW)
    output = leaving.must_up()
    assert not of_region(leaving, OLD) and points_to(leaving) == NEW
    assert "until no more requests come" not in output
