"""What containers' networks would cover of an existing network, whose addresses only AWS knows."""

from collections.abc import Iterator
from ipaddress import IPv4Network

from catalogue.host import Ec2Host
from catalogue.loading import Catalogue
from catalogue.problems import Problem
from infra.account.region import Region


def findings(catalogue: Catalogue, region: str, account_region: Region) -> Iterator[Problem]:
    """Each network of a system that covers addresses of the existing network, or of what is routed to from it, such as
    a peer's or an office's; and an existing network that is not there."""
    place = catalogue.stack.networks.get(region)
    if place is None:
        return
    blocks = account_region.blocks(place.vpc)
    if blocks is None:
        where, rule = f"infra:networks.{region}", f"name one that aws ec2 describe-vpcs --region {region} lists"
        yield Problem(catalogue.stack.file, where, f"this account has no {place.vpc} in {region}", rule)
        return
    reached = {block: f"{block} of {place.vpc}" for block in map(IPv4Network, blocks)}
    for route in map(IPv4Network, account_region.routes(place.vpc, place.subnet)):
        if route.prefixlen and not any(route.subnet_of(block) for block in reached):
            reached[route] = f"{route}, which {place.subnet} has a route to"
    hosts = [name for name, host in catalogue.stack.hosts.items() if isinstance(host, Ec2Host)]
    systems = {system.system: system for host in hosts for system in catalogue.systems_on(host)}
    for system in systems.values():
        network = system.network
        for other, what in reached.items():
            if network and network.subnet.overlaps(other):
                fault = f"its subnet {network.subnet} overlaps {what} in {region}"
                rule = "use a private subnet that the hosts need for nothing else, such as 172.27.0.0/16"
                yield Problem(catalogue.file_of(system), f"network {network.name}", fault, rule)
