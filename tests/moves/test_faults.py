"""The fault table of the move: whatever fails, and wherever it is killed, Sydney is left as it was and serves on until the
names point to Tokyo, nothing of it is deleted before the drain, and the same command goes on.

One move from Sydney to Tokyo goes through all rows: each fails a step further on.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep

import pytest

from lab import registry
from lab.run import Daemon, run
from tests.moves.on import (
    SYDNEY,
    TOKYO,
    answers,
    client,
    goes_to,
    of_region,
    points_to,
    refused,
    until,
)
from tests.moves.traffic import inner_address
from tests.system.conftest import Ran, System

pytestmark = pytest.mark.lab
Fault = Callable[[System], Ran]


def aws_refuses(action: str, region: str = TOKYO, body: str = "", reason: str = "AccessDenied") -> Fault:
    def fault(system: System) -> Ran:
        with refused(system, action, region, body, reason):
            return system.up()

    return fault


def killed_at(said: str) -> Fault:
    return lambda system: system.up_killed_at(said)


def configured(**values: str) -> Fault:
    def fault(system: System) -> Ran:
        with system.configured(**values):
            return system.up()

    return fault


def never_boots(system: System) -> Ran:
    """The machine hangs as soon as it is there."""

    def hang(_) -> None:
        until("a machine", lambda: bool(system.containers_of("watchme", TOKYO)))
        run("docker", "pause", system.container_of("watchme", TOKYO))

    with system.configured(readyTimeout="15"):
        ran = system.up_and("watchme-ap-northeast-1-instance created", hang)
    run("docker", "unpause", system.container_of("watchme", TOKYO))
    return ran


def registry_down(system: System) -> Ran:
    """Tokyo's registry goes away while images are being copied into it."""
    daemon = Daemon(f"registry-{TOKYO}", system.lab.path("run"))
    ran = system.up_and("images", lambda _: daemon.stop())
    registry.start(system.lab)
    return ran


def proxy_down(system: System) -> Ran:
    """The new host's proxy ends between its release and the gate."""
    ran = system.up_and("3 times in a row", lambda _: system.on_host("systemctl", "stop", "nginx", region=TOKYO))
    system.on_host("systemctl", "start", "nginx", region=TOKYO)
    return ran


def credentials_expire(system: System) -> Ran:
    """The administrator's key is refused from the middle on."""

    def expire(_) -> None:
        stopping.enter_context(refused(system, "", reason="ExpiredToken"))

    from contextlib import ExitStack

    with ExitStack() as stopping:
        return system.up_and("watchme-ap-northeast-1-address creating", expire)


@contextmanager
def still_asked(system: System) -> Iterator[None]:
    """A client that never asks for the name again goes on asking Sydney."""
    address = client(system, "ec2", SYDNEY).describe_addresses()["Addresses"][0]["PublicIp"]
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
    """What happens, what the user is told, and which region serves afterwards."""

    fault: Fault
    told: str
    serves: str = SYDNEY


KINDS = [
    "CreateVpc", "CreateInternetGateway", "CreateSubnet", "CreateRouteTable", "AssociateRouteTable",
    "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "CreateRepository", "PutLifecyclePolicy", "AllocateAddress",
    "RunInstances", "AssociateAddress",
]  # fmt: skip
ROWS = {
    "the provider is refused": Row(aws_refuses("GetCallerIdentity"), "AccessDenied"),
    **{f"{action} is refused": Row(aws_refuses(action), "AccessDenied") for action in KINDS[:10]},
    **{
        f"{action} is refused": Row(aws_refuses(action, region="us-east-1|ap-"), "AccessDenied")
        for action in ("CreateRole", "PutRolePolicy", "CreateInstanceProfile")
    },
    "credentials expire in the middle": Row(credentials_expire, "ExpiredToken"),
    **{f"{action} is refused": Row(aws_refuses(action), "AccessDenied") for action in KINDS[10:]},
    "the machine does not boot": Row(never_boots, "timeout after 15s"),
    "the registry goes away": Row(registry_down, "image(s) not copied"),
    "killed while copying": Row(killed_at("copied watchme-"), ""),
    "killed while releasing": Row(killed_at("switching"), ""),
    "the proxy ends before the gate": Row(proxy_down, "no name was pointed there"),
    "killed at the gate": Row(killed_at("3 times in a row"), ""),
    "the record is refused": Row(aws_refuses("rrset", region="", body="<Type>A</Type>"), "AccessDenied"),
    "the name servers do not answer": Row(
        configured(**{"nameServers[0]": "127.73.255.9:53", "confirmDeadline": "5"}), "does not answer for", TOKYO
    ),
    "Sydney is still asked": Row(never_quiet, "Nothing was deleted, and all is served", TOKYO),
    "killed while draining": Row(killed_at("names may be remembered"), "", TOKYO),
}


@pytest.fixture(scope="module")
def leaving(sydney: System) -> System:
    """The stack serves from Sydney, and its configuration says Tokyo."""
    if points_to(sydney) != SYDNEY:
        goes_to(sydney, SYDNEY)
        sydney.must_up()
    goes_to(sydney, TOKYO)
    return sydney


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_failure_leaves_the_old_region_whole(leaving, row):
    before = of_region(leaving, SYDNEY)
    ran = row.fault(leaving)
    assert ran.code != 0, ran.output
    assert row.told in ran.output, ran.output
    assert points_to(leaving) == row.serves and answers(leaving)
    assert of_region(leaving, SYDNEY) == before and len(before) > 40
    assert leaving.ask("GET", "/health", address=sydneys_address(leaving))[0] == 200


def sydneys_address(system: System) -> str:
    return client(system, "ec2", SYDNEY).describe_addresses()["Addresses"][0]["PublicIp"]


DELETIONS = {
    "an instance that is not terminated": Row(aws_refuses("TerminateInstances", region=SYDNEY), "AccessDenied", TOKYO),
    "a repository that is not deleted": Row(aws_refuses("DeleteRepository", region=SYDNEY), "AccessDenied", TOKYO),
    "killed while deleting": Row(killed_at("network-ap-southeast-2-hosts delet"), "", TOKYO),
}


@pytest.mark.parametrize("row", DELETIONS.values(), ids=DELETIONS)
def test_a_failed_deletion_leaves_the_new_region_serving(leaving, row):
    ran = row.fault(leaving)
    assert ran.code != 0 and row.told in ran.output, ran.output
    assert points_to(leaving) == TOKYO and answers(leaving)


def test_the_same_command_comes_to_the_end(leaving):
    leaving.must_up()
    assert points_to(leaving) == TOKYO and answers(leaving) and not of_region(leaving, SYDNEY)
    ran = leaving.pulumi("preview", "--expect-no-changes")
    assert ran.code == 0, ran.output
    assert leaving.containers_of("watchme", SYDNEY) == [] and len(leaving.containers_of("watchme")) == 1


def test_a_move_that_is_given_up_leaves_nothing_behind(leaving):
    """Back by setting aws:region back, half-way: the half-built region goes, and nothing waits for it to be quiet."""
    goes_to(leaving, SYDNEY)
    with refused(leaving, "RunInstances", SYDNEY):
        assert leaving.up().code != 0
    assert of_region(leaving, SYDNEY)
    goes_to(leaving, TOKYO)
    output = leaving.must_up()
    assert not of_region(leaving, SYDNEY) and points_to(leaving) == TOKYO and "drain" not in output
