"""Replicas: a service of which several run is restarted one after the other, while the proxy leads to the others.

Each has a link in the proxy's configuration. It is taken away and the replica drained before that one restarts, and it
comes back once the replica is healthy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

from agent import health, slots, units
from agent.complaints import Complaints
from agent.documents.manifest import AimedProbe, Container, Manifest, Replicas
from agent.documents.transaction import RolledReplica
from agent.job import Job
from agent.world import World

if TYPE_CHECKING:
    from agent.plan import Plan
    from agent.transaction import Transaction


@dataclass(frozen=True)
class Roll:
    """A replica that is restarted by itself; one that does not run yet (`is_new`) only joins the others."""

    service: str
    unit: str
    port: int
    link: str
    target: str
    drain: float = slots.DRAIN
    is_new: bool = False


@dataclass(frozen=True)
class Disturbance:
    """What a switch would do if nothing went one after the other: the units that it (re)starts and stops, and the
    services that must be healthy within it, since one of its release steps needs them."""

    starts: list[str]
    stops: list[str]
    awaited_services: set[str]


def rolls(
    base: Manifest | None, manifest: Manifest, disturbance: Disturbance, states: dict[str, dict[str, bool]]
) -> list[Roll]:
    """Of the units that are to (re)start, the replicas that can do so one after the other: another one of them serves
    meanwhile, what they run in stays, and nothing that starts with the others waits for their health."""
    starting = {*disturbance.starts}
    disturbed = {*starting, *disturbance.stops}
    restarts: list[Roll] = []
    for group in manifest["replicas"]:
        serving = [member["unit"] for member in group["members"] if states[member["unit"]]["active"]]
        together = {entry["unit"] for entry in manifest["networks"]} & disturbed or {*group["awaited"]} & starting
        if base is None or not serving or together or group["service"] in disturbance.awaited_services:
            continue
        if all(_is_same(base, manifest, unit) for unit in serving) and _has_its_ports(base, group):
            concerned = [one for one in _members(group) if one.unit in starting]
            restarts += [replace(one, is_new=one.unit not in serving) for one in concerned]
    return restarts


def _members(group: Replicas) -> list[Roll]:
    return [Roll(group["service"], **member) for member in group["members"]]


def _is_same(base: Manifest, manifest: Manifest, unit: str) -> bool:
    """Has its container the same names in both releases: else the new file would not stop it."""
    one, other = (
        [_names(entry) for entry in m.get("containers", []) if entry["unit"] == unit] for m in (base, manifest)
    )
    return one == other


def _names(entry: Container) -> tuple[object, ...]:
    return entry["name"], entry.get("project"), entry["network"], entry["aliases"][:1]


def _has_its_ports(base: Manifest, group: Replicas) -> bool:
    """Has each the port that it had, or one that nothing has: else the proxy would lead where another one is."""
    had = {entry["unit"]: entry["port"] for entry in base["ports"]}
    unit_at = {entry["port"]: entry["unit"] for entry in base["ports"]}
    return all(
        had.get(member["unit"], member["port"]) == member["port"]
        and unit_at.get(member["port"], member["unit"]) == member["unit"]
        for member in group["members"]
    )


def _unhealthy_first(ones: Iterable[Roll], probes: list[AimedProbe], unhealthy: Iterable[str]) -> list[Roll]:
    """In the order in which they restart: those that take no requests before those that do."""
    units_of_these = {probe["unit"] for probe in probes if probe["service"] in {*unhealthy}}
    return sorted(ones, key=lambda one: not (one.is_new or one.unit in units_of_these))


def restart_each(world: World, job: Job, ready: Plan, switch: Transaction, probes: list[AimedProbe]) -> None:
    """Restarts a plan's replicas one after the other, and lets the proxy lead to each again once it is healthy. Raises
    Failed."""
    manifest = ready.target.manifest
    for one in _unhealthy_first(ready.rolls, probes, switch.sick):
        own = _own(probes, one)
        names = ", ".join(probe["service"] for probe in own)
        job.say(f"{'starting' if one.is_new else 'restarting'} {names} by itself")
        # What a kill leaves is put back by this
        switch.rolled.append(cast("RolledReplica", asdict(one)))
        switch.store(world)
        _restart(world, manifest, one, own, health.Patience.of(manifest, switch.began))


def _own(probes: list[AimedProbe], one: Roll) -> list[AimedProbe]:
    """Asked at its own port: the proxy leads to the others meanwhile."""
    return [slots.own_probe(probe) for probe in probes if probe["unit"] == one.unit]


def _restart(world: World, manifest: Manifest, one: Roll, own: list[AimedProbe], patience: health.Patience) -> None:
    take_out(world, manifest, [one])
    units.start(world, [one.unit], patience.deadline)
    health.wait(world, own, {probe["service"]: int(manifest["health"]["successes"]) for probe in own}, patience)
    _link(world, manifest, one)


def take_out(world: World, manifest: Manifest, ones: Iterable[Roll]) -> None:
    """The proxy leads to these no more, and their last requests have ended."""
    linked = [one for one in ones if world.link_target(one.link) is not None]
    for one in linked:
        world.remove(one.link)
    if linked:
        units.react(world, [manifest], {one.link for one in linked})
    slots.drain(world, {one.port: one.drain for one in linked})


def leave(world: World, base: Manifest, leaves: Iterable[str]) -> None:
    """The proxy leads no more to the replicas that go, where others of the service stay and take their requests."""
    leaving = {*leaves}
    for group in base["replicas"]:
        stays = [one for one in _members(group) if one.unit not in leaving]
        goes = [one for one in _members(group) if one.unit in leaving]
        if stays and goes:
            # Also where a person had taken one out: the proxy takes no list without any
            for one in stays:
                if world.link_target(one.link) is None:
                    world.link(one.link, one.target)
            take_out(world, base, goes)


def undo(
    world: World, complaints: Complaints, base: Manifest, concerned: Iterable[str], unhealthy: Iterable[str]
) -> None:
    """Restarts the replicas of the base that a switch had begun to restart, by its files, which are back; the proxy
    leads to each again in any case, as before. `complaints` gets what fails of it; those `unhealthy` before are not
    waited for."""
    again, exempt = {*concerned}, {*unhealthy}
    for group in base["replicas"]:
        # First those that the proxy does not lead to: the others take the requests
        for one in sorted(_members(group), key=lambda one: world.link_target(one.link) is not None):
            if one.unit in again:
                own = [probe for probe in _own(slots.probes(world, base), one) if probe["service"] not in exempt]
                complaints.attempt(_restart, base, one, own, health.Patience.of(base, world.wall()))
            if world.link_target(one.link) != one.target:
                complaints.attempt(_link, base, one)


def _link(world: World, manifest: Manifest, one: Roll) -> None:
    world.link(one.link, one.target)
    units.react(world, [manifest], {one.link})
