"""What is to be done so that the hosts of a group are in one Docker Swarm. Pure: from what each of them knows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.errors import InfraError
from infra.group_forms import Node, SwarmFacts


@dataclass(frozen=True)
class Plan:
    """`begins` is the host that a new Swarm begins with ("" where there is one), `manager` the one that the others join
    and that is asked, `joins` are those that join, in this order, and `leaves` the nodes that are no more of the group:
    `drained` ones run containers, which are to run elsewhere first; the others are lost."""

    begins: str
    manager: str
    joins: list[str] = field(default_factory=list[str])
    drained: list[Node] = field(default_factory=list[Node])
    lost: list[Node] = field(default_factory=list[Node])


def plan(order: Sequence[str], managing: Sequence[str], facts: Mapping[str, SwarmFacts]) -> Plan:
    """Raises InfraError where nothing is certain: hosts in different Swarms, or one that has no quorum."""
    for host in order:
        if facts[host].state in ("locked", "error", "pending"):
            raise InfraError(
                f"{host}: its Docker Swarm is {facts[host].state}: {facts[host].error or 'docker info says why'}"
            )
    inside = [host for host in order if facts[host].state == "active"]
    able = [host for host in inside if facts[host].manages]
    if not inside:
        return Plan(order[0], order[0], _join_order(order[1:], managing))
    if not able:
        raise InfraError(
            f"{', '.join(inside)} is in a Docker Swarm that none of {', '.join(order)} manages: docker swarm leave "
            "there, if that one is not needed any more"
        )
    if not any(facts[host].nodes for host in able):
        raise InfraError(
            f"{', '.join(able)}: too few of the hosts that manage the Swarm see each other for a change of it "
            f"({facts[able[0]].error or 'no nodes'}). Start those that are away; if they do not come back, infra "
            "recover-quorum"
        )
    if blind := [host for host in able if not facts[host].nodes]:
        raise InfraError(
            f"{', '.join(blind)} manages the Swarm and does not see the others: open 2377/tcp, 7946/tcp+udp and "
            f"4789/udp between the hosts, or infra recover-quorum ({facts[blind[0]].error or 'no nodes'})"
        )
    clusters = {facts[host].cluster for host in able}
    if len(clusters) > 1:
        raise InfraError(
            f"{', '.join(able)} are in different Docker Swarms: docker swarm leave --force on those whose services are "
            "not needed any more"
        )
    manager = next((host for host in able if host in managing), able[0])
    nodes = facts[manager].nodes
    ids = {node.id for node in nodes}
    if strangers := [host for host in inside if facts[host].node not in ids]:
        raise InfraError(
            f"{', '.join(strangers)} is in another Docker Swarm than {manager}: docker swarm leave --force there, if "
            "that one is not needed any more"
        )
    own = {facts[host].node for host in inside}
    others = [node for node in nodes if node.id not in own]
    if foreign := [node.id[:12] for node in others if not node.host]:
        raise InfraError(
            f"{manager} is in a Docker Swarm with nodes that are no hosts of its group ({', '.join(foreign)}): remove "
            "these with docker node rm, or have the group's hosts leave it (docker swarm leave --force)"
        )
    return Plan(
        "",
        manager,
        _join_order([host for host in order if host not in inside], managing),
        [node for node in others if node.state == "ready"],
        [node for node in others if node.state != "ready"],
    )


def _join_order(hosts: Sequence[str], managing: Sequence[str]) -> list[str]:
    """Those that keep the state first."""
    return sorted(hosts, key=lambda host: host not in managing)
