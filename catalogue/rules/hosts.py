"""The stack's hosts: what runs where, whether it fits, and who may come in."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from urllib.parse import urlsplit

from catalogue.host import Ec2Host, SshHost
from catalogue.loading import Catalogue
from catalogue.networks import FOR_CONTAINERS, HOSTS, is_for_containers, too_wide
from catalogue.parts import neighbours
from catalogue.problems import Level, Problem, nearest
from catalogue.rules.each import services
from catalogue.rules.places import has_foreign_subnet
from catalogue.services import ComposeService, most_memory
from catalogue.sites import Site
from catalogue.sizes import INSTANCE_TYPES, MiB, format_size, to_bytes
from catalogue.stack import Stack

# Measured on a host of 13 services, and rounded up: benchmarks/README.md
OVERHEAD_MIB, UNIT_OVERHEAD_MIB = 400, 25
DOCKERS_NETWORK = IPv4Network("172.17.0.0/16")
DOCKERS_OWN = {"bridge", "host", "none", "default", "ingress", "docker_gwbridge"}
# What the name of its role in IAM (64 characters) leaves for HOST-PLACE: -permissions-role and Pulumi's suffix of 8
LONGEST_MADE = 64 - len("-permissions-role") - 8
DOCUMENTATION_NETWORKS = [IPv4Network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


def hosts(catalogue: Catalogue) -> Iterator[Problem]:
    file = catalogue.stack.file
    if not catalogue.stack.hosts:
        rule = "must have one: infra adopt host ADDRESS reads a hand-made one off, docs/your-stack.md has a new one"
        yield Problem(file, "infra:hosts", "the stack has no host", rule)
    for name, host in catalogue.stack.hosts.items():
        where = f"infra:hosts.{name}"
        if host.memory_mib is None:
            choices = ", ".join(INSTANCE_TYPES)
            yield Problem(file, where, f"instanceType {host.machine!r}", f"known types: {choices}")
        places = catalogue.stack.places(name) if isinstance(host, Ec2Host) else ()
        longest = max((len(f"{name}-{place}") for place in places), default=0)
        if longest > LONGEST_MADE:
            fault = f"its name has {len(name)} characters, so its role's name in IAM would have more than 64"
            yield Problem(
                file, where, fault, f"must be a name of at most {len(name) - longest + LONGEST_MADE} characters"
            )
        for system in host.runs:
            if system not in catalogue.systems and system not in {one.own_name for one in host.instances}:
                yield Problem(file, where, f"system {system!r}", nearest(system, sorted(catalogue.systems), "systems"))
    for system in sorted(set(catalogue.stack.variants) - set(catalogue.systems)):
        choices = ", ".join(sorted(catalogue.systems))
        yield Problem(file, f"infra:variants.{system}", "no system has this name", f"systems: {choices}")
    for system, places in _repeated_placements(catalogue.stack).items():
        origin = catalogue.origins[system].system if system in catalogue.origins else system
        rule = f"must have another name for each further one: {{system: {origin}, as: {origin}-2}} (docs/catalogue.md)"
        where = " and on host ".join(places)
        yield Problem(file, "infra:hosts", f"system {system} is listed twice: on host {where}", rule)


def _repeated_placements(stack: Stack) -> dict[str, list[str]]:
    """System → the hosts that it is named on, of those that are named more than once."""
    placed = [(system, name) for name, host in stack.hosts.items() for system in host.runs]
    hosts_of = {system: [name for other, name in placed if other == system] for system, _ in placed}
    return {system: hosts_of[system] for system in sorted(hosts_of) if len(hosts_of[system]) > 1}


def unique_machines(catalogue: Catalogue) -> Iterator[Problem]:
    """Two hosts at one address would undo each other's releases; what a proxy listens on is not SSH's."""
    host_at: dict[tuple[str, int], str] = {}
    ssh_hosts = {name: host for name, host in catalogue.stack.hosts.items() if isinstance(host, SshHost)}
    for name, host in ssh_hosts.items():
        where, other = f"infra:hosts.{name}", host_at.setdefault((host.address, host.port), name)
        if other != name:
            fault = f"address {host.address}, port {host.port}, is already used by host {other}"
            yield Problem(
                catalogue.stack.file, where, fault, "must be one host for each machine: list its systems under one host"
            )
        if host.port in (80, 443) and _sites_on(catalogue, name):
            fault = f"SSH listens on port {host.port}, which the proxy uses"
            yield Problem(catalogue.stack.file, where, fault, "must be another port")


def names(catalogue: Catalogue) -> Iterator[Problem]:
    """`infra:names` renames sites that exist, and no public name is two sites'."""
    file, stack = catalogue.stack.file, catalogue.stack
    sites = [site.name for system in catalogue.systems.values() for site in system.sites]
    for site in sorted(set(stack.names) - set(sites)):
        yield Problem(file, f"infra:names.{site}", "no site has this name", f"sites: {', '.join(sites)}")
    # Of one system on two hosts that is said already
    twice = _repeated_placements(stack)
    served = [
        (host, stack.public_name(site.name))
        for host in stack.hosts
        for system in catalogue.systems_on(host)
        if system.system not in twice
        for site in system.sites
    ]
    public = [name for _, name in served]
    for name in sorted({name for name in public if public.count(name) > 1}):
        where = ", ".join(dict.fromkeys(host for host, other in served if other == name))
        yield Problem(
            file,
            "infra:hosts",
            f"{name} is the public name of two sites (on {where})",
            "a public name has one site: of two instances, give one another name under names: (docs/catalogue.md)",
        )


