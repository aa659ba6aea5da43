"""What was found, under the program's names: what is taken over, what differs, what stays outside. Pure."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from catalogue.host import Ec2Host
from catalogue.loading import Catalogue
from catalogue.stack import Stack
from infra.adopt.facts import Facts, Instance, SharedFacts
from rendering.host import zone_names
from rendering.images import NEWEST

EVERYWHERE = "aws-everywhere"
NAME = "infra:index:PublicName"


@dataclass(frozen=True)
class Import:
    """A resource that is there, and what the program calls it. `parent` is its component (type, name)."""

    type: str
    name: str
    id: str
    parent: tuple[str, str]
    provider: str


def resources_to_import(catalogue: Catalogue, host: str, facts: Facts) -> list[Import]:
    region, regional = facts.region, f"aws-{facts.region}"
    name = catalogue.stack.at(region).resource_prefix(host)
    machine, network = ("infra:index:Host", name), ("infra:index:Network", f"network-{region}")
    registry = ("infra:index:Registry", f"registry-{region}")
    ours = {repository for system in catalogue.running.values() for repository in system.repositories}
    prefix, groups = f"registry-{region}", f"network-{region}-hosts"
    return [
        Import("aws:ec2/instance:Instance", f"{name}-instance", facts.instance.id, machine, regional),
        Import("aws:ec2/eip:Eip", f"{name}-address", facts.allocation, machine, regional),
        Import("aws:ec2/eipAssociation:EipAssociation", f"{name}-address-use", facts.association, machine, regional),
        *(
            Import("aws:ec2/securityGroup:SecurityGroup", groups, group.id, network, regional)
            # Only one that no other machine uses: the program's own takes its place, and it goes
            for group in [group for group in facts.instance.groups if not group.shared][:1]
        ),
        *(
            Import("aws:ecr/repository:Repository", f"{prefix}-{repository}", repository, registry, regional)
            for repository in facts.repositories
            if repository in ours
        ),
        *(
            Import(
                "aws:route53/record:Record",
                name,
                f"{facts.zone}_{name}_A",
                ("infra:index:PublicName", name),
                EVERYWHERE,
            )
            for name in facts.records
        ),
    ]


def names_of_records(catalogue: Catalogue) -> dict[tuple[str, str], tuple[str, tuple[str, str]]]:
    """Each record that the program would create in Route 53 (name, type) → what the program calls it, and its
    component."""
    stack = catalogue.stack
    if stack.dns.provider != "route53" or not stack.dns.is_ours:
        return {}
    names = {
        (name, "A"): (name, ("infra:index:PublicName", name))
        for host in stack.hosts
        for name in zone_names(catalogue, host)
    }
    others = {
        (record.name, record.type): (f"{record.name}-{record.type}", ("infra:index:Records", "records"))
        for record in stack.records
    }
    return {**names, **others}


def shared_resources(catalogue: Catalogue, facts: SharedFacts) -> list[Import]:
    """What a stack without machines of EC2 takes over: its repositories and its records."""
    region, registry = facts.region, ("infra:index:Registry", f"registry-{facts.region}")
    ours = {repository for system in catalogue.running.values() for repository in system.repositories}
    repositories = ours & set(facts.repositories) if not catalogue.stack.sharedRepositories else set[str]()
    names = names_of_records(catalogue)
    return [
        *(
            Import(
                "aws:ecr/repository:Repository", f"registry-{region}-{repository}", repository, registry,
                f"aws-{region}",
            )
            for repository in sorted(repositories)
        ),
        *(
            Import("aws:route53/record:Record", own, f"{facts.zone}_{name}_{type}", parent, EVERYWHERE)
            for (name, type), (own, parent) in names.items()
            if (name, type) in facts.records
        ),
    ]  # fmt: skip


def shared_differences(catalogue: Catalogue, facts: SharedFacts) -> list[str]:
    """What the next update would change of them."""
    ours = {repository for system in catalogue.running.values() for repository in system.repositories}
    lines: list[str] = []
    if catalogue.stack.sharedRepositories:
        lines.append("its repositories are another stack's (infra:sharedRepositories) and stay so")
    else:
        lines.append(f"its repositories keep only the newest {NEWEST} images and those of releases, and are scanned")
        lines.append("a repository that another stack creates stays that one's: infra:sharedRepositories: true instead")
        missing = sorted(ours - set(facts.repositories))
        lines += [f"repository {name} is missing and will be created" for name in missing]
    for (name, type), (values, ttl) in facts.records.items():
        lines.append(f"{name} {type} has {', '.join(values)} and a TTL of {ttl} s; the update sets what the stack says")
    return lines


def differences(catalogue: Catalogue, host: str, facts: Facts) -> list[str]:
    """What the next `pulumi up` would change of what is taken over, and what it would leave alone."""
    spec, instance, stack = catalogue.stack.ec2_hosts[host], facts.instance, catalogue.stack
    ours = {repository for system in catalogue.running.values() for repository in system.repositories}
    lines = [line for differs, line in _machine(host, spec, instance) if differs]
    allowed = {("80", "0.0.0.0/0"), ("443", "0.0.0.0/0"), *(("22", str(network)) for network in stack.adminCidrs)}
    for group in instance.groups:
        closed = [f"{port} from {source}" for port, source in group.openings if (port, source) not in allowed]
        says = f", which does not allow {', '.join(closed)}" if closed else ""
        stays = " (kept, since others use it)" if group.shared else ""
        lines.append(f"its security group {group.name}{stays} is replaced by the stack's own{says}")
    lines.append(f"its repositories keep only the newest {NEWEST} images and those of releases, and are scanned")
    missing = sorted(ours - set(facts.repositories))
    if missing:
        lines.append(f"{len(missing)} repositories are missing and will be created: {', '.join(missing)}")
    foreign = sorted(set(facts.repositories) - ours)
    if foreign:
        lines.append(f"{len(foreign)} repositories are not in the catalogue and are not changed: {', '.join(foreign)}")
    for name, (addresses, ttl) in facts.records.items():
        if addresses != [facts.address]:
            lines.append(f"{name} points to {', '.join(addresses)} instead of {facts.address}")
        if ttl != stack.recordTtl:
            lines.append(f"{name} has a TTL of {ttl} s, infra:recordTtl is {stack.recordTtl}")
    return lines


def _machine(host: str, spec: Ec2Host, instance: Instance) -> list[tuple[bool, str]]:
    key = f"infra:hosts.{host}"
    tokens, hops = instance.metadata
    shrunk = ": a disk cannot shrink; configure the larger size" if instance.volume > spec.volume else ""
    return [
        (
            instance.type != spec.instanceType,
            f"it is a {instance.type}, {key}.instanceType is {spec.instanceType}",
        ),
        (
            instance.volume != spec.volume,
            f"its disk has {instance.volume} GiB, {key}.volume is {spec.volume}{shrunk}",
        ),
        (not instance.encrypted, "its disk is not encrypted and stays so; a move creates a new, encrypted one"),
        (not instance.role, "it has no role; it gets one to pull images and to prove its names"),
        (
            bool(instance.role),
            f"its role from {instance.role} is replaced by one that may only pull images, prove its names and publish "
            "its metrics",
        ),
        (
            tokens != "required",
            "its metadata service allows requests without a token (IMDSv1): tokens will be needed",
        ),
        (
            hops > 1,
            f"its metadata service is reachable from containers ({hops} hops); it will not be, so they cannot use its "
            "role",
        ),
    ]


def configuration(stack: Stack, facts: Facts) -> dict[str, str]:
    """What the stack's configuration must say for the program to mean the same."""
    place = f"infra:networks.{facts.region}"
    return {
        "aws:region": facts.region,
        f"{place}.vpc": facts.instance.vpc,
        f"{place}.subnet": facts.instance.subnet,
    }


