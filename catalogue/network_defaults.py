"""Ports and networks that nothing is written for. They follow from names alone, so that another service or system
changes none of them; where two meet, a rule refuses both, and one is written."""

import hashlib
from ipaddress import IPv4Network

from catalogue.copies import PortCopy, SystemCopy
from catalogue.models import ContainerNetwork, System
from catalogue.services import ComposeService

# Below what Linux gives to outgoing connections, and beside what people choose
PORTS = range(20000, 30000)
# Neither Docker's own, nor a home's, nor the hosts' (catalogue/networks.py)
SUBNETS = IPv4Network("10.128.0.0/10")
PREFIX = 24
WHY = "assigned by its name"


def port_of(system: str, service: str, use: str = "") -> int:
    """The port of a service's container; `use` names a second one."""
    return PORTS[_number(f"{system}/{service}/{use}") % len(PORTS)]


def replica_ports(system: str, service: str, replicas: int) -> list[int]:
    """The ports of the replicas after the first."""
    return [port_of(system, service, f"replica-{number}") for number in range(2, replicas + 1)]


def subnet_of(system: str) -> IPv4Network:
    """The subnet of a system's containers."""
    count = 1 << (PREFIX - SUBNETS.prefixlen)
    start = int(SUBNETS.network_address) + (_number(system) % count << (32 - PREFIX))
    return IPv4Network((start, PREFIX))


def network_of(system: str, subnet: IPv4Network | None = None, name: str = "", unit: str = "") -> ContainerNetwork:
    """The network of a system's containers, as far as nothing else is said of it."""
    where = subnet or subnet_of(system)
    return ContainerNetwork(
        name=name or system, subnet=where, gateway=where.network_address + 1, unit=unit or f"{system}-network.service"
    )


def with_assigned(system: System) -> System:
    """A system with a port for each container that the proxy passes requests to, and a network where it has
    containers."""
    services = [
        with_ports(system.system, service) if isinstance(service, ComposeService) else service
        for service in system.services
    ]
    network = system.network or (network_of(system.system) if system.compose_services else None)
    return system.model_copy(update=SystemCopy(services=services, network=network))


def with_ports(system: str, service: ComposeService) -> ComposeService:
    """A service with the ports that it needs and that are not written."""
    ports: PortCopy = {}
    if service.port is None and service.container_port and service.routes:
        ports["port"] = port_of(system, service.name)
    if service.is_blue_green and service.spare_port is None and (service.port or ports):
        ports["spare_port"] = port_of(system, service.name, "spare")
    if service.is_balanced and not service.replica_ports and (service.port or ports):
        ports["replica_ports"] = replica_ports(system, service.name, service.replicas)
    if not ports:
        return service
    ports["port_exception"] = service.port_exception or WHY
    return service.model_copy(update=ports)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