def unique_public_names(catalogue: Catalogue, others: Iterable[Catalogue]) -> Iterator[Problem]:
    """A public name is one stack's: two would each write its record and ask for its certificate. A stack with another
    certificate authority is no part of the public world."""
    stack = catalogue.stack
    mine = _public_names(catalogue)
    for other in (other for other in others if _authority(other.stack) == _authority(stack)):
        for name in sorted(mine & _public_names(other)):
            fault = f"{name} also belongs to stack {other.stack.name}"
            rule = f"a public name belongs to one stack: set another one with infra:names (see {other.stack.file})"
            yield Problem(stack.file, "infra:names", fault, rule)


def _authority(stack: Stack) -> str:
    """Whose directory it is: `letsencrypt.org`. A staging directory is its authority's too, and the records that its
    certificates need are of the same zone."""
    return ".".join((urlsplit(stack.acmeDirectory).hostname or "").split(".")[-2:])


def _public_names(catalogue: Catalogue) -> set[str]:
    return {
        catalogue.stack.public_name(site.name) for host in catalogue.stack.hosts for site in _sites_on(catalogue, host)
    }


def subnets(catalogue: Catalogue) -> Iterator[Problem]:
    """A container network covers none of the addresses that its host must reach: they would all be looked for in it."""
    for host in catalogue.stack.hosts:
        reached = _networks_reached(catalogue.stack, host)
        for system in catalogue.systems_on(host):
            file, network = catalogue.file_of(system), system.network
            if network is None:
                continue
            where = f"network {network.name}"
            if network.name in DOCKERS_OWN:
                fault = f"the name {network.name} is reserved by Docker"
                yield Problem(file, where, fault, "must be a name of the product, such as PRODUCT-network")
            ends = (network.subnet.network_address, network.subnet.broadcast_address)
            # A subnet that has not one of the containers either is reported as a whole
            if not has_foreign_subnet(system) and (network.gateway not in network.subnet or network.gateway in ends):
                rule = f"must be an address in it, such as {network.subnet.network_address + 1}"
                yield Problem(file, where, f"its gateway {network.gateway} is not in {network.subnet}", rule)
            if not is_for_containers(network.subnet):
                yield Problem(file, where, f"its subnet is {network.subnet}", FOR_CONTAINERS)
            for name, other, level in reached:
                if network.subnet.overlaps(other):
                    fault = f"its subnet {network.subnet} overlaps {name}"
                    rule = f"must be a private subnet that host {host} uses for nothing else, such as 172.27.0.0/16"
                    yield Problem(file, where, fault, rule, "error" if other.subnet_of(network.subnet) else level)
            reached.append((f"{network.subnet} of the network {network.name}", network.subnet, "error"))


