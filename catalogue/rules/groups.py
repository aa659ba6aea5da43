"""Groups of hosts, and what of a service can run spread over one."""

from collections.abc import Iterator

from catalogue import proxies
from catalogue.compose.values import HealthCommand
from catalogue.groups import SpreadMemory, free_memory, managers, spread_services
from catalogue.host import Ec2Host, SshHost
from catalogue.loading import Catalogue
from catalogue.parts import members
from catalogue.problems import Problem, nearest
from catalogue.services import ComposeService
from catalogue.sizes import MiB

# What a stack of the Swarm cannot say, or what means another host wherever it runs
UNSAYABLE = (
    "privileged", "devices", "gpus", "security_opt", "pid", "ipc", "shm_size", "group_add", "tmpfs", "network_mode",
)  # fmt: skip


def groups(catalogue: Catalogue) -> Iterator[Problem]:
    """Each host of a group names one that is in none itself, and is of its kind."""
    stack = catalogue.stack
    for name, host in stack.hosts.items():
        if host.group is None:
            continue
        where, leader = f"infra:hosts.{name}.group", stack.hosts.get(host.group)
        choices = sorted(other for other, spec in stack.hosts.items() if other != name and spec.group is None)
        if leader is None or host.group == name:
            yield Problem(stack.file, where, f"host {host.group!r}", nearest(host.group, choices, "hosts"))
        elif leader.group is not None:
            rule = f"write group: {leader.group}, the host that has the systems"
            yield Problem(stack.file, where, f"{host.group} is in the group of {leader.group}", rule)
        elif leader.kind != host.kind:
            fault = f"{name} is of kind {host.kind}, and {host.group} of kind {leader.kind}"
            yield Problem(
                stack.file, where, fault, "the hosts of a group are of one kind: they share a private network"
            )
    for leader, hosts in members(stack).items():
        for name in hosts:
            spec = stack.hosts[name]
            if isinstance(spec, SshHost) and spec.privateAddress is None:
                rule = f"write privateAddress: 10.0.0.5 (its own) under infra:hosts.{name}"
                yield Problem(
                    stack.file, f"infra:hosts.{name}", f"is in the group of {leader} and has no privateAddress", rule
                )
        if len(managers(hosts)) == 1:
            fault = f"its group has {len(hosts)} hosts, of which one alone keeps the Swarm's state"
            rule = "with 3 hosts one of them can fail; until then no service moves while " + leader + " is down"
            yield Problem(stack.file, f"infra:hosts.{leader}", fault, rule, "warning")
        proxy = stack.hosts[leader].proxy
        if not proxies.abilities(proxy).leads_between and any(True for _ in _of(catalogue, leader)):
            rule = proxies.remedy(lambda can: can.leads_between)
            fault = f"proxy {proxy} cannot lead to the spread services of its group"
            yield Problem(stack.file, f"infra:hosts.{leader}", fault, rule)
        has_port = any(service.port for service in _of(catalogue, leader))
        if has_port and not any(system.sites for system in catalogue.systems_on(leader)):
            fault = "the program of its proxy leads to spread services, and none of its systems has a site"
            rule = "write a site for a system of this host, or remove the port of these services"
            yield Problem(stack.file, f"infra:hosts.{leader}", fault, rule)
    if stack.standbyRegions and members(stack):
        fault = f"{', '.join(members(stack))} has a group, and the stack has standby regions"
        yield Problem(stack.file, "infra:standbyRegions", fault, "one of the two: a group runs in one region")
    for name, host in stack.hosts.items():
        if isinstance(host, Ec2Host) and host.count > 1 and not any(True for _ in _of(catalogue, name)):
            fault = f"count is {host.count}, and none of its services is spread"
            rule = "write spread: 2 for a service of its systems, or count: 1: the other hosts would run nothing"
            yield Problem(stack.file, f"infra:hosts.{name}", fault, rule, "warning")


