"""Spread services of a group of hosts: what its Docker Swarm is to run, and the way there from the host's own ports."""

import json
from dataclasses import replace
from typing import TypedDict

from agent.documents.stacks import EntryFile, GroupFile, Spread, StackFile
from catalogue.compose.bodies import HealthBody, MountBody, NetworkBody, ResourcesBody, ServiceBody
from catalogue.groups import (
    ENTRIES,
    entry,
    entry_path,
    free_memory,
    group_network,
    group_networks,
    spread_in,
    spread_services,
    stack_of,
    stack_path,
    swarm_name,
)
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.network_defaults import subnet_of
from catalogue.parts import leader_of, members
from catalogue.services import ComposeService
from catalogue.spread import SpreadService
from rendering import compose
from rendering.environment import Secrets
from rendering.files import File, HostFiles, Unit
from rendering.places import environment_path
from rendering.requests import GroupHost, GroupRequest
from rendering.templates import fill

# Before the name of a host on which a service does not run
EXCEPT = "node.labels.infra.host!="
GROUP_UNIT, GROUP_FILE = "infra-group.service", "/etc/infra/group.json"
# Under load a check of a second or two has ended healthy containers
INTERVAL, TIMEOUT, RETRIES, BEGIN = "5s", "10s", 3, "120s"
# A program of the host's, which needs nothing of an image (Debian's package of ASKER)
ASKER, ASKER_PACKAGE, ASKER_INSIDE = "/bin/busybox", "busybox-static", "/.infra/busybox"
ASKER_MOUNT: MountBody = {"type": "bind", "source": ASKER, "target": ASKER_INSIDE, "read_only": True}
# What `docker stack deploy` takes, and what the agent reads of it
StackDocument = TypedDict(
    "StackDocument",
    {
        "version": str,
        "x-infra": StackFile,
        "services": dict[str, ServiceBody],
        "networks": dict[str, NetworkBody],
    },
)


def with_swarm(
    files: HostFiles, catalogue: Catalogue, system: System, digests: compose.Digests, secrets: Secrets
) -> HostFiles:
    """A system's files with what its spread services need, their units with all that a change of brings up to date."""
    own = [service for _, service in spread_services({system.system: system})]
    if not own:
        return files
    stack = catalogue.stack
    leader = leader_of(stack, next(host for host in stack.hosts if system.system in stack.hosts[host].runs))
    stack_files = [stack_file(catalogue, system, service, leader, digests) for service in own]
    containers = [service.container for service in own]
    environment = compose.environment_files(containers, secrets, stack)
    owner = stack.login(leader).user
    added = {
        service.unit: [file.path, *([path] if (path := environment_path(service.container)) else [])]
        for service, file in zip(own, stack_files, strict=True)
    }
    images = {service.unit: [compose.full_name(service.container.image, stack, digests)] for service in own}
    entries = [entry_file(system, containers)] if any(one.port for one in containers) else []
    added[entry(system).unit] = [file.path for file in entries]

    def complete(unit: Unit) -> Unit:
        return replace(
            unit,
            files=[*unit.files, *added.get(unit.name, [])],
            images=[*unit.images, *images.get(unit.name, [])],
        )

    return replace(
        files,
        files=[*files.files, *stack_files, *entries],
        units=[complete(unit) for unit in files.units],
        environment_files=[*files.environment_files, *environment],
        directories=[
            *files.directories,
            *({"path": c.directory, "mode": 0o755, "owner": owner, "group": owner} for c in containers),
        ],
        commands=[*files.commands, "docker"],
        group_networks=[*files.group_networks, group_network(system.system).name],
    )


