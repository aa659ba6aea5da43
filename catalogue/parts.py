"""Services of a system that run on another host than the rest of it, its *part*.

    infra:hosts:
      web: {systems: [shop]}
      gpu: {systems: [{system: shop, services: [whisper]}]}

`gpu` runs `whisper` as a system of its own, `shop-whisper`, and `web` runs the rest. In the place of `whisper` it has a
*relay* at the same port of 127.0.0.1, which leads each connection to the private address of `gpu`: what asks for
`whisper` there, the proxy included, asks as before. The catalogue's files say nothing of it, so that other stacks run
the system on one host.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from catalogue.copies import ServiceCopy, SystemCopy
from catalogue.instances import Instance, rename_gate
from catalogue.models import System
from catalogue.network_defaults import network_of
from catalogue.relays import relay, relay_name
from catalogue.service import RetiredService, Service
from catalogue.services import ComposeService
from catalogue.stack import Stack

# In the place of an address that is not known before its machine is there; no name in the world ends like it
UNKNOWN = ".private-address.invalid"


def private_address(host: str) -> str:
    """What stands for a host's private address until that is known (rendering/neighbours.py)."""
    return f"{host}{UNKNOWN}"


def parts(stack: Stack) -> Iterator[tuple[str, Instance]]:
    """Each part of a system, with its host."""
    for host, spec in stack.hosts.items():
        yield from ((host, entry) for entry in spec.instances if entry.services)


def wholes(stack: Stack) -> dict[str, str]:
    """Part → the system that it is a part of."""
    return {entry.own_name: entry.system for _, entry in parts(stack)}


def host_of(stack: Stack, system: str) -> str:
    """The host that runs a system, or the rest of it; "" where none does."""
    return next((host for host, spec in stack.hosts.items() if system in spec.runs), "")


def serving_hosts(stack: Stack) -> dict[str, str]:
    """Service → the host that runs it apart from its system."""
    return {service: host for host, entry in parts(stack) for service in entry.services}


def calls(stack: Stack) -> dict[str, list[str]]:
    """Host → the other hosts that services of its systems run on."""
    pairs = [(host_of(stack, entry.system), host) for host, entry in parts(stack)]
    return {
        host: list(dict.fromkeys(server for caller, server in pairs if caller == host and server != host))
        for host in stack.hosts
        if any(caller == host for caller, _ in pairs)
    }


def members(stack: Stack) -> dict[str, list[str]]:
    """Each host that has a group → all hosts of it, itself first."""
    groups = {name: [name] for name, host in stack.hosts.items() if host.group is None}
    for name, host in stack.hosts.items():
        if host.group in groups:
            groups[host.group].append(name)
    return {name: hosts for name, hosts in groups.items() if len(hosts) > 1}


def leader_of(stack: Stack, host: str) -> str:
    """The host whose group a host is in, which may be itself; "" for one without a group."""
    return next((leader for leader, hosts in members(stack).items() if host in hosts), "")


def neighbours(stack: Stack, host: str) -> list[str]:
    """The hosts whose private addresses stand in a host's files: those that it calls, and itself where it is called."""
    own_calls = calls(stack)
    called = [host] if any(host in servers for servers in own_calls.values()) else []
    return [*called, *own_calls.get(host, [])]


def prerequisites(stack: Stack, host: str, former_callers: Mapping[str, Sequence[str]]) -> list[str]:
    """The hosts that get their releases before one: those that it calls, the others of its group, which have the images
    then, and those that called it until now (`former_callers`)."""
    group = [other for other in members(stack).get(host, []) if other != host]
    return list(dict.fromkeys([*calls(stack).get(host, []), *group, *former_callers.get(host, [])]))


