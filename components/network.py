"""A region's network: one VPC with one public subnet, and the rules of its security groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from catalogue.host import SshHost
from catalogue.loading import Catalogue
from catalogue.networks import HOSTS, SUBNET
from catalogue.parts import host_of, members, parts
from catalogue.stack import Stack
from components.naming import inside, tags

WORLD = "0.0.0.0/0"
# Of its managers, of what each host knows of the others, and of the containers' packets
SWARM = ((2377, "tcp"), (7946, "tcp"), (7946, "udp"), (4789, "udp"))


@dataclass(frozen=True)
class Opening:
    """Ports of the hosts, `first` to `last`, that a network reaches."""

    first: int
    last: int
    protocol: str
    cidr: str

    @property
    def label(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return ports if self.protocol == "tcp" else f"{ports}-{self.protocol}"


@dataclass(frozen=True)
class Passage:
    """The way from one host of the stack to a `port` of another."""

    caller: str
    server: str
    port: int


@dataclass(frozen=True)
class NetworkArgs:
    """The zone of its subnet, and the ways between hosts that stay open for this update: between two
    (components/parts.py), and within the group that a first host had (components/group.py)."""

    availability_zone: str
    former: Sequence[Passage] = ()
    former_groups: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


class Network(pulumi.ComponentResource):
    """`subnet_id`, its `zone` and `security_group_id` for the hosts of a region. The world, or the CDNs in front of all
    sites, reach 80 and 443; the world reaches what services publish; `adminCidrs` reach 22, and nothing else is
    reachable."""

    subnet_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    zone: pulumi.Output[str]

    def __init__(
        self, name: str, catalogue: Catalogue, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("infra:index:Network", name, None, opts)
        stack = catalogue.stack
        label = tags(stack, "network", f"{stack.name}-{name}")
        configured = stack.networks.get(stack.region)
        if configured:
            vpc, subnet, self.zone = configured.vpc, configured.subnet, self._zone_of(configured.subnet, stack)
        else:
            vpc, subnet, self.zone = self._create(name, stack, args.availability_zone, label)
        group = aws.ec2.SecurityGroup(
            f"{name}-hosts", description="Hosts: web from anywhere, SSH from administrators", vpc_id=vpc, tags=label,
            opts=inside(self),
        )  # fmt: skip
        rules = [self._ingress(name, group, opening, label) for opening in openings(catalogue)]
        rules.append(
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-out",
                security_group_id=group.id,
                ip_protocol="-1",
                cidr_ipv4="0.0.0.0/0",
                tags=label,
                opts=inside(self),
            )
        )
        ways = list(dict.fromkeys([*passages(catalogue), *args.former]))
        self._own_groups = self._groups_between(name, stack, vpc, label, ways)
        hosts_of = {leader: list(hosts) for leader, hosts in members(stack).items()}
        for leader, hosts in args.former_groups.items():
            hosts_of[leader] = list(dict.fromkeys([*hosts_of.get(leader, []), *hosts]))
        self._swarms = self._groups_of_swarms(name, stack, vpc, label, hosts_of)
        self.subnet_id = pulumi.Output.from_input(subnet)
        self.security_group_id = pulumi.Output.all(group.id, *(rule.id for rule in rules)).apply(lambda ids: ids[0])
        self.register_outputs({"subnet_id": self.subnet_id, "security_group_id": self.security_group_id})

    def groups_of(self, host: str) -> list[pulumi.Output[str]]:
        """The security groups of a host's machine."""
        return [
            self.security_group_id,
            *([self._own_groups[host]] if host in self._own_groups else []),
            *(group for group, hosts in self._swarms if host in hosts),
        ]

    def _groups_of_swarms(
        self, name: str, stack: Stack, vpc: pulumi.Input[str], label: dict[str, str], hosts_of: dict[str, list[str]]
    ) -> list[tuple[pulumi.Output[str], list[str]]]:
        """The group of each Swarm, with its hosts: these reach each other at the ports of SWARM, no one else does."""
        groups: list[tuple[pulumi.Output[str], list[str]]] = []
        for leader, hosts in hosts_of.items():
            if leader not in stack.ec2_hosts:
                continue
            group = aws.ec2.SecurityGroup(
                f"{name}-swarm-{leader}", description=f"The Docker Swarm of {leader} and its group", vpc_id=vpc,
                tags=label, opts=inside(self),
            )  # fmt: skip
            rules = [
                aws.vpc.SecurityGroupIngressRule(
                    f"{name}-swarm-{leader}-in-{port}-{protocol}",
                    security_group_id=group.id,
                    ip_protocol=protocol,
                    from_port=port,
                    to_port=port,
                    referenced_security_group_id=group.id,
                    tags=label,
                    opts=inside(self),
                ).id
                for port, protocol in SWARM
            ]
            usable = pulumi.Output.all(group.id, *rules).apply(lambda ids: ids[0])
            groups.append((usable, hosts))
        return groups

    def _groups_between(
        self, name: str, stack: Stack, vpc: pulumi.Input[str], label: dict[str, str], ways: list[Passage]
    ) -> dict[str, pulumi.Output[str]]:
        """A group of its own for each host that calls another one, or is called: who calls may reach the ports of the
        services that are called, and no others."""
        hosts = [host for host in stack.ec2_hosts if any(host in (way.caller, way.server) for way in ways)]
        groups = {
            host: aws.ec2.SecurityGroup(
                f"{name}-of-{host}", description=f"What reaches {host} from hosts of the stack", vpc_id=vpc, tags=label,
                opts=inside(self),
            )
            for host in hosts
        }  # fmt: skip
        rules: dict[str, list[pulumi.Output[str]]] = {}
        for way in ways:
            if way.server in groups:
                rule = aws.vpc.SecurityGroupIngressRule(
                    f"{name}-of-{way.server}-in-{way.port}-{way.caller}",
                    security_group_id=groups[way.server].id,
                    ip_protocol="tcp",
                    from_port=way.port,
                    to_port=way.port,
                    referenced_security_group_id=groups[way.caller].id if way.caller in groups else None,
                    cidr_ipv4=None if way.caller in groups else f"{_private_address(stack, way.caller)}/32",
                    tags=label,
                    opts=inside(self),
                )
                rules.setdefault(way.server, []).append(rule.id)
        return {
            host: pulumi.Output.all(group.id, *rules.get(host, [])).apply(lambda ids: ids[0])
            for host, group in groups.items()
        }

    def _create(
        self, name: str, stack: Stack, availability_zone: str, label: dict[str, str]
    ) -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str]]:
        """Creates the VPC and the subnet, and returns them and the zone; the subnet's id resolves once usable."""
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(HOSTS),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=label,
            opts=inside(self),
        )
        gateway = aws.ec2.InternetGateway(f"{name}-gateway", vpc_id=vpc.id, tags=label, opts=inside(self))
        subnet = aws.ec2.Subnet(
            f"{name}-subnet",
            vpc_id=vpc.id,
            cidr_block=str(SUBNET),
            availability_zone=availability_zone or None,
            map_public_ip_on_launch=True,
            tags=label,
            # What is there stays in its zone, unless the stack names another one: then it goes first, since both
            # cannot have the same addresses
            opts=inside(
                self,
                ignore_changes=[] if stack.region in stack.availabilityZones else ["availabilityZone"],
                delete_before_replace=True,
            ),
        )
        routes = aws.ec2.RouteTable(
            f"{name}-routes",
            vpc_id=vpc.id,
            routes=[aws.ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", gateway_id=gateway.id)],
            tags=label,
            opts=inside(self),
        )
        association = aws.ec2.RouteTableAssociation(
            f"{name}-public", subnet_id=subnet.id, route_table_id=routes.id, opts=inside(self)
        )
        usable = pulumi.Output.all(subnet.id, association.id).apply(lambda ids: ids[0])
        return vpc.id, usable, subnet.availability_zone

    def _zone_of(self, subnet: str, stack: Stack) -> pulumi.Output[str]:
        """Asked where a host has a disk that must be in it."""
        if not any(host.dataDisk for host in stack.ec2_hosts.values()):
            return pulumi.Output.from_input("")
        details = aws.ec2.get_subnet_output(id=subnet, region=stack.region, opts=pulumi.InvokeOptions(parent=self))
        return details.availability_zone

    def _ingress(
        self, name: str, group: aws.ec2.SecurityGroup, opening: Opening, label: dict[str, str]
    ) -> pulumi.CustomResource:
        return aws.vpc.SecurityGroupIngressRule(
            f"{name}-in-{opening.label}-{opening.cidr}",
            security_group_id=group.id,
            ip_protocol=opening.protocol,
            from_port=opening.first,
            to_port=opening.last,
            cidr_ipv4=opening.cidr,
            tags=label,
            opts=inside(self),
        )


def _private_address(stack: Stack, host: str) -> str:
    spec = stack.hosts[host]
    return str(spec.privateAddress) if isinstance(spec, SshHost) else ""


def passages(catalogue: Catalogue) -> list[Passage]:
    """The ways between hosts: from each that runs the rest of a system to what runs apart from it."""
    return [
        Passage(host_of(catalogue.stack, entry.system), host, service.listens_inside)
        for host, entry in parts(catalogue.stack)
        for service in catalogue.systems[entry.own_name].compose_services
        if service.listens_inside
    ]


def web_clients(catalogue: Catalogue) -> dict[int, list[str]]:
    """Port of the proxies → the networks that reach it: the world or, where each site is for its CDN only, those of the
    CDNs and of administrators. What HTTP proves to an authority is asked at port 80 from anywhere."""
    stack = catalogue.stack
    sites = [site for host in stack.ec2_hosts for system in catalogue.systems_on(host) for site in system.sites]
    fronts = [site.cdn for site in sites if site.cdn]
    owners = [site for site in sites if site.alias_of is None]
    if not owners or not all(site.cdn and site.cdn.only for site in owners):
        return {80: [WORLD], 443: [WORLD]}
    networks = [network for cdn in fronts for network in cdn.networks_of_ipv4]
    closed = [str(network) for network in dict.fromkeys([*networks, *stack.adminCidrs, *stack.statusCidrs])]
    return {80: [WORLD] if any(site.is_proved_by_http for site in sites) else closed, 443: closed}


def openings(catalogue: Catalogue) -> list[Opening]:
    """Everything that may come in to the hosts of a region: what services publish there is open in its one group."""
    stack = catalogue.stack
    web = [Opening(port, port, "tcp", cidr) for port, cidrs in web_clients(catalogue).items() for cidr in cidrs]
    systems_of_hosts = [system for host in stack.ec2_hosts for system in catalogue.systems_on(host)]
    if any(site.http3 for system in systems_of_hosts for site in system.sites):
        web += [Opening(443, 443, "udp", cidr) for cidr in web_clients(catalogue)[443]]
    administrators = [Opening(22, 22, "tcp", str(network)) for network in stack.adminCidrs]
    systems = {system.system: system for host in stack.ec2_hosts for system in catalogue.systems_on(host)}
    published = [
        Opening(port.first, port.last, port.protocol, WORLD)
        for system in systems.values()
        for service in system.compose_services
        for port in service.publish
    ]
    return list(dict.fromkeys([*web, *administrators, *published]))
