"""A host of a group is emptied before it reboots: what the group's Docker Swarm runs there runs elsewhere first."""

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from catalogue.groups import spread_in
from catalogue.loading import Catalogue
from catalogue.parts import leader_of
from infra import quorum
from infra.errors import InfraError
from infra.forms import check_form
from infra.group_forms import Node, SpreadAnswer
from infra.supervision import Say
from rendering.requests import GroupRequest

PAUSE = 2.0  # seconds between two looks


@contextmanager
def drain(catalogue: Catalogue, host: str, say: Say) -> Generator[None]:
    """The time in which a host runs nothing for its group. At its end the host takes containers again, and is back in
    the Swarm, unless what was done meanwhile failed. Raises InfraError where the Swarm would not do without it."""
    stack = catalogue.stack
    leader = leader_of(stack, host)
    if not leader or not spread_in(stack, catalogue.systems, host):
        yield
        return
    request = quorum.request_of(catalogue, leader)
    with _swarm_of(request, host, say) as (swarm, manager, node):
        _demand_majority(swarm.facts(manager, say).nodes, node)
    say(f"draining {host}: what {leader}'s group runs there starts on the others")
    # From its first step on: an interruption leaves no host that takes nothing
    try:
        with _swarm_of(request, host, say) as (swarm, manager, node):
            swarm.ask(manager, {"action": "drain", "node": node.id}, say)
        yield
    except BaseException:
        try:
            _activate(request, host, say)
        except InfraError as error:
            # What went wrong before is the reason
            say(f"{host} still takes no containers of its group ({error}): infra reboot {host} again ends that")
        raise
    _activate(request, host, say)
    with _swarm_of(request, host, say) as (swarm, manager, node):
        _wait_until_back(swarm, manager, node, stack.readyTimeout, say)
        # The next host that is lost, or reboots, is not to have all of something
        answer = swarm.ask(manager, {"action": "spread"}, say)
        if crowded := check_form(SpreadAnswer, answer, "what runs on one host alone", manager)["crowded"]:
            say(f"{', '.join(crowded)} still runs on one host alone: infra restart spreads it, where it fits elsewhere")


def _activate(request: GroupRequest, host: str, say: Say) -> None:
    with _swarm_of(request, host, say) as (swarm, manager, node):
        swarm.ask(manager, {"action": "activate", "node": node.id}, say)


@contextmanager
def _swarm_of(request: GroupRequest, host: str, say: Say) -> Generator[tuple[quorum.Reunion, str, Node]]:
    """The hosts that answer, one that manages their Swarm, and how that knows `host`. Raises InfraError."""
    with ExitStack() as connections:
        swarm = quorum.Reunion()
        yield (swarm, *_node(swarm, connections, request, host, say))


def _node(
    swarm: quorum.Reunion, connections: ExitStack, request: GroupRequest, host: str, say: Say
) -> tuple[str, Node]:
    """A host that manages the Swarm, another one than `host` where there is one, and how that knows `host`. Raises
    InfraError."""
    absent = swarm.reach(request, connections)
    managing = [one for one in request["order"] if request["hosts"][one]["manages"] and one not in absent]
    for manager in sorted(managing, key=lambda one: one == host):
        own = [node for node in swarm.facts(manager, say).nodes if node.host == host]
        if own:
            # A machine that this one replaced may still be known
            return manager, min(own, key=lambda node: node.state != "ready")
    raise InfraError(
        f"no host that manages the Swarm of {request['order'][0]} answers and knows {host}: infra status says more"
    )


def _demand_majority(nodes: list[Node], leaving: Node) -> None:
    """Raises InfraError where the others that manage the Swarm are too few without a host. One that does so alone comes
    back with it."""
    managers = [node for node in nodes if node.role == "manager"]
    others = [node for node in managers if node.reachable and node.id != leaving.id]
    if leaving.role == "manager" and len(managers) > 1 and 2 * len(others) <= len(managers):
        away = ", ".join(node.host or node.id for node in managers if not node.reachable)
        raise InfraError(
            f"without {leaving.host} too few of the hosts that manage the Swarm would see each other"
            f"{f' ({away} is away)' if away else ''}: start those first, or infra recover-quorum"
        )


def _wait_until_back(swarm: quorum.Reunion, manager: str, node: Node, limit: float, say: Say) -> None:
    """Raises InfraError where a host that was rebooted is not in the Swarm in time."""
    until = time.monotonic() + limit
    while True:
        back = next((one for one in swarm.facts(manager, say).nodes if one.id == node.id), None)
        if back and back.state == "ready" and (back.reachable or back.role != "manager"):
            return
        if time.monotonic() > until:
            state = back.state if back else "unknown to it"
            raise InfraError(f"{node.host} is back, and {state} in the Swarm after {limit:.0f} s: docker info says why")
        time.sleep(PAUSE)
