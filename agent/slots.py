"""Rollouts without a gap: a service with two slots, of which the proxy uses the one that a symbolic link names.

The link is the whole state: whichever slot it names serves, the other one is free.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent import away
from agent.documents.manifest import AimedProbe, Choice, Manifest, Probe, Slots
from agent.world import World

DRAIN = 30.0
QUIET = 2


@dataclass(frozen=True)
class Rollout:
    """A service that moves from the slot that serves to the free one (`next`)."""

    service: str
    link: str
    next: Choice


def units_of(manifest: Manifest) -> set[str]:
    return {choice["unit"] for slot in manifest["slots"] for choice in slot["choices"]}


def units_of_service(manifest: Manifest, service: str) -> list[str]:
    """The units of a service, both of one that has two; of each instance of a template. That of a spread service brings
    it up to date on its group's first host, and is what its containers log for on all."""
    both = [choice["unit"] for slot in manifest["slots"] if slot["service"] == service for choice in slot["choices"]]
    spread = [entry["unit"] for entry in manifest.get("spread", []) if entry["service"] == service]
    return both or spread or [p["unit"] for p in manifest["probes"] if p["service"].partition("/")[0] == service]


def live(world: World, slot: Slots) -> Choice | None:
    """The slot that the proxy uses, or None before the first release."""
    target = world.link_target(slot["link"])
    return next((choice for choice in slot["choices"] if choice["target"] == target), None)


def rollouts(world: World, manifest: Manifest, changed: set[str], states: dict[str, dict[str, bool]]) -> list[Rollout]:
    """The services whose serving slot changed, or does not run."""
    entries: list[Rollout] = []
    rest = away.resting(world)
    for slot in manifest["slots"]:
        serving = live(world, slot)
        if rest & {choice["unit"] for choice in slot["choices"]}:
            continue
        if serving is None:
            entries.append(Rollout(slot["service"], slot["link"], slot["choices"][0]))
        elif serving["unit"] in changed or not states[serving["unit"]]["active"]:
            entries.append(Rollout(slot["service"], slot["link"], _other(slot, serving)))
    return entries


def _other(slot: Slots, choice: Choice) -> Choice:
    return next(other for other in slot["choices"] if other != choice)


def running(world: World, manifest: Manifest, planned: list[Rollout] | None = None) -> list[str]:
    """The units of a release that are to run now: all without slots, and of the others the ones that serve; none that
    rests."""
    absent = units_of(manifest) | resting(world, manifest)
    ordinary = [unit["name"] for unit in manifest["units"] if unit["name"] not in absent]
    return ordinary + _serving(world, manifest, planned or [])


def resting(world: World, manifest: Manifest) -> set[str]:
    """The units that are not to run now."""
    own = {unit["name"] for unit in manifest["units"]}
    return waiting(world, manifest) | stopped_units(world, manifest) | (away.resting(world) & own)


def waiting(world: World, manifest: Manifest) -> set[str]:
    """Those that wait until this host owns their name: see agent/singletons.py."""
    return {unit["name"] for unit in manifest["units"] if unit.get("flag") and not world.exists(unit["flag"])}


def stopped_units(world: World, manifest: Manifest) -> set[str]:
    """Those that made room in memory: see agent/pressure.py."""
    return {unit["name"] for unit in manifest["units"] if unit.get("bar") and world.exists(unit["bar"])}


def _serving(world: World, manifest: Manifest, planned: list[Rollout]) -> list[str]:
    """The units that serve and do not move: a new one is enabled only once it serves."""
    moving, rest = {rollout.service for rollout in planned}, away.resting(world)
    choices = (live(world, slot) for slot in manifest["slots"] if slot["service"] not in moving)
    return [choice["unit"] for choice in choices if choice and choice["unit"] not in rest]


def leftover_links(world: World, before: Manifest | None, manifest: Manifest) -> list[str]:
    """Links of services that have no slots any more."""
    kept_links = {slot["link"] for slot in manifest["slots"]}
    links = [slot["link"] for slot in (before or {}).get("slots", [])]
    return [link for link in links if link not in kept_links and world.link_target(link) is not None]


def probes(world: World, manifest: Manifest, planned: list[Rollout] | None = None) -> list[AimedProbe]:
    """The manifest's probes of what is to run here, each of a service with slots aimed at the slot that serves, or is
    going to."""
    rest = resting(world, manifest)
    containers = {(port["unit"], port["service"]): port.get("container", "") for port in manifest["ports"]}
    choices = {slot["service"]: live(world, slot) for slot in manifest["slots"]}
    choices |= {rollout.service: rollout.next for rollout in planned or []}
    entries: list[Probe] = [
        {**probe, "unit": choice["unit"], "url": choice["url"]} if (choice := choices.get(probe["service"])) else probe
        for probe in manifest["probes"]
        if probe["unit"] not in rest
    ]
    entries = [probe for probe in entries if probe["unit"] not in rest]
    return [
        {**probe, "container": containers.get((probe["unit"], probe["service"].partition("/")[0]), "")}
        for probe in entries
    ]


def own_probes(world: World, manifest: Manifest, services: list[str]) -> list[AimedProbe]:
    """Of these services that are to run, each asked at its own port: the proxy may not know it yet."""
    own = [probe for probe in probes(world, manifest) if probe["service"].partition("/")[0] in services]
    return [own_probe(probe) for probe in own]


def own_probe(probe: AimedProbe) -> AimedProbe:
    """A probe without the way through the proxy."""
    return {**probe, "public": None}


def settle(world: World, manifest: Manifest) -> list[str]:
    """After the commit: what serves is enabled, the other slot drains and stops; what of it did not happen. Safe to
    repeat."""
    complaints: list[str] = []
    for slot in manifest["slots"]:
        serving = live(world, slot)
        if serving is None:
            continue
        free = _other(slot, serving)
        world.run("systemctl", "enable", serving["unit"])
        world.run("systemctl", "disable", free["unit"])
        if world.run("systemctl", "is-active", free["unit"]).output.strip() == "active":
            drain(world, {free["port"]: free.get("drain", DRAIN)})
            if (stopped := world.run("systemctl", "stop", free["unit"])).code:
                complaints.append(f"{free['unit']}, which no longer serves, does not stop: {stopped.last_lines()}")
    return complaints


def drain(world: World, ports: dict[int, float]) -> None:
    """Waits until the proxy's last request to each port has ended, for so many seconds at most, of all at the same
    time. One that the proxy has just taken may still be on its way to the port: it is looked at twice."""
    beginning, quiet = world.now(), dict.fromkeys(ports, 0)

    def busy_ports() -> list[int]:
        return [port for port, limit in ports.items() if quiet[port] < QUIET and world.now() < beginning + limit]

    while waited_for := busy_ports():
        for port in waited_for:
            is_asked = world.run("ss", "-Htn", "state", "established", f"dport = :{port}").output.strip()
            quiet[port] = 0 if is_asked else quiet[port] + 1
        if busy_ports():
            world.sleep(0.25)
