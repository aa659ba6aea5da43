"""Groups of hosts: one runs its systems as any host does, and all of them run its spread services, in a Docker Swarm.

    infra:hosts:
      web: {systems: [shop], count: 3}

makes `web-2` and `web-3`, which run no systems of their own. A service with `spread: 2` is then a service of the Swarm
of which two run, on whichever of the three; on `web` a unit brings it up to date, and a *relay* at its port of
127.0.0.1 leads each connection to one that runs, so that the proxy and all else on `web` ask as before. The files of
systems say nothing of hosts: on a host without a group it is a container like any other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from catalogue.copies import ServiceCopy, SystemCopy
from catalogue.instances import rename_gate
from catalogue.models import ContainerNetwork, GroupedNetwork, System
from catalogue.network_defaults import network_of
from catalogue.parts import host_of, leader_of, members
from catalogue.relays import relay, relay_name
from catalogue.service import RetiredService, Service
from catalogue.services import ComposeService, UnitService
from catalogue.sizes import MiB, to_bytes
from catalogue.spread import SpreadService
from catalogue.stack import Stack

ENTRIES = "/run/infra-entry"
AGENT = "/usr/bin/python3 -I -B /var/lib/infra/bin"
STACK_FILE = "swarm-stack.json"


@dataclass(frozen=True)
class SpreadMemory:
    """Bytes that copies of spread services need, by the limit and the number of those of each service, and that hosts
    of their group have `free` for them."""

    copies: Sequence[tuple[int, int]]
    free: Mapping[str, int]

    @property
    def largest(self) -> int:
        return max((limit for limit, _ in self.copies), default=0)

    @property
    def demand(self) -> int:
        return sum(limit * number for limit, number in self.copies)

    @property
    def most(self) -> int:
        """With the copy that starts before another one ends."""
        return self.demand + self.largest

    @property
    def largest_host(self) -> int:
        return max(self.free.values(), default=0)

    @property
    def room(self) -> int:
        return sum(self.free.values())

    @property
    def room_without_largest_host(self) -> int:
        return self.room - self.largest_host


def managers(hosts: list[str]) -> list[str]:
    """Those that keep the Swarm's state, of which more than half must run: an odd number, five at most."""
    return hosts[: min(5, len(hosts) - (len(hosts) + 1) % 2)]


def group_network(system: str) -> ContainerNetwork:
    """The network in which the containers of a system's spread services reach each other, on whichever hosts."""
    return network_of(f"{system}-group")


def group_networks(stack: Stack, systems: Mapping[str, System], leader: str) -> list[ContainerNetwork]:
    """The networks of a group: one for each system of its first host that has spread services."""
    names = [system.system for system, _ in spread_in(stack, systems, leader)]
    return [group_network(name) for name in dict.fromkeys(names)]


def spread_services(systems: Mapping[str, System]) -> Iterator[tuple[System, SpreadService]]:
    """Each with its system."""
    for system in systems.values():
        yield from ((system, service) for service in system.services if isinstance(service, SpreadService))


def spread_in(stack: Stack, systems: Mapping[str, System], host: str) -> list[tuple[System, SpreadService]]:
    """Those that a host runs copies of, as one of its group."""
    leader = leader_of(stack, host)
    if not leader:
        return []
    names = stack.hosts[leader].runs
    return [(system, service) for system, service in spread_services(systems) if system.system in names]


def hosts_of_services(stack: Stack, systems: Mapping[str, System], host: str, services: Collection[str]) -> list[str]:
    """The hosts whose releases change with the images of a host's services, in the order of their releases: all of its
    group, which have the images of spread ones, else itself."""
    spread = {service.name for _, service in spread_in(stack, systems, host)}
    group = members(stack).get(host, []) if spread & {*services} else []
    return [*(other for other in group if other != host), host]


def free_memory(stack: Stack, systems: Mapping[str, System], leader: str) -> dict[str, int]:
    """Bytes of memory that each host of a group has beside its own services and its reserve; nothing where that is not
    known of all."""
    free: dict[str, int] = {}
    for host in members(stack)[leader]:
        spec = stack.hosts[host]
        if spec.memory_mib is None:
            return {}
        names = [name for name in dict.fromkeys(spec.runs) if name in systems]
        own = sum(service.at_once * service.limit for name in names for service in systems[name].active)
        free[host] = max(0, spec.memory_mib * MiB - to_bytes(spec.reserve) - own)
    return free


def memory_of_groups(stack: Stack, systems: Mapping[str, System]) -> dict[str, dict[str, int]]:
    """The first host of each group → `free_memory` of it, as the stack's outputs have it."""
    return {leader: free_memory(stack, systems, leader) for leader in members(stack)}


