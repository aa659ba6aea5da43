"""Hosts of a group that are brought together again, and a host that is emptied before it reboots."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from infra import draining, quorum
from infra.errors import InfraError
from infra.group_forms import SwarmFacts
from infra.quorum import Recovery, Reunion, decide
from tests.groups.swarm_facts import HOSTS, OUTSIDE, manager, node

ALONE = SwarmFacts(state="active", node="a", address="10.0.0.1", manages=True, error="it has no leader")
WHOLE = node("a", "web"), node("b", "web-2"), node("c", "web-3")


def lost(id, host):
    """A manager without whose vote the Swarm goes on."""
    return node(id, host, "down").model_copy(update={"votes": False})


def test_swarm_is_recovered_in_steps_of_which_the_last_one_forgets():
    for recovery, changed in (
        (Recovery("web", True, [], ["web-2"]), True),
        (Recovery("web", joins=["web"]), True),
        (Recovery("web", is_left=False), True),
        (Recovery("web", forgets=["web"]), True),
        (Recovery("web", forgets=["web-2"], absent=["web-2"]), True),
        (Recovery("web", joins=["web-2"], forgets=["web-2"]), False),
    ):
        assert recovery.is_changed("web") is changed, recovery


@pytest.mark.parametrize(
    ("facts", "recovery"),
    [
        ({"web": ALONE}, Recovery("web", True, [], ["web-2", "web-3"])),
        ({"web-3": ALONE}, Recovery("web-3", True, [], ["web", "web-2"])),
        # Interrupted before its last step: a voice that no one counts, a host that joined again
        ({"web": manager("a", node("a", "web"), lost("b", "web-2"), lost("c", "web-3"))},
         Recovery("web", joins=[], absent=["web-2", "web-3"], forgets=["web-2", "web-3"])),
        ({"web": manager("a", node("a"), node("n", "web-2"), node("b", "web-2", "down")),
          "web-2": manager("n"), "web-3": manager("c")},
         Recovery("web", joins=["web-3"], forgets=["web-2"])),
        # The only one that managed left by hand
        ({"web": OUTSIDE, "web-2": OUTSIDE, "web-3": SwarmFacts(state="pending", node="c")},
         Recovery("web", joins=["web-2", "web-3"], is_left=False)),
        # A host that left by hand, one that is back from a Swarm which went on without it, one that is in another
        ({"web": manager("a", *WHOLE), "web-2": OUTSIDE, "web-3": manager("c", *WHOLE)},
         Recovery("web", False, ["web-2"], [])),
        ({"web": manager("a", node("a"), node("b", state="down")), "web-2": SwarmFacts(state="pending", node="b")},
         Recovery("web", False, ["web-2"], ["web-3"])),
        ({"web": manager("a", node("a")), "web-2": manager("x", node("x"), cluster="two")},
         Recovery("web", False, ["web-2"], ["web-3"])),
    ],
)  # fmt: skip
def test_what_brings_the_hosts_together(facts, recovery):
    assert decide(HOSTS, HOSTS, facts) == recovery


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (
            {"web": manager("a", *WHOLE), "web-2": manager("b", *WHOLE)},
            "nothing to recover: web manages the Swarm with",
        ),
        ({"web": ALONE, "web-2": ALONE}, "web, web-2 answer here and do not see each other: open 2377/tcp"),
        (
            {"web": SwarmFacts(state="active", node="c")},
            "none of the hosts that manage the Swarm answers: start web-2 or web-3",
        ),
        ({}, "none of the hosts that manage the Swarm answers"),
    ],
)
def test_what_helps_nothing_is_refused(facts, reason):
    with pytest.raises(InfraError, match=reason):
        decide(HOSTS, HOSTS, facts)


@pytest.mark.parametrize(
    ("recovery", "words"),
    [
        (Recovery("web", True, [], ["web-2"]), ("web manages the Swarm alone", "only if web-2 is off")),
        (Recovery("web", False, ["web-2"], []), ("bring web-2 into the Swarm of web again?",)),
        (Recovery("web", forgets=["web-2"]), ("have the Swarm of web forget what web-2 was",)),
        (Recovery("web", joins=["web-2"], is_left=False), ("no host has the Swarm any more", "web-2 joins it")),
    ],
)
def test_question_names_who_manages_and_who_must_be_off(recovery, words):
    assert all(word in recovery.question() for word in words)


@dataclass
class Swarm:
    """Hosts in memory, of which those in `facts` answer."""

    facts: dict[str, SwarmFacts]
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    refusals: dict[str, BaseException] = field(default_factory=dict)

    def reunion(self) -> Reunion:
        swarm = self

        class InMemory(Reunion):
            def reach(self, request, connections):
                return {host: "timed out" for host in request["order"] if host not in swarm.facts}

            def facts(self, host, say):
                return swarm.facts[host]

            def ask(self, host, payload, say):
                return swarm.ask(host, payload)

        return InMemory()

    def ask(self, host, payload):
        about = payload.get("node") or payload.get("manager") or payload.get("role") or ""
        self.asked.append((payload["action"], host, about))
        if payload["action"] == "force":
            self.facts[host] = manager("a", node("a", "web"), lost("b", "web-2"), lost("c", "web-3"))
        if payload["action"] == "leave":
            self.facts[host] = OUTSIDE
        if payload["action"] == "begin":
            self.facts[host] = manager("z", node("z", host))
        if payload["action"] == "join":
            first = self.facts["web"]
            self.facts[host] = SwarmFacts(state="active", node="n", manages=True)
            self.facts["web"] = manager("a", *first.nodes, node("n"))
        if why := self.refusals.get(payload["action"]):
            raise why
        return {"token": "T", "crowded": []}


def request(*order):
    hosts = {host: {"target": {}, "address": "10.0.0.1", "machine": "", "manages": True} for host in order or HOSTS}
    return {"order": [*hosts], "hosts": hosts, "pool": "", "networks": [], "program": ""}


def changes(swarm):
    return [entry for entry in swarm.asked if entry[0] != "token"]


def recover(swarm, recovery):
    reunion = swarm.reunion()
    reunion.bring_together(recovery, request(), print)
    reunion.forget(recovery, request(), print)


def test_host_that_is_left_alone_forgets_the_voices_of_the_lost():
    swarm = Swarm({"web": ALONE})
    recover(swarm, Recovery("web", True, [], ["web-2", "web-3"]))
    assert changes(swarm) == [
        ("force", "web", ""), ("rotate", "web", ""), ("describe", "web", "a"),
        ("dismiss", "web", "b"), ("dismiss", "web", "c"),
    ]  # fmt: skip


def test_host_that_comes_back_joins_and_what_it_was_is_forgotten():
    nodes = node("a", "web"), node("b", "web-2", "down"), node("c", "web-3", "down")
    swarm = Swarm({"web": manager("a", *nodes), "web-2": SwarmFacts(state="pending", node="b")})
    recover(swarm, Recovery("web", False, ["web-2"], ["web-3"]))
    # web-3 does not answer, and comes back by itself
    assert changes(swarm) == [
        ("leave", "web-2", ""), ("join", "web-2", "10.0.0.1"), ("describe", "web", "n"), ("rotate", "web", ""),
        ("rotate", "web", ""), ("describe", "web", "a"), ("describe", "web", "n"), ("dismiss", "web", "b"),
    ]  # fmt: skip


def test_swarm_that_no_host_has_any_more_begins_again():
    swarm = Swarm({"web": OUTSIDE, "web-2": SwarmFacts(state="pending", node="b"), "web-3": OUTSIDE})
    recover(swarm, decide(HOSTS, HOSTS, swarm.facts))
    assert [entry[:2] for entry in changes(swarm) if entry[0] in ("leave", "begin", "join")] == [
        ("leave", "web-2"), ("leave", "web-3"), ("leave", "web"), ("begin", "web"), ("join", "web-2"), ("join", "web-3"),
    ]  # fmt: skip


@pytest.fixture
def draining_from(monkeypatch):
    """Drains a host of three, and does `work` meanwhile."""

    @contextmanager
    def drain_in_memory(swarm, host):
        monkeypatch.setattr(draining, "leader_of", lambda *_: "web")
        monkeypatch.setattr(draining, "spread_in", lambda *_: [object()])
        monkeypatch.setattr(quorum, "request_of", lambda *_: request())
        monkeypatch.setattr(quorum, "Reunion", swarm.reunion)
        monkeypatch.setattr(draining.time, "sleep", lambda _: None)
        catalogue = type("Catalogue", (), {"stack": type("Stack", (), {"readyTimeout": 0}), "systems": {}})
        with draining.drain(catalogue, host, print):
            yield

    return drain_in_memory


def test_host_is_empty_while_it_reboots(draining_from):
    swarm = Swarm({host: manager(id, *WHOLE) for host, id in zip(HOSTS, "abc", strict=True)})
    swarm.facts["web"] = manager("a", *(one.model_copy(update={"reachable": True}) for one in WHOLE))
    with draining_from(swarm, "web-2"):
        assert changes(swarm) == [("drain", "web", "b")]
    assert changes(swarm)[1:] == [("activate", "web", "b"), ("spread", "web", "")]


def test_host_without_which_too_few_manage_is_not_rebooted(draining_from):
    nodes = [one.model_copy(update={"reachable": one.host != "web-3"}) for one in WHOLE]
    swarm = Swarm({"web": manager("a", *nodes), "web-2": manager("b", *nodes)})
    with (
        pytest.raises(InfraError, match=r"without web-2 too few of the hosts .* \(web-3 is away\)"),
        draining_from(swarm, "web-2"),
    ):
        pytest.fail("it was rebooted")
    assert changes(swarm) == []


@pytest.mark.parametrize("why", [InfraError("api does not run on the other hosts"), KeyboardInterrupt()])
def test_host_takes_containers_again_though_it_could_not_be_drained(draining_from, monkeypatch, why):
    swarm = Swarm({host: manager(id, *WHOLE) for host, id in zip(HOSTS, "abc", strict=True)})
    swarm.facts["web"] = manager("a", *(one.model_copy(update={"reachable": True}) for one in WHOLE))
    swarm.refusals["drain"] = why
    with pytest.raises(type(why)), draining_from(swarm, "web-2"):
        pytest.fail("it was rebooted")
    assert changes(swarm) == [("drain", "web", "b"), ("activate", "web", "b")]


def test_first_reason_is_the_one_that_counts(draining_from, capsys):
    swarm = Swarm({"web": manager("a", *(one.model_copy(update={"reachable": True}) for one in WHOLE))})
    swarm.facts["web-2"] = manager("b", *WHOLE)
    swarm.refusals["activate"] = InfraError("the swarm does not have a leader")
    with pytest.raises(InfraError, match="not healthy"), draining_from(swarm, "web-2"):
        raise InfraError("web-2 is not healthy")
    assert "web-2 still takes no containers of its group (the swarm does not have a leader)" in capsys.readouterr().out


def test_host_takes_containers_again_though_its_reboot_failed(draining_from):
    swarm = Swarm({"web": manager("a", *(one.model_copy(update={"reachable": True}) for one in WHOLE))})
    swarm.facts["web-2"] = manager("b", *WHOLE)
    with pytest.raises(InfraError, match="not healthy"), draining_from(swarm, "web-2"):
        raise InfraError("web-2 is not healthy")
    assert changes(swarm) == [("drain", "web", "b"), ("activate", "web", "b")]