def _networks_reached(stack: Stack, host: str) -> list[tuple[str, IPv4Network, Level]]:
    """What a host must reach: its name in a message, and how bad it is where only a part of it is out of reach."""
    spec = stack.hosts[host]
    reached: list[tuple[str, IPv4Network, Level]] = [("Docker's own default network", DOCKERS_NETWORK, "warning")]
    if isinstance(spec, Ec2Host) and any(
        place not in stack.networks for place in [stack.region, *stack.standbyRegions]
    ):
        reached.append((f"the hosts' own network {HOSTS}", HOSTS, "error"))
    if isinstance(spec, SshHost):
        with suppress(ValueError):
            reached.append((f"the host's own address {spec.address}", IPv4Network(spec.address), "error"))
    for other in neighbours(stack, host):
        own = stack.hosts[other]
        if isinstance(own, SshHost) and own.privateAddress:
            what = f"the private address {own.privateAddress} of host {other}"
            reached.append((what, IPv4Network(own.privateAddress), "error"))
    for server in stack.nameServers:
        with suppress(ValueError):
            address = server.partition(":")[0]
            reached.append((f"the name server {address} of infra:nameServers", IPv4Network(address), "error"))
    for key in ("adminCidrs", "statusCidrs"):
        networks: list[IPv4Network] = getattr(stack, key)
        for network in [network for network in networks if network.prefixlen]:
            # Administrators' wide networks are not all in use
            reached.append((f"{network} of infra:{key}", network, "warning"))
    return reached


def _sites_on(catalogue: Catalogue, host: str) -> list[Site]:
    return [site for system in catalogue.systems_on(host) for site in system.sites]


def memory(catalogue: Catalogue) -> Iterator[Problem]:
    """The limits fit on the machine, and no limit is below what the service was seen to use."""
    for file, _, service in services(catalogue):
        if service.observed_memory > service.limit:
            limit, observed = format_size(service.limit), format_size(service.observed_memory)
            fault = f"memory limit {limit} is below its observed use of {observed}"
            yield Problem(file, f"service {service.name}", fault, "raise the limit, or the kernel kills it", "warning")
    for name, host in catalogue.stack.hosts.items():
        if host.memory_mib is None:
            continue
        services_on = [service for system in catalogue.systems_on(name) for service in system.active]
        limits = most_memory(services_on) // MiB
        room = host.memory_mib - to_bytes(host.reserve) // MiB
        if limits > room:
            doubled = [s.name for s in services_on if isinstance(s, ComposeService) and s.is_blue_green]
            twice = f" ({', '.join(doubled)} twice, for rollout: blue-green)" if doubled else ""
            several = [s for s in services_on if s.at_once > 1 and s.name not in doubled]
            twice += f" ({', '.join(f'{s.at_once} of {s.name}' for s in several)})" if several else ""
            steps = any(isinstance(service, ComposeService) and service.release for service in services_on)
            beside = ", plus a release step" if steps and not doubled else ""
            fault = f"the services' memory limits add up to {limits} MiB{twice}{beside}"
            rule = f"at most {room} MiB on {host.machine} less the reserve of {host.reserve}"
            yield Problem(catalogue.stack.file, f"infra:hosts.{name}", fault, rule)
        overhead = OVERHEAD_MIB + UNIT_OVERHEAD_MIB * len(services_on)
        if overhead > to_bytes(host.reserve) // MiB:
            fault = f"reserve of {host.reserve}"
            rule = (
                f"at least {overhead} MiB: {OVERHEAD_MIB} for the system, Docker and Nginx, and {UNIT_OVERHEAD_MIB} "
                f"for each of {len(services_on)} services (benchmarks/README.md)"
            )
            yield Problem(catalogue.stack.file, f"infra:hosts.{name}", fault, rule)


def admin_networks(catalogue: Catalogue) -> Iterator[Problem]:
    """SSH is never open to the world."""
    file = catalogue.stack.file
    if fault := too_wide(map(str, catalogue.stack.adminCidrs)):
        rule = "must be the networks that administrators come from, such as 203.0.113.10/32"
        networks = ", ".join(map(str, catalogue.stack.adminCidrs))
        yield Problem(file, "infra:adminCidrs", f"{networks} is {fault}", rule)
    for network in catalogue.stack.adminCidrs:
        if any(network.subnet_of(net) for net in DOCUMENTATION_NETWORKS):
            fault = f"{network} is an example network of RFC 5737: no one can connect from it"
            yield Problem(file, "infra:adminCidrs", fault, "set your own networks before the first update", "warning")


def temporary_ssh(catalogue: Catalogue) -> Iterator[Problem]:
    """What opens SSH for a time is the security group of EC2 hosts."""
    stack = catalogue.stack
    if stack.temporarySsh and stack.hosts and not stack.ec2_hosts:
        fault = "no host is of kind ec2, and SSH is opened in security groups of AWS alone"
        yield Problem(
            stack.file, "infra:temporarySsh", fault, "remove it: the hosts' own network decides who reaches them"
        )
