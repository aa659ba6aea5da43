"""A group whose Docker Swarm is managed by too few hosts: those that answer are brought together again.

More than half of the hosts that manage a Swarm must see each other. With fewer what runs goes on, but nothing is
started, moved or released. `recover-quorum` has one host manage it alone, and the others that answer join it again.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from agent import program
from catalogue.groups import entry, managers
from catalogue.loading import Catalogue
from catalogue.models import GroupedNetwork
from catalogue.parts import members
from catalogue.spread import SpreadService
from infra import delivery, hosts, outside
from infra.errors import InfraError
from infra.group import Group
from infra.group_forms import Node, SwarmFacts
from infra.group_plan import plan
from infra.ssh import Target
from infra.supervision import Say
from rendering.groups import group_request
from rendering.requests import GroupHost, GroupRequest, TargetFields


@dataclass(frozen=True)
class Recovery:
    """`manager` is the host whose Swarm goes on, by itself alone where that `is_forced`, or that begins one where none
    `is_left`; `joins` are those that answer and join it again, `absent` those that do not answer. It `forgets` what
    hosts were in it before."""

    manager: str
    is_forced: bool = False
    joins: list[str] = field(default_factory=list[str])
    absent: list[str] = field(default_factory=list[str])
    forgets: list[str] = field(default_factory=list[str])
    is_left: bool = True

    def question(self) -> str:
        """What is asked before anything is done."""
        joining = f"; {', '.join(self.joins)} leaves and joins it again" if self.joins else ""
        if not self.is_left:
            others = f", {', '.join(self.joins)} joins it" if self.joins else ""
            begins = f"{self.manager} begins another one{others}"
            return f"no host has the Swarm any more: {begins}, and its services start. Go on?"
        if not self.is_forced:
            if not self.joins:
                return f"have the Swarm of {self.manager} forget what {', '.join(self.forgets)} was in it before?"
            return f"bring {', '.join(self.joins)} into the Swarm of {self.manager} again?"
        warning = (
            f". Answer yes only if {', '.join(self.absent)} is off, or will be deleted: one that runs, and is only cut "
            "off from here, goes on in a Swarm of its own"
            if self.absent
            else ""
        )
        return f"{self.manager} manages the Swarm alone, with all that it runs{joining}{warning}. Go on?"

    def is_changed(self, host: str) -> bool:
        """Must a host attach its containers to the Swarm's networks again; also where an earlier recovery was
        interrupted before that."""
        is_forced = self.is_forced or not self.is_left or not {*self.forgets}.isdisjoint(self.absent)
        return host in self.joins or host in self.forgets or (is_forced and host == self.manager)

    def line(self) -> str:
        """What was done."""
        together = ", ".join([self.manager, *self.joins])
        away = f"; {', '.join(self.absent)} does not answer: pulumi up replaces a lost host" if self.absent else ""
        return f"{together}: in one Docker Swarm again{away}"


def decide(order: Sequence[str], managing: Sequence[str], facts: Mapping[str, SwarmFacts]) -> Recovery:
    """What brings the hosts together; `facts` are of those that answer. Raises InfraError where there is nothing to
    do, or nothing that helps."""
    absent = [host for host in order if host not in facts]
    able = [host for host in order if host in facts and facts[host].state == "active" and facts[host].manages]
    leading = next((host for host in able if facts[host].nodes), None)
    if leading is not None:
        states = {node.id: node.state for node in facts[leading].nodes}
        strays = [host for host in order if host in facts and states.get(facts[host].node) != "ready"]
        forgets = [node.host or node.id[:12] for node in leftovers(facts[leading].nodes, facts)]
        if strays or forgets:
            return Recovery(leading, joins=strays, absent=absent, forgets=list(dict.fromkeys(forgets)))
        away = f"; {', '.join(absent)} does not answer" if absent else ""
        raise InfraError(f"nothing to recover: {leading} manages the Swarm with all hosts that answer{away}")
    if not able:
        if away := [host for host in managing if host not in facts]:
            raise InfraError(
                f"none of the hosts that manage the Swarm answers: start {' or '.join(away)}, or delete what is lost "
                "and run pulumi up (docs/runbooks/lost-host.md)"
            )
        return Recovery(
            managing[0],
            joins=[host for host in order if host in facts and host != managing[0]],
            absent=absent,
            is_left=False,
        )
    answering = [host for host in able if host in managing]
    if 2 * len(answering) > len(managing):
        raise InfraError(
            f"{', '.join(answering)} answer here and do not see each other: open 2377/tcp, 7946/tcp+udp and 4789/udp "
            f"between their private addresses ({facts[able[0]].error})"
        )
    return Recovery(able[0], True, able[1:], absent)


def leftovers(nodes: Sequence[Node], facts: Mapping[str, SwarmFacts]) -> list[Node]:
    """What a Swarm knows of hosts from before: those that answer are in it as other nodes, or nowhere near it, and
    managers without whose vote it goes on do not come back."""
    present = {own.node for own in facts.values()}
    return [
        node
        for node in nodes
        if node.state != "ready"
        and node.id not in present
        and (node.host in facts or (node.role == "manager" and not node.votes))
    ]


class Reunion(Group):
    """Hosts of a group that are asked, and brought together."""

    def decide(self, request: GroupRequest, connections: ExitStack, say: Say) -> Recovery:
        """Raises InfraError."""
        absent = self.reach(request, connections)
        for host, why in absent.items():
            say(f"{host} does not answer: {why}")
        return decide(request["order"], _managing(request), self._facts_of(request, [*absent], say))

    def bring_together(self, recovery: Recovery, request: GroupRequest, say: Say) -> None:
        """All hosts that answer in one Swarm, which may know what they were before too. Raises InfraError; safe to run
        again."""
        managing, manager = _managing(request), recovery.manager
        if recovery.is_forced:
            say(f"{manager} manages the Swarm alone")
            address = request["hosts"][manager]["address"]
            self.ask(manager, {"action": "force", "address": address}, say)
        for host in [*recovery.joins, *([] if recovery.is_left else [manager])]:
            self.ask(host, {"action": "leave"}, say)
        facts = self._facts_of(request, recovery.absent, say)
        decided = plan([*facts], managing, facts)
        # What does not answer may come back by itself, as it was
        self.form(replace(decided, drained=[], lost=[]), request, managing, say)
        # An earlier recovery may have been interrupted before it
        self.ask(manager, {"action": "rotate"}, say)
        self.describe(manager, [*facts], managing, say)
        self.create_networks(manager, request, say)

    def forget(self, recovery: Recovery, request: GroupRequest, say: Say) -> None:
        """The last step: what is forgotten is how an interrupted recovery is known. Raises InfraError."""
        facts = self._facts_of(request, recovery.absent, say)
        for node in leftovers(facts[recovery.manager].nodes, facts):
            self.ask(recovery.manager, {"action": "dismiss", "node": node.id}, say)

    def _facts_of(self, request: GroupRequest, absent: Collection[str], say: Say) -> dict[str, SwarmFacts]:
        return {host: self.facts(host, say) for host in request["order"] if host not in absent}


def fields(target: Target) -> TargetFields:
    """How a host is reached, as requests have it."""
    return {
        "host": target.host, "address": target.address, "port": target.port, "user": target.user,
        "host_key": target.host_key, "private_key": target.private_key,
    }  # fmt: skip


def _managing(request: GroupRequest) -> list[str]:
    return [host for host in request["order"] if request["hosts"][host]["manages"]]


def leader(catalogue: Catalogue, host: str | None) -> str:
    """The group that is meant, by its first host. Raises InfraError."""
    groups = members(catalogue.stack)
    if not groups:
        raise InfraError(f"stack {catalogue.stack.name} has no group of hosts (docs/groups.md)")
    if host is None and len(groups) > 1:
        raise InfraError(f"stack {catalogue.stack.name} has several groups: name one with --host: {', '.join(groups)}")
    first = host or next(iter(groups))
    if first not in groups:
        raise InfraError(f"{first} is not the first host of a group: {', '.join(groups)}")
    return first


def request_of(catalogue: Catalogue, first: str) -> GroupRequest:
    """What brings a group together, by the outputs of the last update. Raises InfraError."""
    stack = catalogue.stack
    last = hosts.outputs(stack)
    targets = hosts.select_targets(stack, last, None, hosts.private_key(stack))
    private, order = last.get("privateAddresses", {}), members(stack)[first]
    if missing := [host for host in order if host not in targets or not private.get(host)]:
        raise InfraError(f"no update has made {', '.join(missing)} a host of the group yet: pulumi up")
    of_hosts: dict[str, GroupHost] = {
        host: {
            "target": fields(targets[host]),
            "address": private[host],
            "machine": "",
            "manages": host in managers(order),
        }
        for host in order
    }
    return group_request(catalogue, first, of_hosts, program("swarm"))


def attached_services(catalogue: Catalogue, host: str, is_left: bool = True) -> list[str]:
    """The services of a group's first host that are in a network of the Swarm. They lose it when their host leaves the
    Swarm, or manages it alone. Where nothing of the Swarm `is_left`, its own services too."""
    names: list[str] = []
    for system in catalogue.systems_on(host):
        own = [service.name for service in system.active if isinstance(service, SpreadService)]
        if not is_left:
            names += own
        if own:
            leading = entry(system).name
            names += [service.name for service in system.active if service.name == leading]
        if isinstance(system.network, GroupedNetwork):
            names += [service.name for service in system.compose_services]
    return names


def restart_attached(catalogue: Catalogue, host: str, recovery: Recovery, say: Say) -> str:
    """Has what a host attaches to the Swarm's networks join them again; what to say of it, "" where there is nothing.
    Raises InfraError."""
    services = attached_services(catalogue, host, recovery.is_left) if recovery.is_changed(host) else []
    if not services:
        return ""
    target = hosts.targets(catalogue.stack, host)[host]
    look = partial(outside.complaint, target.address, catalogue.stack.trustedRoots)
    outcome = delivery.restart(target, services, catalogue.stack.confirmDeadline, look, say)
    if outcome["code"]:
        raise InfraError(outcome["line"])
    return outcome["line"]
