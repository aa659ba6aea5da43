"""A change of the place that a stack serves from, worked out as a value; its steps are components/steps.py.

A step's name holds the attempt that it belongs to. What is done stays done in later updates, and a new attempt repeats
all of it; only one that has been through every step is written down.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import cast

import pulumi

from agent.documents.moves import MovingData
from catalogue.loading import Catalogue
from catalogue.machines import FIRST, region_of
from catalogue.outputs import LastMove
from catalogue.stack import Stack
from components.access import target
from components.before import Before, Hosts
from components.transfers import Transfers, demand_possible, settled_hosts, transfers
from rendering.host import data, render
from rendering.moving import moving
from rendering.requests import TargetFields

SYSTEM = "system:"


@dataclass(frozen=True)
class Move:
    """`at` names the attempt ("" for a stack that never moved), `source` is the region whose images come along (""
    where none need to), `leaving` the hosts by place (catalogue/machines.py) that are to be deleted, `ttl` how many
    seconds their names may be remembered. `data` are the hosts whose data comes along, as it was when the attempt was
    planned: what a later update finds is no move. `homes` says from where (host, or SYSTEM and system → place), where
    that is known. `systems` are those that go from one host of the stack to another: system → who may have it."""

    at: str = ""
    source: str = ""
    leaving: dict[str, Hosts] = field(default_factory=dict[str, Hosts])
    ttl: int = 0
    data: list[str] = field(default_factory=list[str])
    homes: dict[str, str] = field(default_factory=dict[str, str])
    systems: Transfers = field(default_factory=Transfers)

    def __bool__(self) -> bool:
        return bool(self.at)


def plan_move(stack: Stack, before: Before, now: str) -> Move:
    """The move that this update makes, or the last one that was made. Raises pulumi.RunError for one that would be a
    mistake."""
    if not before.region:
        return Move()
    demand_later(stack, before)
    leaving: dict[str, Hosts] = {}
    for place, hosts in before.hosts.items():
        for host, address in hosts.items():
            if (place, host) in before.gated and is_left(stack, place, host):
                leaving.setdefault(place, {})[host] = address
    is_given_up = before.unfinished and before.region == stack.region
    is_switched = any(place != stack.place(host) for place, host in before.serving if host in stack.ec2_hosts)
    is_other = is_switched or is_under_way(stack, before) or before.region != stack.region
    going = transfers(stack, before)
    if not (is_other or leaving or is_given_up or going):
        return Move(**before.move)
    demand_possible(stack, before, going)
    # Of one that is where it was, whatever was begun since: unless its host says otherwise, its data is there
    homes = {
        f"{SYSTEM}{name}": _host_label(stack, hosts[0])
        for name, hosts in going.items()
        if hosts[0] in settled_hosts(before, name)
    }
    return Move(now, source_of(stack, before), leaving, max(before.ttl, stack.recordTtl), homes=homes, systems=going)


def demand_later(stack: Stack, before: Before) -> None:
    """Raises pulumi.RunError where a host would become a machine that came before the one that serves: a checkout from
    before a replacement would take it back. A way back keeps the machine that serves."""
    for host, spec in stack.ec2_hosts.items():
        last = before.generations.get(host, FIRST)
        is_earlier = spec.generation < last or (
            spec.generation != last and spec.generation in before.kept_generations.get(host, [])
        )
        if before.region and is_earlier and last not in spec.kept_types:
            raise pulumi.RunError(
                f"nothing was touched: infra:hosts.{host}.generation is {spec.generation} in {stack.file}, and by the "
                f"last update machine {last} serves: take the newer file (git pull), or go back with infra host "
                f"replace {host} --back --stack {stack.name}"
            )


def with_data(catalogue: Catalogue, move: Move, before: Before) -> Move:
    """An attempt that is being planned, with the hosts whose data another region's host can have."""
    stack = catalogue.stack
    if not stack.moveData:
        return move
    places = {host: elsewhere(stack, host, before.hosts) for host in stack.ec2_hosts if data(catalogue, host)}
    moved = [host for host, others in places.items() if others]
    homes = {host: place for host in moved if (place := home(host, places[host], before))}
    return replace(move, data=moved, homes=move.homes | homes)


