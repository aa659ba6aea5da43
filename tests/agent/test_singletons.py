"""Services of which at most one instance runs anywhere: when a host starts its own, and when it stops it."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import nameservers
from agent.singletons import LOOKS, NameServers, Route53, Watch
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, release, world_for

CHECK = 30.0
STEP = CHECK / LOOKS
HERE, AWAY, SILENT = ["127.71.0.2"], ["127.71.0.9"], None
FLAG = "/run/infra/single/scheduler"
CONFIG = {
    "zone": "hey-watch.me",
    "check": CHECK,
    "address": HERE[0],
    "singles": [{"service": "scheduler", "unit": "watchme-scheduler.service", "name": "api.hey-watch.me"}],
}


class Host(FakeWorld):
    """Knows its flags as files, and the services that run while they are there."""

    def end_container(self, name):
        self.ran.append(f"end container {name}")
        return [4711]

    def exists(self, path):
        return path in self.files

    @property
    def runs(self) -> bool:
        return FLAG in self.files


def watched(answers) -> list[bool]:
    """Does the service run after each look."""
    world = Host(there=set())
    given = iter(answers)
    watch = Watch(world, CONFIG, lambda name: next(given), lambda line: None)
    seen = []
    for _ in answers:
        watch.look()
        seen.append(world.runs)
        world.clock += STEP
    return seen


LOOKED = {
    "it starts after a whole check": ([HERE] * 8, [False] * 6 + [True] * 2),
    "not before the name points here": ([AWAY] * 3 + [HERE] * 7, [False] * 9 + [True]),
    "an answer in between begins again": ([HERE] * 5 + [AWAY] + [HERE] * 7, [False] * 12 + [True]),
    "it stops at the first word": ([HERE] * 7 + [AWAY], [False] * 6 + [True, False]),
    "a name without an address is not ours": ([HERE] * 7 + [[]], [False] * 6 + [True, False]),
    "two addresses are no one's": ([HERE] * 7 + [[*HERE, *AWAY]], [False] * 6 + [True, False]),
    "a moment of silence is nothing": ([HERE] * 7 + [SILENT, HERE], [False] * 6 + [True] * 3),
    "a third of a check is too much": ([HERE] * 7 + [SILENT] * 3, [False] * 6 + [True, True, True, False]),
    "silence starts nothing": ([SILENT] * 20, [False] * 20),
}


@pytest.mark.parametrize(("answers", "runs"), LOOKED.values(), ids=LOOKED)
def test_a_host_looks_and_decides(answers, runs):
    assert watched(answers) == runs


STEPS = st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from("ab")))
# The ways that matter last for longer than a look: a name that stays, a host that is cut off for a while
SPANS = st.lists(st.tuples(STEPS, st.integers(1, 3 * LOOKS)), min_size=1, max_size=12)


@given(SPANS, st.floats(0, STEP))
def test_singleton_never_runs_on_two_hosts(spans, shift):
    """The name moves to and fro, and either host may be cut off meanwhile, while it moves too: whatever each of them
    hears, and whenever it looks, there is never a moment for both."""
    steps = [step for step, times in spans for _ in range(times)]
    addresses = {"a": "10.0.0.1", "b": "10.0.0.2"}
    worlds = {host: Host(there=set()) for host in addresses}
    points, deaf = "a", set()
    watches = {
        host: Watch(
            worlds[host],
            CONFIG | {"address": addresses[host]},
            lambda name, host=host: None if host in deaf else [addresses[points]],
            lambda line: None,
        )
        for host in addresses
    }
    for number, (points, deaf) in enumerate(itertools.chain(steps, [("a", set())] * LOOKS * 2)):
        for host in addresses:
            worlds[host].clock = number * STEP + (shift if host == "b" else 0)
            watches[host].look()
            assert not (worlds["a"].runs and worlds["b"].runs), f"both at number {number}: {points}, deaf {deaf}"
    # Never none for longer than two checks once it rests
    assert worlds["a"].runs and not worlds["b"].runs


ANSWER = """<?xml version="1.0"?><R xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>
<ResourceRecordSet><Name>{name}</Name><Type>A</Type><ResourceRecords><ResourceRecord><Value>127.71.0.2</Value>
</ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets></R>"""
ZONES = (
    """<R><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>hey-watch.me.</Name></HostedZone></HostedZones></R>"""
)
ROLE = json.dumps({"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T"})


@pytest.mark.parametrize(
    ("status", "name", "found"),
    [(200, "api.hey-watch.me.", ["127.71.0.2"]), (200, "b.hey-watch.me.", []), (403, "api.hey-watch.me.", None)],
)
def test_route_53_is_asked_by_the_hosts_own_role(status, name, found):
    world, asked = FakeWorld(), []

    def fetch(url, headers, method="GET", body=None, timeout=20):
        asked.append(url)
        if "169.254" in url:
            return 200, ROLE.encode() if url.endswith("/role") else b"role"
        return status, (ZONES if "byname" in url else ANSWER.format(name=name)).encode()

    world.fetch = fetch
    assert Route53(world, 5, "hey-watch.me").addresses("api.hey-watch.me") == found
    if status == 200:
        assert asked[-1] == (
            "https://route53.amazonaws.com/2013-04-01/hostedzone/Z1/rrset?maxitems=1&name=api.hey-watch.me&type=A"
        )


def test_release_does_not_start_a_barred_singleton():
    made = release()
    world = world_for(made)
    world.there = set()
    outcome = applied(world, made)
    assert outcome.outcome == "applied", outcome.line
    assert "scheduler" not in outcome.services and "watchme-scheduler.service" not in world.active
    # It is enabled, so that no later release has to; its condition keeps it from starting at boot
    assert "watchme-scheduler.service" in world.enabled
    assert applied(world, made).outcome == "unchanged"


def test_new_watch_stops_singletons_of_an_earlier_one():
    world = Host(there=set())
    world.write(FLAG, b"", 0o644, "root", "root")
    watch = Watch(world, CONFIG, lambda name: HERE, lambda line: None)
    watch.stop_all()
    assert not world.runs and "systemctl stop watchme-scheduler.service" in world.ran


def test_singleton_that_does_not_stop_is_killed():
    world = Host(there=set(), answers={"systemctl stop": CommandResult(124, "no end after 10 s")})
    world.write(FLAG, b"", 0o644, "root", "root")
    Watch(world, CONFIG, lambda name: HERE, lambda line: None).stop_all()
    assert "systemctl kill -s KILL watchme-scheduler.service" in world.ran


def test_a_container_that_docker_does_not_stop_is_killed():
    said: list[str] = []
    single = CONFIG["singles"][0] | {"container": "watchme-scheduler-prod"}
    world = Host(there=set())
    world.answers["systemctl stop"] = CommandResult(124, "no end after 10 s")
    Watch(world, CONFIG | {"singles": [single]}, lambda name: HERE, said.append).stop(single)
    assert world.ran[-2:] == [
        "systemctl kill -s KILL watchme-scheduler.service",
        "end container watchme-scheduler-prod",
    ]
    assert said == ["watchme-scheduler.service did not stop: its container was killed"]


def test_name_servers_are_asked_for_zones_outside_route_53(monkeypatch):
    world, answers, asked = Host(there=set()), iter([["127.71.0.9"], None, ["127.71.0.2"]]), []
    monkeypatch.setattr(
        nameservers, "servers_of", lambda zone, named, timeout: asked.append((zone, named)) or ["server"]
    )
    monkeypatch.setattr(nameservers, "addresses", lambda servers, name, timeout: next(answers))
    source = NameServers("hey-watch.me", ["ns.example:53"], 5.0, world.now)
    assert [source.addresses("api.hey-watch.me") for _ in range(3)] == [["127.71.0.9"], None, ["127.71.0.2"]]
    assert asked == [("hey-watch.me", ["ns.example:53"])] * 2, "asked again who they are, since none answered"


def test_singleton_check_has_no_answer_without_name_servers(monkeypatch):
    def unknown(*_):
        raise nameservers.Silent("no resolver")

    world = Host(there=set())
    monkeypatch.setattr(nameservers, "servers_of", unknown)
    assert NameServers("hey-watch.me", [], 5.0, world.now).addresses("api.hey-watch.me") is None
