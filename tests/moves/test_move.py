"""A stack moves from Sydney to Tokyo by one changed value, and back: what its users and its owner see of that."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from time import monotonic

import pytest

from lab.images import build_programs
from lab.registry import push_stub, tags
from lab.stubs import stubs
from tests.moves.on import (
    SYDNEY,
    TOKYO,
    answers,
    goes_to,
    of_region,
    points_to,
    refused,
    region_of,
    resources,
    runs,
    stays_in,
    turns,
)
from tests.moves.traffic import Clients
from tests.rows import rows
from tests.system.conftest import System
from tests.system.on import until

pytestmark = pytest.mark.lab
CHECK = 12  # seconds: infra:singleCheck of stack lab
CATALOGUE = "files/systems/watchme.yaml"


@pytest.fixture(scope="module")
def clients(sydney: System) -> Clients:
    return Clients(sydney)


@pytest.fixture(scope="module")
def turned(sydney: System) -> list[str]:
    """The machines that the name pointed to, one after the other."""
    until("the scheduler", lambda: sydney.lab.path("run", "runs").exists())
    return [machine(sydney, SYDNEY)]


def machine(system: System, region: str) -> str:
    return system.command(
        "docker", "inspect", "-f", "{{.Config.Hostname}}", system.container_of("watchme", region)
    ).output.strip()


def settled(system: System, turned: list[str], region: str) -> None:
    """The scheduler runs where the name points, and the one before has not run since it began."""
    turned.append(machine(system, region))
    until("the scheduler's turn", lambda: runs(system)[-1][1] == turned[-1], 2 * CHECK)


def push(system: System, region: str, repository: str, version: int) -> None:
    facts = {**stubs()[repository], "version": version}
    push_stub(system.lab, region, repository, facts, build_programs())


def images(system: System, region: str) -> dict[str, str]:
    """Repository → digest of what the catalogue runs of it."""
    return {name: tags(system.lab, region, name)["latest"] for name in stubs()}


def test_missing_image_is_reported_before_the_move(sydney):
    goes_to(sydney, TOKYO)
    sydney.edit(CATALOGUE, "repository: watchme-api-ast, tag: latest", "repository: watchme-api-ast, tag: next")
    ran = sydney.up()
    sydney.restore(CATALOGUE)
    assert ran.code != 0
    assert "nothing was touched: 1 image neither in ap-southeast-2 nor in ap-northeast-1" in ran.output
    assert "uv run infra push watchme-api-ast:next --from YOUR-IMAGE --region ap-southeast-2 --stack lab" in ran.output
    assert not of_region(sydney, TOKYO)


def test_a_creation_that_aws_refuses_leaves_the_old_region_whole(sydney):
    """And the same command, which is the next test, comes to the end."""
    before = of_region(sydney, SYDNEY)
    with refused(sydney, "CreateRepository"):
        ran = sydney.up()
    assert ran.code != 0 and "AccessDenied" in ran.output, ran.output
    assert points_to(sydney) == SYDNEY and answers(sydney)
    assert before and of_region(sydney, SYDNEY) == before


def test_move_loses_no_request_and_can_keep_the_old_region(sydney, clients, turned):
    """With an image that is pushed to Sydney while it is under way."""
    goes_to(sydney, TOKYO, SYDNEY)
    with clients.going():
        ran = sydney.up_and("waiting for 12 services", lambda _: push(sydney, SYDNEY, "watchme-web", 77))
        assert ran.code == 0, ran.output
        until("clients in both regions", lambda: len(clients.served) == 2)
    assert clients.failed == []
    assert points_to(sydney) == TOKYO and of_region(sydney, SYDNEY)
    assert "13 images have the same digest in both regions: 13 copied" in ran.output
    assert "13 images have the same digest in both regions: 12 already present, 1 copied" in ran.output
    assert images(sydney, SYDNEY) == images(sydney, TOKYO)
    settled(sydney, turned, TOKYO)


@pytest.mark.nightly
def test_edit_during_a_move_is_applied_by_the_next_update(sydney):
    assert "files changed" in sydney.must_up()
    ran = sydney.pulumi("preview", "--expect-no-changes")
    assert ran.code == 0, ran.output


@pytest.mark.nightly
def test_a_standby_gets_every_release_and_image(sydney):
    push(sydney, TOKYO, "watchme-admin", 5)
    output = sydney.must_up()
    assert output.count("applied on watchme") >= 2
    assert images(sydney, SYDNEY) == images(sydney, TOKYO)


@pytest.mark.nightly
def test_going_back_to_a_standby_releases_nothing_and_loses_nothing(sydney, clients, turned):
    """Even where the host that is left cannot ask whose the name is: its scheduler ends, and only then another begins."""
    goes_to(sydney, SYDNEY, TOKYO)
    before, served = resources(sydney), dict(clients.served)
    switched: list[float] = []
    with clients.going(), cut_off_from_route_53(sydney, TOKYO):
        began = monotonic()
        ran = sydney.up_and("api.hey-watch.me updated", lambda _: switched.append(monotonic()))
        assert ran.code == 0, ran.output
        print(
            f"the names pointed back after {switched[0] - began:.1f} s, all was done after {monotonic() - began:.1f} s"
        )
        until("clients in Sydney", lambda: clients.in_region(SYDNEY) > served_in(sydney, served, SYDNEY) + 1000, 120)
    assert clients.failed == []
    assert "switching" not in ran.output, "no release was needed"
    assert {name for name in before if "instance" in name} <= set(resources(sydney))
    settled(sydney, turned, SYDNEY)


@pytest.mark.nightly
def test_move_retires_the_old_region_without_requests(sydney, clients, turned):
    """20,000 requests at least through a whole move and a way back, none lost; and the region that is left goes."""
    goes_to(sydney, TOKYO)
    with clients.going():
        output = sydney.must_up()
        assert points_to(sydney) == TOKYO and not of_region(sydney, SYDNEY)
        settled(sydney, turned, TOKYO)
        until("20,000 requests", lambda: clients.count >= 20_000, 240)
    assert clients.failed == [] and clients.count >= 20_000
    print(f"{clients.count} requests, {len(clients.failed)} failed: {clients.served}")
    assert output.index("drain ap-southeast-2: quiet after") < output.index("watchme-ap-southeast-2-instance deleted")
    assert sydney.containers_of("watchme", SYDNEY) == []
    ran = sydney.pulumi("preview", "--expect-no-changes")
    assert ran.code == 0, ran.output


def served_in(system: System, served: dict[str, int], region: str) -> int:
    return sum(count for address, count in served.items() if region_of(system, address) == region)


@contextmanager
def cut_off_from_route_53(system: System, region: str) -> Iterator[None]:
    rule = ["OUTPUT", "-p", "tcp", "-d", system.lab.gateway, "--dport", "443", "-j", "DROP"]
    assert system.on_host("iptables", "-I", *rule, region=region).code == 0
    try:
        yield
    finally:
        system.on_host("iptables", "-D", *rule, region=region)


def test_only_one_scheduler_ran_during_the_move(sydney, turned):
    seen = turns(runs(sydney))
    assert [machine for machine, _, _ in seen] == turned
    gaps = [begin - end for (_, _, end), (_, begin, _) in pairwise(seen)]
    print(f"handed over after {[round(gap, 1) for gap in gaps]} s")
    # The second time the one before had ended long before the name moved: it could not ask
    assert all(gap > 0 for gap in gaps) and all(gap <= 2 * CHECK + 5 for gap in (gaps[0], *gaps[2:]))


def runs_here(system: System) -> bool:
    return system.on_host("test", "-e", "/run/infra/single/scheduler").code == 0


@pytest.mark.nightly
def test_singleton_stops_without_route_53_and_restarts(sydney):
    """A host that cannot ask does not know whether another host has begun."""
    with cut_off_from_route_53(sydney, TOKYO):
        until("the end of the scheduler", lambda: not runs_here(sydney), 2 * CHECK)
        quiet = len(runs(sydney))
    until("the scheduler", lambda: len(runs(sydney)) > quiet + 5, 4 * CHECK)


@pytest.mark.nightly
def test_hanging_watch_is_ended_with_its_singleton(sydney):
    pid = sydney.on_host("systemctl", "show", "-p", "MainPID", "--value", "infra-singles.service").output
    assert sydney.on_host("kill", "-STOP", pid).code == 0
    until("the end of the scheduler", lambda: not runs_here(sydney), 2 * CHECK)
    until("the scheduler", lambda: runs_here(sydney), 4 * CHECK)
    assert sydney.on_host("systemctl", "show", "-p", "MainPID", "--value", "infra-singles.service").output != pid


BAD = {
    "unknown region": (
        "aws:region",
        "ap-northeast-9",
        "aws:region: 'ap-northeast-9' is not an AWS region; did you mean ap-northeast-",
    ),
    "standby where it serves": (
        "infra:standbyRegions[0]",
        TOKYO,
        "infra:standbyRegions: ap-northeast-1 is aws:region itself",
    ),
    "no such machine there": ("infra:hosts.watchme.instanceType", "t4g.nano2", "instanceType 't4g.nano2'; known types"),
}


@pytest.mark.parametrize("name", rows(BAD, always=["unknown region"]))
def test_bad_input_is_refused_before_anything_is_touched(sydney, name):
    key, value, line = BAD[name]
    before = sydney.lab.config_file.read_text()
    sydney.set(key, value)
    ran = sydney.up()
    sydney.lab.config_file.write_text(before)
    assert ran.code != 0 and line in ran.output and "nothing was touched" in ran.output, ran.output
    assert answers(sydney)


@pytest.mark.nightly  # where the tests before it have retired that region
def test_a_region_without_the_type_of_machine_is_refused(sydney):
    stays_in(sydney)
    with refused(sydney, "DescribeInstanceTypeOfferings", region=SYDNEY):
        goes_to(sydney, SYDNEY)
        ran = sydney.up()
    goes_to(sydney, TOKYO)
    assert ran.code != 0 and "nothing was touched: instance types of ap-southeast-2" in ran.output, ran.output