def is_left(stack: Stack, place: str, host: str) -> bool:
    """Whether a stack leaves a machine, with its region or for another machine of the host, and does not keep it."""
    return region_of(place) not in stack.regions or (host in stack.ec2_hosts and place not in stack.places(host))


def elsewhere(stack: Stack, host: str, hosts: dict[str, Hosts]) -> dict[str, str]:
    """Place → address of a host's other machines."""
    return {place: own[host] for place, own in sorted(hosts.items()) if host in own and place != stack.place(host)}


def home(host: str, others: dict[str, str], before: Before) -> str:
    """The place among `others` where a host's data is, as far as names and the last update show; "" where they do not:
    the machines know."""
    return min({place for place, name in before.serving if name == host} & {*others}, default="")


def warn_of_data(catalogue: Catalogue, move: Move) -> None:
    """Warns of data that is deleted with hosts in this update because it does not move along."""
    for place, hosts in sorted(move.leaving.items()):
        for host in sorted(hosts):
            stays_behind = host in catalogue.stack.ec2_hosts and host not in move.data
            if stays_behind and (paths := data(catalogue, host)):
                region = region_of(place)
                remedy = (
                    "" if region in catalogue.stack.regions else f"; infra:standbyRegions [{region}] keeps the host"
                )
                pulumi.log.warn(
                    f"{host} in {place} is deleted with its data: {', '.join(paths)}. Make a copy first if it is "
                    f"needed; infra:moveData true moves the data too{remedy}"
                )


def source_of(stack: Stack, before: Before) -> str:
    """The region that names point to and that the stack is to leave; "" when they point to its new place already."""
    pointed = {region_of(place) for place, _ in before.pointed} or {before.region} - {""}
    return min(pointed - {stack.region}, default="")


def is_under_way(stack: Stack, before: Before) -> bool:
    """Whether this update points names from one region to another."""
    return bool(source_of(stack, before))


@dataclass(frozen=True)
class Arrival:
    """Data that comes along: what it is (rendering/moving.py), the `host` that gets it, what that one is called in it
    (`place`) and so are the `others` that may have it, and the one where it is as far as is known (`source`, or "")."""

    entry: MovingData
    host: str
    place: str
    source: str
    others: dict[str, pulumi.Output[TargetFields]]


def arrivals_of(
    catalogue: Catalogue, move: Move, before: dict[str, Hosts], addresses: dict[str, pulumi.Output[str]]
) -> list[Arrival]:
    """Of all systems of a host that becomes another machine, and of each system that goes to another host. `before` are
    the hosts by place that were there when the move began, `addresses` the present ones."""
    stack = catalogue.stack
    arrivals: list[Arrival] = []
    for host in stack.ec2_hosts:
        entry = moving(catalogue, host, render(catalogue, host)) if host in move.data else None
        if entry:
            others = {
                place: target(stack, host, pulumi.Output.from_input(address))
                for place, address in elsewhere(stack, host, before).items()
            }
            arrivals.append(Arrival(entry, host, stack.place(host), move.homes.get(host, move.source), others))
    for system, givers in sorted(move.systems.items()) if stack.moveData else ():
        host = next((name for name, spec in stack.hosts.items() if system in spec.runs), "")
        there = [giver for giver in givers if giver in addresses and giver != host]
        entry = moving(catalogue, host, render(catalogue, host), system) if host and there else None
        if entry:
            others = {_host_label(stack, giver): target(stack, giver, addresses[giver]) for giver in there}
            source = move.homes.get(f"{SYSTEM}{system}", "")
            arrivals.append(Arrival(entry, host, _host_label(stack, host), source, others))
    return arrivals


def _host_label(stack: Stack, host: str) -> str:
    """A host in what its systems leave and take."""
    return f"{host}@{stack.place(host)}"


def move_output(move: Move) -> LastMove:
    """The move as the stack's outputs keep it."""
    return cast(LastMove, asdict(move)) if move else {}