def with_groups(stack: Stack, systems: dict[str, System]) -> dict[str, System]:
    """The systems, those of hosts with a group with spread services in the place of these containers."""
    leaders = members(stack)
    return {name: _spread(system, host_of(stack, name), leaders) for name, system in systems.items()}


def _spread(system: System, host: str, leaders: Mapping[str, list[str]]) -> System:
    leaving = (
        {service.name: service for service in system.compose_services if service.spread} if host in leaders else {}
    )
    if not leaving:
        return system
    names = {name: relay_name(name, host) for name, service in leaving.items() if service.port}

    def here(name: str) -> str:
        return names.get(name, name)

    def staying(service: Service | RetiredService) -> Iterator[Service | RetiredService]:
        if isinstance(service, RetiredService):
            yield service
        elif isinstance(service, ComposeService) and service.name in leaving:
            yield spread_service(system, service)
            if service.name in names:
                routes = [rename_gate(route, here) for route in service.routes]
                address = f"{ENTRIES}/{system.system}/{service.name}.sock"
                after = [f"{stack_of(service)}.service", f"{system.system}-entry.service"]
                yield relay(service, host, address, after).model_copy(update={"routes": routes})
        else:
            changes: ServiceCopy = {"routes": [rename_gate(route, here) for route in service.routes]}
            if isinstance(service, ComposeService):
                changes["depends_on"] = {n: need for n, need in service.depends_on.items() if n not in leaving}
            yield service.model_copy(update=changes)

    services = [item for service in system.services for item in staying(service)]
    sites = [
        rename_gate(site, here).model_copy(update={"static": [rename_gate(item, here) for item in site.static]})
        for site in system.sites
    ]
    has_containers = any(isinstance(service, ComposeService) for service in services)
    if names:
        services.append(entry(system))
    network = None
    if has_containers and system.network:
        own = system.network
        network = GroupedNetwork(
            name=own.name,
            subnet=own.subnet,
            gateway=own.gateway,
            unit=own.unit,
            group=group_network(system.system).name,
        )
    return system.model_copy(update=SystemCopy(services=services, sites=sites, network=network))


def stack_of(service: ComposeService) -> str:
    """The stack of the Swarm that a service is alone in, and its unit."""
    return f"{service.unit.rsplit('.', 1)[0]}-swarm"


def swarm_name(service: ComposeService) -> str:
    """What the Swarm calls a spread service."""
    return f"{stack_of(service)}_{service.compose_key}"


def spread_service(system: System, service: ComposeService) -> SpreadService:
    """The unit that brings a spread service up to date in the Swarm."""
    return SpreadService.model_validate(
        {
            "kind": "oneshot",
            "name": service.name,
            "purpose": service.purpose,
            "purpose_ja": service.purpose_ja,
            "role": service.role,
            # Another name than that of a container's unit, which takes its container along when it goes
            "unit": f"{stack_of(service)}.service",
            "container": service,
            "directives": {
                "Unit": {
                    "Description": f"{service.name} in the Swarm: {service.purpose}",
                    "After": "docker.service",
                    "Requires": "docker.service",
                },
                "Service": {
                    "Type": "oneshot",
                    "RemainAfterExit": "yes",
                    "ExecStart": f"{AGENT} apply-stack {stack_path(service)}",
                    "TimeoutStartSec": "0",
                },
                "Install": {"WantedBy": "multi-user.target docker.service"},
            },
        }
    )


def stack_path(service: ComposeService) -> str:
    """Where what the Swarm is to run of a service is written."""
    return f"{service.directory}/{STACK_FILE}"


def entry_path(system: System) -> str:
    """What the entry of a system is started from."""
    return f"/etc/infra/entries/{system.system}.json"


def entry(system: System) -> UnitService:
    """The unit that leads from a system's relays into the network of its spread services."""
    name = f"{system.system}-entry"
    return UnitService.model_validate(
        {
            "kind": "unit",
            "name": name,
            "purpose": f"Leads to the spread services of {system.system}",
            "purpose_ja": f"{system.system} の分散サービスへの入口",
            "unit": f"{name}.service",
            "memory": {"limit": "128m"},
            "directives": {
                "Unit": {
                    "Description": f"Leads to the spread services of {system.system}",
                    "After": "docker.service",
                    "Requires": "docker.service",
                },
                "Service": {
                    "ExecStart": f"{AGENT} enter-group {entry_path(system)}",
                    "RuntimeDirectory": f"infra-entry/{system.system}",
                    # What it is answering ends first
                    "KillSignal": "SIGQUIT",
                    "KillMode": "mixed",
                    "Restart": "always",
                    "RestartSec": "2",
                },
                "Install": {"WantedBy": "multi-user.target docker.service"},
            },
        }
    )