class BaseResource(TypedDict):
    """An entry of Pulumi's state that an import relies on: the stack itself, a provider, a component."""

    urn: str
    custom: bool
    type: str
    id: NotRequired[str]
    inputs: NotRequired[dict[str, str]]
    outputs: NotRequired[dict[str, str]]
    parent: NotRequired[str]


class ImportedResource(TypedDict):
    type: str
    name: str
    id: str
    parent: str
    provider: str


class ImportFile(TypedDict):
    """What `pulumi import --file` reads: `nameTable` has the URNs of parents and providers."""

    nameTable: dict[str, str]
    resources: list[ImportedResource]


def host_of(catalogue: Catalogue, host: str | None) -> str | None:
    """The EC2 host that is meant: the chosen one, or the only one."""
    hosts = [name for name, spec in catalogue.stack.hosts.items() if isinstance(spec, Ec2Host)]
    return host if host in hosts else hosts[0] if host is None and len(hosts) == 1 else None


def urn(stack: str, type: str, name: str, parent: str = "") -> str:
    return f"urn:pulumi:{stack}::infra::{parent}{type}::{name}"


def state(
    stack: Stack, facts: Facts | SharedFacts, resources: list[Import], plugin: str, ids: list[str]
) -> list[BaseResource]:
    """What must be in Pulumi's state before anything can be imported: the stack, its providers and components.
    `ids` are the providers' own."""
    root = urn(stack.name, "pulumi:pulumi:Stack", f"infra-{stack.name}")
    providers = [(f"aws-{facts.region}", facts.region), (EVERYWHERE, "us-east-1")]
    entries: list[BaseResource] = [{"urn": root, "custom": False, "type": "pulumi:pulumi:Stack"}]
    for (name, region), id in zip(providers, ids, strict=True):
        inputs = {"region": region, "allowedAccountIds": f'["{stack.accountId}"]', "version": plugin}
        entries.append(
            {
                "urn": urn(stack.name, "pulumi:providers:aws", name), "custom": True, "id": id,
                "type": "pulumi:providers:aws", "inputs": inputs, "outputs": inputs, "parent": root,
            }
        )  # fmt: skip
    for type, name in dict.fromkeys(entry.parent for entry in resources):
        entries.append({"urn": urn(stack.name, type, name), "custom": False, "type": type, "parent": root})
    return entries


def import_file(stack: Stack, resources: list[Import]) -> ImportFile:
    """The file that `pulumi import --file` reads."""
    table = {name: urn(stack.name, type, name) for type, name in dict.fromkeys(entry.parent for entry in resources)}
    # A component and its child may have one name
    table = {f"component {name}": value for name, value in table.items()}
    table |= {name: urn(stack.name, "pulumi:providers:aws", name) for name in {entry.provider for entry in resources}}
    return {
        "nameTable": table,
        "resources": [
            {
                "type": entry.type, "name": entry.name, "id": entry.id, "parent": f"component {entry.parent[1]}",
                "provider": entry.provider,
            }
            for entry in resources
        ],
    }  # fmt: skip