def _of(catalogue: Catalogue, leader: str) -> Iterator[ComposeService]:
    names = catalogue.stack.hosts[leader].runs
    for system, service in spread_services(catalogue.systems):
        if system.system in names:
            yield service.container


def spread(catalogue: Catalogue) -> Iterator[Problem]:
    """What a spread service cannot have: it runs on any host of its group, several times, and moves."""
    for system, service in spread_services(catalogue.systems):
        for fault, rule in _faults(service.container):
            yield Problem(catalogue.file_of(system), f"service {service.name}", f"is spread, and {fault}", rule)


def _faults(service: ComposeService) -> Iterator[tuple[str, str]]:
    alone = "remove spread: it stays on one host"
    if service.single:
        yield (
            "single: true",
            f"one of the two: of a spread service two can run while hosts do not see each other; {alone}",
        )
    if service.volumes:
        paths = ", ".join(mount.target for mount in service.volumes)
        yield f"has volumes ({paths})", f"keep its data in another service, or {alone}"
    if service.files or service.secret_files:
        yield "has files of its host", f"put them into its image, or give them as variables; or {alone}"
    if service.backup:
        yield "has a backup", f"it has no data of its own; or {alone}"
    if service.publish:
        yield "publishes ports past the proxy", alone
    if service.release:
        yield "has release steps", f"give them to a service that stays on one host; or {alone}"
    if service.followed_tag:
        yield "follows a tag by itself", f"remove deploy, or {alone}"
    if service.is_balanced or service.is_blue_green:
        yield (
            "has replicas or a rollout of one host",
            "remove these: the Swarm starts each new one before it ends an old one",
        )
    if isinstance(service.health, HealthCommand) or service.check not in ("http",):
        rule = "write health: /PATH and a port: each is asked where it runs, and through its first host"
        yield "its health is not asked by HTTP", rule
    refused = [name for name in UNSAYABLE if getattr(service, name) not in (None, [], {}, False, "")]
    if refused:
        yield f"has {', '.join(refused)}", f"a Docker Swarm cannot give it that: remove it, or {alone}"
    if any(entry.endswith(":host-gateway") for entry in service.extra_hosts):
        fault = "reaches its host by host-gateway"
        yield fault, f"that is another host wherever it runs: use a name that is the same everywhere, or {alone}"
    if service.address:
        yield "has a fixed address", f"others reach it by its name: remove address, or {alone}"


def memory(catalogue: Catalogue) -> Iterator[Problem]:
    """All copies fit on the group's hosts, with one more while they are replaced, and while one host is down."""
    stack = catalogue.stack
    for leader in members(stack):
        own = [*_of(catalogue, leader)]
        free = free_memory(stack, catalogue.systems, leader)
        if not own or not free:
            continue
        spread_memory = SpreadMemory([(service.limit, service.spread or 1) for service in own], free)
        most, largest, room = (size // MiB for size in (spread_memory.most, spread_memory.largest, spread_memory.room))
        where, rule = f"infra:hosts.{leader}", "write a larger count or instanceType, or a smaller spread or limit"
        if spread_memory.most > spread_memory.room:
            fault = (
                f"its spread services need {most} MiB, with {largest} MiB for the copy "
                f"that starts before another one ends, and its group has {room} MiB for them"
            )
            yield Problem(stack.file, where, fault, rule)
        elif spread_memory.largest > spread_memory.largest_host:
            name = next(one.name for one in own if one.limit == spread_memory.largest)
            fault = (
                f"a copy of {name} needs {largest} MiB, and no host of its group has more than "
                f"{spread_memory.largest_host // MiB} MiB for it"
            )
            yield Problem(stack.file, where, fault, rule)
        elif spread_memory.demand > spread_memory.room_without_largest_host:
            demand, rest = spread_memory.demand // MiB, spread_memory.room_without_largest_host // MiB
            fault = (
                f"its spread services need {demand} MiB, and without its largest host the group has {rest} MiB for them"
            )
            rule = "write a larger count or instanceType: some would not run while a host is down"
            yield Problem(stack.file, where, fault, rule, "warning")
