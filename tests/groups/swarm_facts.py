"""What hosts know of their Swarm, as tests decide it."""

from infra.group_forms import Node, SwarmFacts

HOSTS = ["web", "web-2", "web-3"]
OUTSIDE = SwarmFacts(state="inactive")


def node(id, host="", state="ready", role="manager"):
    return Node(id=id, host=host, role=role, availability="active", state=state, votes=role == "manager")


def manager(id, *nodes, cluster="one"):
    return SwarmFacts(state="active", node=id, manages=True, cluster=cluster, nodes=[*nodes])


WORKER = SwarmFacts(state="active", node="c")
