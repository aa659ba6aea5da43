"""What was made by hand in a region, as AWS has it. Reads only."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # pyright: ignore[reportMissingTypeStubs]

from catalogue.shapes import AwsEntry
from infra import aws, route53
from infra.errors import InfraError


@dataclass(frozen=True)
class Instance:
    """`volume` is the root disk in GiB, `role` its instance profile's name, `metadata` its answers' (tokens, hops)."""

    id: str
    type: str
    vpc: str
    subnet: str
    groups: list["Group"]
    volume: int
    encrypted: bool
    role: str
    metadata: tuple[str, int]


@dataclass(frozen=True)
class Group:
    """A security group: what it lets in, (port, from where). One that is `shared` is not this instance's alone."""

    id: str
    name: str
    openings: list[tuple[str, str]]
    shared: bool


@dataclass(frozen=True)
class SharedFacts:
    """What a stack without machines of EC2 has in AWS: the repositories of a region, and of the zone (its id) the
    records by name and type, with their values and seconds to live."""

    region: str
    zone: str
    repositories: list[str] = field(default_factory=list[str])
    records: dict[tuple[str, str], tuple[list[str], int]] = field(
        default_factory=dict[tuple[str, str], tuple[list[str], int]]
    )


@dataclass(frozen=True)
class Facts:
    """`allocation` and `association` are of the Elastic IP address that leads to the instance; `record` is
    (addresses, seconds to live)."""

    region: str
    zone: str
    instance: Instance
    address: str
    allocation: str
    association: str
    repositories: list[str] = field(default_factory=list[str])
    records: dict[str, tuple[list[str], int]] = field(default_factory=dict[str, tuple[list[str], int]])


def gather(zone: str, names: list[str], region: str, instance: str | None) -> Facts:
    """Asks AWS. The instance is the one of the id `instance`, that a name leads to, or the only one.

    Raises InfraError.
    """
    try:
        return _gather_facts(zone, names, region, instance)
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"AWS cannot be asked about {region}: {error}") from None


def gather_shared(zone: str, names: Collection[tuple[str, str]], region: str) -> SharedFacts:
    """Asks AWS for its repositories, and for the records of these names and types. Raises InfraError."""
    try:
        repositories = _repositories(aws.client("ecr", region))
        if not zone:
            return SharedFacts(region, "", repositories)
        client = route53.client()
        id = route53.zone_id(client, zone)
        if id is None:
            raise InfraError(f"Route 53 has no zone {zone} (infra:zone)")
        records = {
            key: ([value["Value"] for value in record.get("ResourceRecords", [])], int(record.get("TTL", 0)))
            for key, record in route53.records(client, id).items()
            if key in names
        }
        return SharedFacts(region, id.rsplit("/", 1)[-1], repositories, records)
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"AWS cannot be asked about {region}: {error}") from None


def _repositories(ecr: Any) -> list[str]:
    pages = ecr.get_paginator("describe_repositories").paginate()
    return sorted(entry["repositoryName"] for page in pages for entry in page["repositories"])


def _gather_facts(zone: str, names: list[str], region: str, instance: str | None) -> Facts:
    ec2, ecr = aws.client("ec2", region), aws.client("ecr", region)
    zone_id, records = _records(zone, names)
    addresses = ec2.describe_addresses()["Addresses"]
    filters: Any = [{"Name": "instance-state-name", "Values": ["running", "stopped"]}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    instances = {i["InstanceId"]: i for page in pages for group in page["Reservations"] for i in group["Instances"]}
    pointed = {address for values, _ in records.values() for address in values}
    leading = [a for a in addresses if a["PublicIp"] in pointed and a.get("InstanceId") in instances]
    likely = [entry["InstanceId"] for entry in leading] or (list(instances) if len(instances) == 1 else [])
    id = instance or (likely[0] if likely else "")
    if id not in instances:
        ids = ", ".join(sorted(instances)) or "none"
        raise InfraError(
            f"{', '.join(names)} points to no instance in {region}; instances there: {ids}. Name one with --instance"
        )
    own = next((a for a in addresses if a.get("InstanceId") == id), None)
    if own is None:
        raise InfraError(
            f"{id} has no Elastic IP address: without one its address changes with every stop. Give it one "
            f"(aws ec2 allocate-address, associate-address --region {region}), point the names there, and run again"
        )
    return Facts(
        region, zone_id, _instance(ec2, instances[id]), own["PublicIp"], own["AllocationId"], own["AssociationId"],
        _repositories(ecr), records,
    )  # fmt: skip


def _instance(ec2: Any, entry: AwsEntry) -> Instance:
    root = next(b for b in entry["BlockDeviceMappings"] if b["DeviceName"] == entry["RootDeviceName"])
    volume = ec2.describe_volumes(VolumeIds=[root["Ebs"]["VolumeId"]])["Volumes"][0]
    options = entry.get("MetadataOptions", {})
    groups = ec2.describe_security_groups(GroupIds=[group["GroupId"] for group in entry["SecurityGroups"]])
    return Instance(
        entry["InstanceId"], entry["InstanceType"], entry["VpcId"], entry["SubnetId"],
        [_group(ec2, group, entry["InstanceId"]) for group in groups["SecurityGroups"]], volume["Size"],
        bool(volume["Encrypted"]), entry.get("IamInstanceProfile", {}).get("Arn", "").rsplit("/", 1)[-1],
        (options.get("HttpTokens", "optional"), options.get("HttpPutResponseHopLimit", 1)),
    )  # fmt: skip


def _group(ec2: Any, group: AwsEntry, instance: str) -> Group:
    openings: list[tuple[str, str]] = []
    for rule in group["IpPermissions"]:
        sources = [network["CidrIp"] for network in rule.get("IpRanges", [])]
        sources += [network["CidrIpv6"] for network in rule.get("Ipv6Ranges", [])]
        sources += [other["GroupId"] for other in rule.get("UserIdGroupPairs", [])]
        sources += [names["PrefixListId"] for names in rule.get("PrefixListIds", [])]
        openings += [(str(rule.get("FromPort", "all")), source) for source in sources]
    used = ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}])
    others = [i for i in used["NetworkInterfaces"] if i.get("Attachment", {}).get("InstanceId") != instance]
    shared = bool(others) or group["GroupName"] == "default"
    return Group(group["GroupId"], group["GroupName"], sorted(openings), shared)


def _records(zone: str, names: list[str]) -> tuple[str, dict[str, tuple[list[str], int]]]:
    if not zone:
        return "", {}
    client = route53.client()
    id = route53.zone_id(client, zone)
    if id is None:
        raise InfraError(f"Route 53 has no zone {zone} (infra:zone)")
    record_sets = route53.address_records(client, id)
    values_by_name = {
        n: ([v["Value"] for v in r.get("ResourceRecords", [])], int(r.get("TTL", 0))) for n, r in record_sets.items()
    }
    return id.rsplit("/", 1)[-1], {name: values_by_name[name] for name in names if name in values_by_name}