def release_order(stack: Stack, former_callers: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The stack's hosts in the order of their releases: each after its prerequisites."""
    ordered: list[str] = []

    def add(host: str, above: tuple[str, ...] = ()) -> None:
        for earlier in prerequisites(stack, host, former_callers or {}):
            # A rule refuses a circle
            if earlier not in above and earlier in stack.hosts:
                add(earlier, (*above, host))
        if host not in ordered:
            ordered.append(host)

    for host in stack.hosts:
        add(host)
    return ordered


def with_parts(stack: Stack, systems: dict[str, System]) -> dict[str, System]:
    """Part → the system that it is a part of, as that was before. In `systems` each part appears, and what it takes
    leaves its system. What cannot be is left as it is, for a rule to refuse (catalogue/rules/parts.py)."""
    part_origins: dict[str, System] = {}
    complete = dict(systems)
    for host, entry in parts(stack):
        whole = systems.get(entry.system)
        if whole is None or entry.own_name in complete or not {*entry.services} <= {s.name for s in whole.active}:
            continue
        part_origins[entry.own_name] = complete[entry.system]
        systems[entry.own_name] = _part(complete[entry.system], entry)
        systems[entry.system] = _rest(whole, entry, host)
    return part_origins


def _is_taken(service: Service | RetiredService, entry: Instance) -> bool:
    return isinstance(service, ComposeService) and service.name in entry.services


def mount_sources(services: list[ComposeService]) -> list[PurePosixPath]:
    """The directories of the host that containers see."""
    return [PurePosixPath(m.source) for s in services for m in s.volumes if m.type == "bind" and m.source]


def concerns(path: str, places: list[PurePosixPath]) -> bool:
    """Is a path one of these, or in one, or around one."""
    own = PurePosixPath(path)
    return any(own.is_relative_to(place) or place.is_relative_to(own) for place in places)


def _part(system: System, entry: Instance) -> System:
    """The services of an entry as a system: without public paths, which the rest of the system keeps."""
    leaving = [service for service in system.compose_services if _is_taken(service, entry)]
    places = mount_sources(leaving)
    services = [service.model_copy(update=_alone(service, entry)) for service in leaving]
    changes = SystemCopy(
        system=entry.own_name,
        sites=[],
        services=services,
        network=network_of(entry.own_name, entry.subnet),
        data=[path for path in system.data if concerns(path, places)],
        directories=[item for item in system.directories if concerns(item.path, places)],
        accounts=[],
        packages=[],
        enables=[],
        drop_ins=[],
        milestones=[],
        monitor_names=[],
    )
    return system.model_copy(update=changes)


def _alone(service: ComposeService, entry: Instance) -> ServiceCopy:
    """What differs where a service is apart from the proxy, from its network and from services that it waits for."""
    waits = {name: need for name, need in service.depends_on.items() if name in entry.services}
    apart: ServiceCopy = {"routes": [], "address": None, "spare_address": None, "depends_on": waits}
    # Nothing there switches between two
    return {**apart, "rollout": "recreate", "spare_port": None}


def _rest(system: System, entry: Instance, host: str) -> System:
    """A system without what an entry takes: relays in its place, under whose names its routes and gates are."""
    leaving = {service.name: service for service in system.compose_services if _is_taken(service, entry)}
    names = {name: relay_name(name, host) for name, service in leaving.items() if service.port}
    addresses = [f"{name}:{private_address(host)}" for service in leaving.values() for name in _inside_names(service)]

    def here(name: str) -> str:
        return names.get(name, name)

    def rest(service: Service | RetiredService) -> Iterator[Service | RetiredService]:
        if isinstance(service, RetiredService):
            yield service
            return
        changes: ServiceCopy = {"routes": [rename_gate(route, here) for route in service.routes]}
        if service.name in names:
            address = f"{private_address(host)}:{leaving[service.name].listens_inside}"
            yield relay(leaving[service.name], host, address).model_copy(update=changes)
        elif service.name not in leaving:
            if isinstance(service, ComposeService):
                # Nothing waits at boot for a machine that may start later
                waits = {name: need for name, need in service.depends_on.items() if name not in leaving}
                changes["depends_on"], changes["extra_hosts"] = waits, [*service.extra_hosts, *addresses]
            yield service.model_copy(update=changes)

    staying = [service for service in system.compose_services if service.name not in leaving]
    own, theirs = mount_sources(staying), mount_sources([*leaving.values()])
    sites = [
        rename_gate(site, here).model_copy(update={"static": [rename_gate(item, here) for item in site.static]})
        for site in system.sites
    ]
    changes = SystemCopy(
        sites=sites,
        services=[item for service in system.services for item in rest(service)],
        network=system.network if staying else None,
        data=[path for path in system.data if concerns(path, own) or not concerns(path, theirs)],
    )
    return system.model_copy(update=changes)


def _inside_names(service: ComposeService) -> list[str]:
    """The names by which containers of its network know a service that listens."""
    names = [service.compose_key, service.container, *service.aliases] if service.listens_inside else []
    return list(dict.fromkeys(names))
