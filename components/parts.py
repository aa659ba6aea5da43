"""Services that begin or end to run apart from their system (catalogue/parts.py), and their data."""

from collections.abc import Iterator
from dataclasses import dataclass

import pulumi

from catalogue.loading import Catalogue
from catalogue.parts import calls, host_of, parts, wholes
from catalogue.services import ComposeService
from catalogue.stack import Stack
from components.before import Before
from components.move import Move
from components.network import Passage, passages
from rendering.compose import path_on_host
from rendering.moving import paths_of


@dataclass(frozen=True)
class _Change:
    """A service that `system`, which is a part or a whole one, did not run before: the host that ran the service
    (`source`) and the one that will (`target`). `giver` is the other host from which the system's data comes in the
    same update, "" for none."""

    service: ComposeService
    system: str
    source: str
    target: str
    giver: str


def refuse_lost_data(catalogue: Catalogue, before: Before) -> None:
    """Raises pulumi.RunError for services with data that begin or end to run apart: their data does not go with them,
    and they would begin without any. With infra:moveData false that is what is asked for."""
    if not catalogue.stack.moveData:
        return
    for change in _changes(catalogue, before):
        service, paths = change.service.name, [path_on_host(mount) for mount in change.service.data_mounts]
        if paths and change.source != change.target:
            raise pulumi.RunError(
                f"nothing was touched: {service} would go from host {change.source} to {change.target} without "
                f"its data ({', '.join(paths)}), which only whole systems take along. Leave it there; or set "
                f"infra:moveData false for this update, if it may begin without, and copy it afterwards "
                f"(docs/several-hosts.md)"
            )
        if paths and change.giver:
            raise pulumi.RunError(
                f"nothing was touched: {service} has its data on {change.target} ({', '.join(paths)}) and would become "
                f"part of {change.system}, whose data comes there from {change.giver}: make one update for each"
            )


def _changes(catalogue: Catalogue, before: Before) -> Iterator[_Change]:
    """What stays in its part or system goes with all of it, if at all (components/transfers.py)."""
    stack = catalogue.stack
    earlier = {system: host for host, names in before.systems.items() for system in names}
    former_parts = {service: part for part, names in before.parts.items() for service in names}
    whole_of = wholes(stack)
    for host, spec in stack.hosts.items():
        for system in spec.runs:
            giver = earlier.get(system, host)
            for service in catalogue.systems[system].compose_services:
                was_in = former_parts.get(service.name, whole_of.get(system, system))
                if was_in != system and was_in in earlier:
                    yield _Change(service, system, earlier[was_in], host, giver if giver != host else "")


def former_passages(catalogue: Catalogue, before: Before) -> list[Passage]:
    """The ways between hosts that the last whole update left and this one does not have. They stay open until the
    update after, as callers use them until their own release."""
    earlier = {system: host for host, names in before.systems.items() for system in names}
    whole_of = wholes(catalogue.stack)
    ways = [
        Passage(caller, server, service.listens_inside)
        for name, system in catalogue.systems.items()
        for service in system.compose_services
        for part, names in before.parts.items()
        if service.name in names and service.listens_inside
        for server in [earlier.get(part, "")]
        for caller in [earlier.get(whole_of.get(name, name), "")]
        if {caller, server} <= {*catalogue.stack.hosts} and caller != server
    ]
    now = passages(catalogue)
    return [way for way in ways if way not in now]


def former_callers(ways: list[Passage], stack: Stack) -> dict[str, list[str]]:
    """Host → those that called its services by `ways` and do so no more. One that it calls itself by now is left out:
    that one's release waits for it."""
    own_calls = calls(stack)
    callers: dict[str, list[str]] = {}
    for way in ways:
        if way.server not in own_calls.get(way.caller, []):
            callers.setdefault(way.server, []).append(way.caller)
    return {server: list(dict.fromkeys(names)) for server, names in callers.items()}


def waiting_callers(catalogue: Catalogue, attempt: Move, before: Before) -> list[str]:
    """The hosts that serve where they are and call a service whose data comes to another machine in this attempt: led
    there earlier, they would find it at rest until its data is there. Raises pulumi.RunError for those of which the
    attempt needs more."""
    stack = catalogue.stack
    if not stack.moveData:
        return []
    waiting = {
        caller
        for host, entry in parts(stack)
        if (host in attempt.data or entry.own_name in attempt.systems) and paths_of(catalogue.systems[entry.own_name])
        for caller in [host_of(stack, entry.system)]
        if _stays(stack, before, caller)
    }
    # A host that calls one of them waits for its release
    while more := {host for host, servers in calls(stack).items() if {*servers} & waiting} - waiting:
        if not (staying := {host for host in more if _stays(stack, before, host)}):
            break
        waiting |= staying
    changing = {host for system, givers in attempt.systems.items() for host in (*givers, host_of(stack, system))}
    if both := sorted(waiting & changing):
        raise pulumi.RunError(
            f"nothing was touched: {', '.join(both)} calls a service whose data moves to another machine, and itself "
            "gains or loses a system: make two updates, one for each change"
        )
    return [host for host in stack.hosts if host in waiting]


def _stays(stack: Stack, before: Before, host: str) -> bool:
    if host in stack.ec2_hosts:
        return host in before.systems and before.place(host) == stack.place(host)
    return host in before.systems


def part_outputs(catalogue: Catalogue) -> dict[str, list[str]]:
    """Part → the services that it consists of, as the stack's outputs have it."""
    return {entry.own_name: list(entry.services) for _, entry in parts(catalogue.stack)}
