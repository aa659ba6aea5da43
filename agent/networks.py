"""Can a release's container networks be on this host: their subnets and their containers' addresses are free."""

from __future__ import annotations

import ipaddress
import json
import struct

from agent import existing
from agent.documents import docker
from agent.outcome import Refused
from agent.store import Release
from agent.world import World

ROUTES = "/proc/net/route"  # the main table, IPv4, numbers in the host's own order of bytes
WIDEST = 8  # bits; what is wider is no network but everything, in pieces, as a VPN takes it
Network = ipaddress.IPv4Network


def check(world: World, base: Release | None, target: Release) -> None:
    """Raises Refused for a subnet or an address that something else on the host has."""
    networks: list[docker.Network] = json.loads(world.docker_has("/networks"))
    by_name = {entry["Name"]: entry for entry in networks}
    _subnets(base, target, by_name)
    _routes(world, base, target, by_name)
    _addresses(world, base, target)


def _subnets(base: Release | None, target: Release, present: dict[str, docker.Network]) -> None:
    """A network that the present release does not have is created, or has the release's subnet already: the release's
    addresses are in it."""
    had = {entry["name"] for entry in base.manifest["networks"]} if base else set[str]()
    for entry in target.manifest["networks"]:
        name, subnet = entry["name"], entry["subnet"]
        there = _subnets_of(present.get(name))
        if name in present and name not in had and subnet not in there:
            raise Refused(
                f"the Docker network {name} exists with the subnet {' '.join(there) or 'none'}, but the release has "
                f"{subnet}: set the existing subnet in the catalogue, or remove that network"
            )


def _subnets_of(network: docker.Network | None) -> list[str]:
    plans = network["IPAM"]["Config"] or [] if network else []
    return [subnet for plan in plans if (subnet := plan.get("Subnet"))]


def _routes(world: World, base: Release | None, target: Release, present: dict[str, docker.Network]) -> None:
    """What a network's subnet covers is reached by no other way any more: the host's own network, another of Docker's,
    or a peer behind a gateway."""
    ours = {entry["name"] for release in (base, target) if release for entry in release.manifest["networks"]}
    of_subnet = {subnet: name for name, network in present.items() for subnet in _subnets_of(network)}
    for entry in target.manifest["networks"]:
        if entry["name"] in present:
            continue
        subnet = Network(entry["subnet"])
        for interface, there, gateway in routes(world):
            name = of_subnet.get(str(there))
            if not there.overlaps(subnet) or name in ours:
                continue
            owner = f"the Docker network {name}" if name else f"the interface {interface}"
            way = f"by {gateway} through {owner}" if gateway else f"of {owner}"
            raise Refused(
                f"the subnet {subnet} of the network {entry['name']} covers addresses {way} ({there}), which this host "
                "could no longer reach: give the network another subnet in the catalogue, one that `ip route` does "
                "not show"
            )


def routes(world: World) -> list[tuple[str, Network, str]]:
    """The host's ways to networks, without those to everything else: interface, network, and gateway ("" where the
    network is the interface's own)."""
    lines = (world.read(ROUTES) or b"").decode(errors="replace").splitlines()[1:]
    entries: list[tuple[str, Network, str]] = []
    for fields in (line.split() for line in lines):
        if len(fields) < 8 or not int(fields[3], 16) & 1:
            continue
        network = Network(f"{_address(fields[1])}/{_address(fields[7])}")
        if network.prefixlen < WIDEST:
            continue
        gateway = _address(fields[2]) if int(fields[2], 16) else ""
        entries.append((fields[0], network, gateway))
    return entries


def _address(word: str) -> str:
    return str(ipaddress.IPv4Address(struct.pack("=I", int(word, 16))))


def _addresses(world: World, base: Release | None, target: Release) -> None:
    """An address of the release's is free, or its own containers'."""
    ours = {entry["name"] for release in (base, target) if release for entry in release.manifest["containers"]}
    container_at = {
        (network, settings.get("IPAddress")): name
        for container in existing.list_containers(world)
        for name in [(container.get("Names") or ["/"])[0].lstrip("/")]
        for network, settings in ((container.get("NetworkSettings") or {}).get("Networks") or {}).items()
        if name not in ours
    }
    for entry in target.manifest["containers"]:
        occupant = entry["address"] and container_at.get((entry["network"], entry["address"]))
        if occupant:
            raise Refused(
                f"address {entry['address']} of {entry['service']} is taken in the network {entry['network']} by the "
                f"container {occupant}: stop that container, or give the service another address"
            )
