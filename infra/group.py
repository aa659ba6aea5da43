"""`python -m infra.group`: what `pulumi up` runs until the hosts of a group are in one Docker Swarm. The request is
JSON on standard input. It is safe to repeat: what is done is left as it is."""

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from paramiko import Transport

from agent.swarm import Payload
from infra.errors import InfraError
from infra.foreign import clean
from infra.forms import check_form
from infra.group_forms import ClearedSwarm, SwarmFacts, Swarming, Token
from infra.group_plan import Plan, plan
from infra.remote import run_program
from infra.ssh import Target, connect
from infra.supervision import Say, Work, WorkOutcome, run
from rendering.requests import GroupRequest

REACHED = 15.0  # seconds for a host that may be gone


@dataclass
class Group(Work):
    """`doing` is what is under way."""

    doing: str = "the hosts were asked"
    _hosts: dict[str, tuple[Transport, Target]] = field(default_factory=dict[str, tuple[Transport, Target]])
    _program: str = ""

    def do(self, say: Say) -> WorkOutcome:
        request: GroupRequest = json.load(sys.stdin)
        self._program = request["program"]
        order = request["order"]
        managing = [host for host in order if request["hosts"][host]["manages"]]
        with ExitStack() as connections:
            for host in order:
                target = Target(**request["hosts"][host]["target"])
                self._hosts[host] = (connections.enter_context(connect(target)), target)
            decided = plan(order, managing, {host: self.facts(host, say) for host in order})
            self.form(decided, request, managing, say)
            # While all that manage still do: what leaves takes its voice along
            self._leave_out(decided, say)
            self.describe(decided.manager, order, managing, say)
            self.create_networks(decided.manager, request, say)
        line = f"{', '.join(order)}: one Docker Swarm, whose state {', '.join(managing)} keep"
        return WorkOutcome(0, line, {"hosts": order, "managers": managing})

    def form(self, decided: Plan, request: GroupRequest, managing: list[str], say: Say) -> None:
        """A Swarm with all hosts in it; who knew how to join is not let in any more afterwards."""
        hosts = request["hosts"]
        if decided.begins:
            self.doing = f"a Swarm was begun on {decided.begins}"
            say(f"beginning a Docker Swarm on {decided.begins}")
            own = hosts[decided.begins]["address"]
            self.ask(decided.begins, {"action": "begin", "address": own, "pool": request["pool"]}, say)
            self._name(decided.begins, decided.begins, "manager", say)
        for host in decided.joins:
            self.doing = f"{host} joined the Swarm"
            role = "manager" if host in managing else "worker"
            say(f"{host} joins as a {role}")
            answer = self.ask(decided.manager, {"action": "token", "role": role}, say)
            token = check_form(Token, answer, "how its Swarm is joined", decided.manager)["token"]
            where = {"address": hosts[host]["address"], "manager": hosts[decided.manager]["address"]}
            self.ask(host, {"action": "join", "token": token, **where}, say)
            # At once: a node without a host's name is someone else's
            self._name(decided.manager, host, role, say)
        if decided.joins:
            self.ask(decided.manager, {"action": "rotate"}, say)

    def describe(self, manager: str, order: list[str], managing: list[str], say: Say) -> None:
        """Each node with its host's name and its role, managers first: there are never fewer than are needed."""
        self.doing = "the roles of the hosts were set"
        for host in sorted(order, key=lambda host: host not in managing):
            self._name(manager, host, "manager" if host in managing else "worker", say)

    def create_networks(self, manager: str, request: GroupRequest, say: Say) -> None:
        """Those of the group's containers, unless they exist."""
        for network in request["networks"]:
            self.doing = f"network {network['name']} was created"
            name, subnet, gateway = network["name"], network["subnet"], network["gateway"]
            self.ask(manager, {"action": "network", "name": name, "subnet": subnet, "gateway": gateway}, say)

    def _name(self, manager: str, host: str, role: str, say: Say) -> None:
        node = self.facts(host, say).node
        self.ask(manager, {"action": "describe", "node": node, "host": host, "role": role}, say)

    def _leave_out(self, decided: Plan, say: Say) -> None:
        for node in [*decided.lost, *decided.drained]:
            name = node.host or node.id
            self.doing = f"{name} was drained"
            say(
                f"draining {name}, which leaves the group"
                if node in decided.drained
                else f"forgetting {name}, which is gone"
            )
            if node in decided.drained:
                self.ask(decided.manager, {"action": "drain", "node": node.id}, say)
            self.ask(decided.manager, {"action": "dismiss", "node": node.id}, say)

    def reach(self, request: GroupRequest, connections: ExitStack) -> dict[str, str]:
        """Connects with the hosts that answer; the others, with why they do not."""
        self._program = request["program"]
        absent: dict[str, str] = {}
        for host in request["order"]:
            target = Target(**request["hosts"][host]["target"])
            try:
                self._hosts[host] = (connections.enter_context(connect(target, timeout=REACHED)), target)
            except InfraError as error:
                absent[host] = str(error)
        return absent

    def facts(self, host: str, say: Say) -> SwarmFacts:
        answer = check_form(SwarmFacts, self.ask(host, {"action": "facts"}, say), "what it knows of its Swarm", host)
        return SwarmFacts.model_validate(answer)

    def ask(self, host: str, payload: Payload, say: Say) -> Mapping[str, object]:
        """The answer of a host. Raises InfraError."""
        transport, target = self._hosts[host]
        for raw_event in run_program(transport, target, self._program, payload):
            event = check_form(Swarming, clean(raw_event), "what is said of its Swarm", host)
            if refusal := event.get("refused"):
                raise InfraError(f"{host}: {refusal}")
            if line := event.get("say"):
                say(line)
            if (answer := event.get("done")) is not None:
                return answer
        raise InfraError(f"{host} stopped in the middle: run again")

    def interruption_line(self) -> str:
        return f"failed: interrupted while {self.doing}; what runs goes on running. Run again"


class Dissolution(Group):
    """What comes when a host has no group any more, or goes itself: its releases need the Swarm no longer."""

    def do(self, say: Say) -> WorkOutcome:
        """A host that cannot be reached holds nothing up: it may be gone."""
        request: GroupRequest = json.load(sys.stdin)
        order = request["order"]
        with ExitStack() as connections:
            absent = self.reach(request, connections)
            for host, why in absent.items():
                say(f"{host} is left as it is: {why}")
            return self._dissolve(order[0], [host for host in order if host not in absent], say)

    def _dissolve(self, leader: str, hosts: list[str], say: Say) -> WorkOutcome:
        self.doing = "the services of the group were removed"
        for host in hosts:
            # A worker does not know, and managers without a quorum cannot: then each host ends its own containers
            try:
                answer = self.ask(host, {"action": "clear", "host": leader}, say)
            except InfraError as error:
                say(f"{host} cannot remove the services of the group: {error}")
                continue
            if others := check_form(ClearedSwarm, answer, "what else its Swarm runs", host)["others"]:
                return WorkOutcome(0, f"{leader}: the Swarm stays, since it runs {', '.join(others)} too")
            break
        # The first host, which manages, leaves last
        for host in reversed(hosts):
            self.doing = f"{host} left the Swarm"
            self.ask(host, {"action": "leave"}, say)
        return WorkOutcome(0, f"{', '.join(hosts) or leader}: in no Docker Swarm any more")


if __name__ == "__main__":
    run(Dissolution() if sys.argv[1:] == ["dissolve"] else Group())
