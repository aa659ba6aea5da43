"""Containers: their network, their addresses in it, who finds whom, what they use."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from urllib.parse import quote

from agent import cgroups, forwarding, managers
from agent.documents.manifest import Alert, Container
from agent.monitor.look import LOOK, HostFacts, Measured, Measures
from agent.wording import join_phrases, phrase

ANY_PORT = 9  # a refusal is an answer too
COMPOSE_FILE = re.compile(r"/([^/]+)/docker-compose[^/]*\.ya?ml$")
MEMORY_EVENT = "oom"
SCOPE = re.compile(r"docker-[0-9a-f]{64}\.scope")
OUT_OF_MEMORY = "fe6faa94e7774663a0da52717891d8ef"  # what systemd says of a unit's process that the kernel killed


def network(look: HostFacts, _: Alert) -> Measures:
    """1 for a network that is missing, or has another subnet or gateway. One that others are in too is not recreated:
    it could not be."""
    ours = {container["name"] for container in look.manifest["containers"]}
    for definition in look.manifest["networks"]:
        name, present = definition["name"], look.networks.get(definition["name"])
        if present is None:
            yield Measured(name, 1, phrase("it is missing"))
            continue
        right = present.subnet == definition["subnet"] and present.gateway in ("", definition["gateway"])
        inside = {other for other, container in look.containers.items() if name in container.addresses}
        is_now = phrase("its subnet is {subnet}, its gateway {gateway}", subnet=present.subnet, gateway=present.gateway)
        yield Measured(name, 0 if right else 1, is_now, inside <= ours)


def attachment(look: HostFacts, _: Alert) -> Measures:
    """1 for a running container that is not in its network, or at another address than it is to have there."""
    for definition in _in_networks(look.expected_containers):
        container = look.containers.get(definition["name"])
        if container and container.running:
            at = container.addresses.get(definition["network"])
            where = phrase(
                "its address in {network} is {at}, expected {wanted}",
                at=at or phrase("none"), wanted=definition["address"] or phrase("any"), network=definition["network"],
            )  # fmt: skip
            yield Measured(definition["name"], 0 if at and at == (definition["address"] or at) else 1, where)


def legacy(look: HostFacts, _: Alert) -> Measures:
    """1 for a legacy network: one that a compose project of ours made for itself, or that one of our containers is
    in beside its own."""
    ours = {entry["name"] for entry in look.manifest["networks"]} | {*_group_networks(look)}
    if not ours:
        return
    projects = {match[1] for unit in look.manifest["units"] for file in unit["files"] if (match := _folder(file))}
    inside: dict[str, list[str]] = {}
    for definition in _in_networks(look.manifest["containers"]):
        for name in look.containers[definition["name"]].addresses if definition["name"] in look.containers else ():
            inside.setdefault(name, []).append(definition["name"])
    for name, docker_network in look.networks.items():
        if name not in ours:
            members = inside.get(name, [])
            nothing = phrase(", without a container of this release")
            holds = phrase(" ({members})", members=", ".join(members)) if members else nothing
            yield Measured(name, 1 if members or docker_network.project in projects else 0, holds)


def _group_networks(look: HostFacts) -> list[str]:
    """The networks that containers share with other hosts of their group."""
    return look.manifest.get("group_networks", [])


def _in_networks(entries: list[Container]) -> list[Container]:
    """Those containers of a manifest that have a network of their own, and are not in the host's."""
    return [entry for entry in entries if entry["network"]]


def _folder(path: str) -> re.Match[str] | None:
    return COMPOSE_FILE.search(path)


def resolution(look: HostFacts, _: Alert) -> Measures:
    """1 for a container whose name another one of its network cannot resolve. Each asks for the next: every resolver
    and every name has its turn."""
    container_pairs = [pair for ring in _rings(look).values() for pair in ring]
    pairs = [(look.containers[asker["name"]].pid, definition["name"]) for asker, definition in container_pairs]
    for (asker, definition), address in zip(container_pairs, look.world.resolve_inside(pairs)):
        at = _places(look, definition)
        detail = phrase(
            " in {asker}: {address}, expected {wanted}",
            asker=asker["name"], address=address or phrase("no answer"), wanted=join_phrases(" or ", at),
        )  # fmt: skip
        yield Measured(definition["name"], 0 if address in at else 1, detail)


def _places(look: HostFacts, definition: Container) -> list[str]:
    """The addresses that a container's name may lead to: its own, and those of replicas that share it. What has no
    address of its own is where Docker has put it."""
    network = definition["network"]
    others = [
        other
        for other in look.expected_containers
        if other["network"] == network and definition["name"] in other["aliases"]
    ]
    present = [other for other in [definition, *others] if other["name"] in look.containers]
    addresses = [other["address"] or look.containers[other["name"]].addresses.get(network, "") for other in present]
    for name in _group_networks(look):
        addresses += [look.containers[other["name"]].addresses.get(name, "") for other in present]
    return [address for address in dict.fromkeys(addresses) if address]


def _rings(look: HostFacts) -> dict[str, list[tuple[Container, Container]]]:
    """Network → pairs of running containers in it, so that each asks once and is asked for once."""
    by_network: dict[str, list[Container]] = {}
    for definition in look.expected_containers:
        container = look.containers.get(definition["name"])
        if container and container.running and definition["network"] in container.addresses:
            by_network.setdefault(definition["network"], []).append(definition)
    return {
        name: [(ring[index - 1], definition) for index, definition in enumerate(ring)]
        for name, ring in by_network.items()
    }