def stack_file(
    catalogue: Catalogue, system: System, service: SpreadService, leader: str, digests: compose.Digests
) -> File:
    """What the Swarm is to run of a service, as `docker stack deploy` takes it; JSON is YAML too."""
    container, stack, network = service.container, catalogue.stack, group_network(system.system)
    whole = compose.body(
        container, compose.full_name(container.image, stack, digests), service.unit, environment_path(container)
    )
    memory = whole.pop("mem_limit")
    limits: ResourcesBody = {"memory": memory}
    if "mem_reservation" in whole:
        del whole["mem_reservation"]
    if "cpus" in whole:
        limits["cpus"] = str(whole.pop("cpus"))
    if "pids_limit" in whole:
        limits["pids"] = whole.pop("pids_limit")
    aliases = [container.container, *container.aliases]
    fields: ServiceBody = {
        **whole,
        "networks": {"group": {"aliases": list(dict.fromkeys(aliases))}},
        "healthcheck": health_check(container),
        "volumes": [
            *whole.get("volumes", []),
            ASKER_MOUNT,
        ],
        "deploy": {
            "replicas": service.copies,
            "placement": {"constraints": _constraints(catalogue, container, leader)},
            # Names lead to the containers themselves: what a kernel has for anything else is not asked for
            "endpoint_mode": "dnsrr",
            "labels": {"infra.group": leader, "infra.service": container.name},
            "resources": {"limits": limits, "reservations": {"memory": memory}},
            "update_config": {"order": "start-first", "parallelism": 1, "failure_action": "rollback", "monitor": "10s"},
            "rollback_config": {"order": "start-first", "parallelism": 1},
            "restart_policy": {"condition": "any", "delay": "5s"},
        },
    }
    description: StackFile = {
        "stack": stack_of(container),
        "service": swarm_name(container),
        "network": network.name,
        "subnet": str(network.subnet),
        "gateway": str(network.gateway),
        "replicas": service.copies,
        "limit": stack.healthDeadline,
    }
    document: StackDocument = {
        "version": "3.9",
        "x-infra": description,
        "services": {container.compose_key: fields},
        "networks": {"group": {"external": True, "name": network.name}},
    }
    return File(stack_path(container), f"{json.dumps(document, indent=2)}\n".encode())


def _constraints(catalogue: Catalogue, container: ComposeService, leader: str) -> list[str]:
    """Not on hosts without the memory for it: Docker knows all that a host has, and nothing of what else runs there."""
    free = free_memory(catalogue.stack, catalogue.systems, leader)
    return [f"{EXCEPT}{host}" for host, memory in free.items() if memory < container.limit]


def health_check(container: ComposeService) -> HealthBody:
    """How each copy is asked where it runs: at the path that its health has."""
    url = f"http://127.0.0.1:{container.listens_inside}{container.health_path}"
    return {
        # Docker ends it after its timeout; with a limit of its own Debian's program crashes
        "test": ["CMD", ASKER_INSIDE, "wget", "-q", "-O", "/dev/null", url],
        "interval": INTERVAL,
        "timeout": TIMEOUT,
        "retries": RETRIES,
        "start_period": BEGIN,
    }


def entry_file(system: System, containers: list[ComposeService]) -> File:
    """What the entry of a system is started with: the configuration of the proxy in the group's network."""
    ways = [
        (f"{ENTRIES}/{system.system}/{one.name}.sock", f"tasks.{swarm_name(one)}", one.listens_inside)
        for one in containers
        if one.port
    ]
    network = group_network(system.system)
    content: EntryFile = {
        "name": f"infra-entry-{system.system}",
        "network": network.name,
        "subnet": str(network.subnet),
        "gateway": str(network.gateway),
        "sockets": f"{ENTRIES}/{system.system}",
        "configuration": fill("entry.conf.j2", "", ways=ways).decode(),
    }
    return File(entry_path(system), f"{json.dumps(content, indent=2)}\n".encode())


def group_files(catalogue: Catalogue, host: str, digests: compose.Digests) -> HostFiles:
    """What each host of a group has: the images of all spread services, before any of them is to run there."""
    stack = catalogue.stack
    leader = leader_of(stack, host)
    if not leader:
        return HostFiles("")
    pairs = spread_in(stack, catalogue.systems, host)
    images = sorted({compose.full_name(service.container.image, stack, digests) for _, service in pairs})
    content: GroupFile = {
        "leader": leader,
        "hosts": members(stack)[leader],
        # Its first host alone says what runs
        "stacks": sorted(stack_of(service.container) for _, service in pairs) if host == leader else None,
    }
    source = f"Pulumi.{stack.name}.yaml"
    files = [
        File(GROUP_FILE, f"{json.dumps(content, indent=2)}\n".encode()),
        File(f"{compose.UNITS}/{GROUP_UNIT}", fill(f"{GROUP_UNIT}.j2", source)),
    ]
    unit = Unit(GROUP_UNIT, [file.path for file in files], images)
    spread: list[Spread] = [
        {
            "service": service.name,
            "unit": service.unit,
            "name": swarm_name(service.container),
            "entry": entry(system).unit if service.container.port else "",
        }
        for system, service in pairs
    ]
    return HostFiles("", files=files, units=[unit], commands=["docker"], spread=spread)


def group_request(catalogue: Catalogue, leader: str, hosts: dict[str, GroupHost], program: str) -> GroupRequest:
    """What brings the hosts of a group into one Swarm, in this order; `program` is the text of agent/swarm.py."""
    return {
        "order": [*hosts],
        "hosts": hosts,
        "pool": str(subnet_of(f"{leader}-swarm")),
        "networks": [
            {"name": one.name, "subnet": str(one.subnet), "gateway": str(one.gateway)}
            for one in group_networks(catalogue.stack, catalogue.systems, leader)
        ],
        "program": program,
    }
