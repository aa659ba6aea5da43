"""Systems that go from one host to another inside a stack: worked out as a value. Their new host gets them, their data
and their names first; only then does the other one stop them."""

from collections.abc import Mapping
from dataclasses import replace

import pulumi

from catalogue.loading import Catalogue
from catalogue.stack import Stack
from components.before import Before


def transfers(stack: Stack, before: Before) -> dict[str, str]:
    """System → the host that it leaves: where the last whole update left it, or where one that was given up had begun
    to bring it. A machine of its owner's that is not the stack's any more is not asked for anything."""
    now = {system: host for host, spec in stack.hosts.items() for system in spec.runs}
    was = {system: host for host, systems in before.systems.items() for system in systems}
    found = {system: host for system, host in was.items() if system in now and now[system] != host}
    given_up = {system: host for system, host in before.begun.items() if system in now and now[system] != host}
    known = {*stack.hosts, *(host for own in before.hosts.values() for host in own)}
    return {system: host for system, host in (given_up | found).items() if host in known}


def demand_possible(stack: Stack, before: Before, found: dict[str, str]) -> None:
    """Raises pulumi.RunError for systems that cannot go together, or not with what else changes."""
    gives = set(found.values())
    takes = {host for host, spec in stack.hosts.items() if {*spec.runs} & {*found}}
    what = ", ".join(f"{system} from {host}" for system, host in sorted(found.items()))
    why = ""
    if gone := sorted(gives - {*stack.hosts}):
        why = (
            f"{', '.join(gone)} is not in infra:hosts any more, and has it until then: take it out in the update after"
        )
    elif both := sorted(gives & takes):
        why = f"{', '.join(both)} gives a system and takes one: one after the other"
    elif before.region and before.region != stack.region:
        why = f"the stack moves from {before.region} to {stack.region}: one after the other"
    elif others := sorted(host for host in gives | takes if _is_replaced(stack, before, host)):
        why = f"{', '.join(others)} becomes another machine: one after the other"
    if found and why:
        raise pulumi.RunError(f"nothing was touched: {what} cannot go to another host in this update: {why}")


def _is_replaced(stack: Stack, before: Before, host: str) -> bool:
    known = any(host in own for own in before.hosts.values())
    return known and host in stack.ec2_hosts and before.place(host) != stack.place(host)


def as_given(catalogue: Catalogue, found: Mapping[str, str]) -> Catalogue:
    """The catalogue in which hosts still run what leaves them: what they may do until it has left."""
    stack = catalogue.stack
    hosts = dict(stack.hosts)
    for system, host in found.items():
        if host in hosts:
            entries = [entry for spec in stack.hosts.values() for entry in spec.systems if _name_of(entry) == system]
            hosts[host] = hosts[host].model_copy(update={"systems": [*hosts[host].systems, *entries]})
    return replace(catalogue, stack=stack.model_copy(update={"hosts": hosts}))


def _name_of(entry: object) -> str:
    return getattr(entry, "known_as", entry)  # type: ignore[return-value]
