"""What is decided about a group's Swarm, from what each host knows of it."""

import pytest

from infra.errors import InfraError
from infra.group_forms import Node, SwarmFacts
from infra.group_plan import Plan, plan

HOSTS = ["web", "web-2", "web-3"]
OUTSIDE = SwarmFacts(state="inactive")


def node(id, host="", state="ready", role="manager"):
    return Node(id=id, host=host, role=role, availability="active", state=state)


def manager(id, *nodes, cluster="one"):
    return SwarmFacts(state="active", node=id, manages=True, cluster=cluster, nodes=[*nodes])


WORKER = SwarmFacts(state="active", node="c")


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
        ({"web": OUTSIDE, "web-2": WORKER}, "web-2 is in a Docker Swarm that none of web, web-2, web-3 manages"),
        (
            {"web": manager("a", node("a")), "web-2": manager("b", node("b"), cluster="two")},
            "web, web-2 are in different Docker Swarms",
        ),
        ({"web": manager("a", node("a")), "web-3": WORKER}, "web-3 is in another Docker Swarm than web"),
    ],
)
def test_what_is_not_certain_is_refused(facts, reason):
    with pytest.raises(InfraError, match=reason):
        plan(HOSTS, HOSTS, {**dict.fromkeys(HOSTS, OUTSIDE), **facts})