def traffic(look: HostFacts, _: Alert) -> Measures:
    """1 for Docker, when rules or ports that it keeps are lost or left behind; for a container that another one gets no
    answer from; and for a network out of which nothing comes to a registry that this host reaches. Only what is
    Docker's is put right by its restart."""
    if not look.manifest["containers"]:
        return
    faults = forwarding.faults(look.world, [look.manifest])
    yield Measured("Docker", 1 if faults else 0, join_phrases("; ", faults))
    rings = _rings(look)
    pairs = [(asker, definition) for ring in rings.values() for asker, definition in ring if asker is not definition]
    connections = [
        (
            look.containers[asker["name"]].pid,
            look.containers[definition["name"]].addresses[definition["network"]],
            ANY_PORT,
        )
        for asker, definition in pairs
    ]
    for (asker, definition), answers in zip(pairs, look.world.reach_inside(connections)):
        silence = phrase("{asker} cannot connect to it", asker=asker["name"])
        yield Measured(definition["name"], 0 if answers else 1, silence, False)
    registry = next((image.split("/")[0] for image in look.release.images if "." in image.split("/")[0]), "")
    host, _sign, port = registry.partition(":")
    address = look.world.reachable_address(host, int(port or 443)) if rings and host else ""
    outward = [(name, ring[0][0]["name"]) for name, ring in rings.items() if address]
    addresses = [(look.containers[asker].pid, address, int(port or 443)) for _name, asker in outward]
    for (name, asker), answers in zip(outward, look.world.reach_inside(addresses)):
        closed = phrase("this host reaches {registry}, and {asker} does not", registry=registry, asker=asker)
        yield Measured(name, 0 if answers else 1, closed, False)


def open_ports(look: HostFacts, _: Alert) -> Measures:
    """1 for a container's port that listens on more than this host itself, and is not published by the catalogue."""
    open_at: dict[int, set[str]] = {}
    for line in look.world.run("ss", "-Hltn").output.splitlines():
        address, _sign, port = line.split()[3].rpartition(":") if len(line.split()) > 3 else ("", "", "")
        if port.isdigit() and not address.strip("[]").startswith(("127.", "::1")):
            open_at.setdefault(int(port), set()).add(address)
    published = {
        number
        for entry in look.manifest["published"]
        if entry["protocol"] == "tcp"
        for number in range(entry["first"], entry["last"] + 1)
    }
    # Where other hosts of the stack reach what runs apart from its system
    private = {*look.manifest.get("private", [])}
    within = {entry["name"] for entry in _in_networks(look.manifest["containers"])}
    for port in look.manifest["ports"]:
        if port["container"] not in within or port["port"] in published:
            continue
        at = {one for one in open_at.get(port["port"], set()) if f"{one}:{port['port']}" not in private}
        subject = phrase("port {port} of {service}", port=port["port"], service=port["service"])
        yield Measured(subject, 1 if at else 0, phrase(" at {addresses}", addresses=", ".join(sorted(at))))


def near_limit(look: HostFacts, _: Alert) -> Measures:
    """Percent of its memory limit that a container uses."""
    for name, used, limit in memory(look):
        detail = phrase(" ({used} of {limit} MiB)", used=used // 1024**2, limit=limit // 1024**2)
        yield Measured(name, round(100 * used / limit, 1), detail)


def memory(look: HostFacts) -> list[tuple[str, int, int]]:
    """Container, bytes that it uses (without what could be dropped), bytes that it may use."""
    usage: list[tuple[str, int, int]] = []
    for definition in look.manifest["containers"]:
        container = look.containers.get(definition["name"])
        used = look.world.memory_of(container.pid) if container and container.running else None
        if used is not None and definition["limit"]:
            usage.append((definition["name"], used, definition["limit"]))
    return usage


def oom_kills(look: HostFacts, condition: Alert) -> Measures:
    """How often the kernel killed something of a container or unit to free memory."""
    names = _kills_in_containers(look, condition["within"]) if look.manifest["containers"] else []
    counts = Counter(names) + Counter(_kills_in_units(look, condition["within"]))
    for name in sorted(counts):
        yield Measured(name, counts[name])
    if not counts:
        yield Measured("processes", 0)


def _kills_in_units(look: HostFacts, within: float) -> dict[str, int]:
    """Unit → how often something of it was killed, as its manager says; without what the units above it repeat."""
    world = look.world
    pairs = []
    with suppress(OSError):
        pairs = managers.announcements(world, OUT_OF_MEMORY, within, 2 * LOOK)
    accounts = {account for name in look.release.unit_names if (account := managers.split(name)[0])}
    uids = {str(user.uid): account for account in accounts if (user := world.account(account))}
    killed_in = [f"{uids.get(uid, uid)}/{unit}" if uid else unit for uid, unit in pairs]
    # Docker has named its own already
    counts = Counter(name for name in killed_in if name and not SCOPE.fullmatch(name))
    repeats = len(counts) > 1 and world.exists(cgroups.UNIFIED)
    groups = managers.control_groups(world, sorted(counts)) if repeats else {}
    return cgroups.own_kills(counts, groups, repeats)


def _kills_in_containers(look: HostFacts, within: float) -> list[str]:
    """The name of a container for each time that something of it was killed in the last `within` seconds."""
    now = look.world.wall()
    window = f"since={now - within:.3f}&until={now:.3f}"
    events = look.docker(f"/events?{window}&filters={quote(json.dumps({'event': [MEMORY_EVENT]}))}")
    return [event["Actor"]["Attributes"]["name"] for event in events]
