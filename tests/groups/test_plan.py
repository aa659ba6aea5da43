"""What is decided about a group's Swarm, from what each host knows of it."""

import pytest

from infra.errors import InfraError
from infra.group import Dissolution
from infra.group_forms import SwarmFacts
from infra.group_plan import Plan, plan
from tests.groups.swarm_facts import HOSTS, OUTSIDE, WORKER, manager, node


def test_hosts_in_no_swarm_begin_one_with_the_first():
    decided = plan(HOSTS, HOSTS, dict.fromkeys(HOSTS, OUTSIDE))
    assert decided == Plan("web", "web", ["web-2", "web-3"])


def test_what_is_in_the_swarm_stays():
    nodes = node("a"), node("b"), node("c")
    facts = {"web": manager("a", *nodes), "web-2": manager("b", *nodes), "web-3": manager("c", *nodes)}
    assert plan(HOSTS, HOSTS, facts) == Plan("", "web")


def test_replaced_first_host_joins_what_the_others_keep():
    nodes = node("a", "web", "down"), node("b", "web-2"), node("c", "web-3")
    facts = {"web": OUTSIDE, "web-2": manager("b", *nodes), "web-3": manager("c", *nodes)}
    assert plan(HOSTS, HOSTS, facts) == Plan("", "web-2", ["web"], [], [nodes[0]])


def test_host_that_left_the_group_is_drained():
    nodes = node("a", "web"), node("b", "web-2"), node("c", "web-3")
    decided = plan(["web"], ["web"], {"web": manager("a", *nodes)})
    assert decided == Plan("", "web", [], [nodes[1], nodes[2]])


def test_managers_join_before_workers():
    facts = dict.fromkeys([*HOSTS, "web-4"], OUTSIDE)
    assert plan(["web-4", *HOSTS], HOSTS, facts).joins == [*HOSTS]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"web": SwarmFacts(state="locked", error="unlock it")}, "web: its Docker Swarm is locked: unlock it"),
        (
            {"web": SwarmFacts(state="active", node="a", manages=True, error="it has no leader"), "web-2": WORKER},
            r"web: too few of the hosts that manage the Swarm see each other for a change of it \(it has no leader\)",
        ),
        ({"web": OUTSIDE, "web-2": WORKER}, "web-2 is in a Docker Swarm that none of web, web-2, web-3 manages"),
        (
            {"web": manager("a", node("a")), "web-2": manager("b", node("b"), cluster="two")},
            "web, web-2 are in different Docker Swarms",
        ),
        ({"web": manager("a", node("a")), "web-3": WORKER}, "web-3 is in another Docker Swarm than web"),
        (
            {"web": manager("a", node("a", "web"), node("x1y2z3")), "web-2": OUTSIDE},
            r"web is in a Docker Swarm with nodes that are no hosts of its group \(x1y2z3\): remove these with docker node",
        ),
        (
            {"web": manager("a", node("a"), node("b")), "web-2": SwarmFacts(state="active", node="b", manages=True)},
            r"web-2 manages the Swarm and does not see the others: open 2377/tcp, .* \(no nodes\)",
        ),
    ],
)
def test_what_is_not_certain_is_refused(facts, reason):
    with pytest.raises(InfraError, match=reason):
        plan(HOSTS, HOSTS, {**dict.fromkeys(HOSTS, OUTSIDE), **facts})


class Hosts(Dissolution):
    """Hosts that answer as it is decided: a text is a refusal."""

    def __init__(self, answers):
        super().__init__()
        self.answers, self.asked = answers, []

    def ask(self, host, payload, say):
        self.asked.append((host, payload["action"]))
        answer = self.answers.get((host, payload["action"]), {})
        if isinstance(answer, str):
            raise InfraError(f"{host}: {answer}")
        return answer

    def dissolve(self):
        lines: list[str] = []
        return self._dissolve("web", [*HOSTS], lines.append), lines


def test_group_without_a_quorum_is_taken_apart_all_the_same():
    hosts = Hosts({(host, "clear"): "The swarm does not have a leader" for host in HOSTS})
    outcome, lines = hosts.dissolve()
    assert outcome.code == 0 and len(lines) == 3
    assert hosts.asked[3:] == [("web-3", "leave"), ("web-2", "leave"), ("web", "leave")]


def test_group_is_cleared_by_the_first_host_that_can():
    hosts = Hosts({("web", "clear"): "This node is not a swarm manager", ("web-2", "clear"): {"others": []}})
    outcome, _ = hosts.dissolve()
    assert outcome.line == "web, web-2, web-3: in no Docker Swarm any more"
    assert [action for _, action in hosts.asked] == ["clear", "clear", "leave", "leave", "leave"]


def test_swarm_that_runs_others_services_stays():
    hosts = Hosts({("web", "clear"): {"others": ["theirs"]}})
    outcome, _ = hosts.dissolve()
    assert "theirs" in outcome.line and hosts.asked == [("web", "clear")]
