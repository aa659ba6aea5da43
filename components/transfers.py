"""Systems that go from one host to another inside a stack: worked out as a value. Their new host gets them, their data
and their names first; only then does the other one stop them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pulumi

from catalogue.loading import Catalogue
from catalogue.stack import Stack
from components.before import Before

# System → the hosts that may have it: where the last whole update left it, then those that later ones began to bring it
Transfers = dict[str, list[str]]


def transfers(stack: Stack, before: Before) -> Transfers:
    """The systems that leave hosts. A machine of its owner's that is not the stack's any more is not asked for
    anything, nor is a region that is left without its data."""
    if before.region and before.region != stack.region and not stack.moveData:
        return {}
    now = {system: host for host, spec in stack.hosts.items() for system in spec.runs}
    was = {system: host for host, systems in before.systems.items() for system in systems}
    hosts_known = {*stack.hosts, *(host for own in before.hosts.values() for host in own)}
    givers_of: Transfers = {}
    for system in sorted({*was, *before.pending_hosts} & {*now}):
        # What was begun may have brought the data to whatever host that was
        settled = [was[system]] if was.get(system) in hosts_known else []
        hosts = dict.fromkeys([*settled, *before.pending_hosts.get(system, [])])
        if leaves := [host for host in hosts if host != now[system]]:
            givers_of[system] = leaves
    return givers_of


def settled_hosts(before: Before, system: str) -> list[str]:
    """The host that has a system by the last whole update."""
    return [host for host, systems in before.systems.items() if system in systems]


def demand_possible(stack: Stack, before: Before, givers_of: Transfers) -> None:
    """Raises pulumi.RunError for systems that cannot go together, or not with what else changes."""
    gives = {host for hosts in givers_of.values() for host in hosts}
    takes = {host for host, spec in stack.hosts.items() if {*spec.runs} & {*givers_of}}
    what = ", ".join(f"{system} from {', '.join(hosts)}" for system, hosts in givers_of.items())
    why = ""
    if removed_hosts := sorted(gives - {*stack.hosts}):
        names = ", ".join(removed_hosts)
        why = f"{names} was removed from infra:hosts but still has it: remove the host in a later update"
    elif both := sorted(gives & takes):
        why = f"{', '.join(both)} gives up a system and receives one: make one update for each"
    elif before.region and before.region != stack.region:
        why = f"the stack moves from {before.region} to {stack.region}: make one update for each"
    elif others := sorted(host for host in gives | takes if _has_another(stack, before, host)):
        why = f"{', '.join(others)} is being replaced, or its last replacement did not finish: make one update for each"
    if givers_of and why:
        raise pulumi.RunError(f"nothing was touched: {what} cannot go to another host in this update: {why}")


def _has_another(stack: Stack, before: Before, host: str) -> bool:
    """Whether the host has a further machine that is neither kept nor a standby: it may have the data."""
    if host not in stack.ec2_hosts:
        return False
    places = {place for place, own in before.hosts.items() if host in own}
    return bool(places) and (before.place(host) != stack.place(host) or not places <= stack.places(host))


def with_givers(catalogue: Catalogue, givers_of: Mapping[str, Sequence[str]]) -> Catalogue:
    """The catalogue in which hosts still run what leaves them: what they may do until it has left."""
    stack = catalogue.stack
    hosts = dict(stack.hosts)
    for system, givers in givers_of.items():
        named_entries = [pair for spec in stack.hosts.values() for pair in zip(spec.runs, spec.systems, strict=True)]
        entries = [entry for name, entry in named_entries if name == system]
        for host in givers:
            if host in hosts and system not in hosts[host].runs:
                hosts[host] = hosts[host].model_copy(update={"systems": [*hosts[host].systems, *entries]})
    return replace(catalogue, stack=stack.model_copy(update={"hosts": hosts}))
