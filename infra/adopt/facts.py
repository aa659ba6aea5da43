"""What somebody made by hand in a region, as AWS tells it. Reads only."""

from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import InfraError


@dataclass(frozen=True)
class Instance:
    """`volume` is the root disk in GiB; `group` the first of its security groups, `openings` what that lets in:
    (port, network)."""

    id: str
    type: str
    vpc: str
    subnet: str
    group: str
    group_name: str
    openings: list[tuple[str, str]]
    volume: int
    encrypted: bool
    role: bool
    metadata: str
    name: str


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
    repositories: list[str] = field(default_factory=list)
    records: dict[str, tuple[list[str], int]] = field(default_factory=dict)


def gather(zone: str, names: list[str], region: str, chosen: str | None) -> Facts:
    """Asks AWS. The instance is the one that is `chosen` by id, that a name leads to, or the only one.

    Raises InfraError.
    """
    try:
        return _gathered(zone, names, region, chosen)
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"AWS cannot be asked about {region}: {error}") from None


def _gathered(zone: str, names: list[str], region: str, chosen: str | None) -> Facts:
    ec2, ecr = boto3.client("ec2", region_name=region), boto3.client("ecr", region_name=region)
    zone_id, records = _records(zone, names)
    addresses = ec2.describe_addresses()["Addresses"]
    filters: Any = [{"Name": "instance-state-name", "Values": ["running", "stopped"]}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    instances = {i["InstanceId"]: i for page in pages for group in page["Reservations"] for i in group["Instances"]}
    pointed = {address for found, _ in records.values() for address in found}
    leading = [a for a in addresses if a["PublicIp"] in pointed and a.get("InstanceId") in instances]
    likely = [entry["InstanceId"] for entry in leading] or (list(instances) if len(instances) == 1 else [])
    id = chosen or (likely[0] if likely else "")
    if id not in instances:
        listed = ", ".join(sorted(instances)) or "none"
        raise InfraError(f"{', '.join(names)} leads to no instance of {region}; there: {listed}. Name one: --instance")
    own = next((a for a in addresses if a.get("InstanceId") == id), None)
    if own is None:
        raise InfraError(
            f"{id} has no Elastic IP address: without one its address changes with every stop. Give it one "
            f"(aws ec2 allocate-address, associate-address --region {region}), point the names there, and run again"
        )
    pages = ecr.get_paginator("describe_repositories").paginate()
    repositories = [entry["repositoryName"] for page in pages for entry in page["repositories"]]
    return Facts(
        region, zone_id, _instance(ec2, instances[id]), own["PublicIp"], own["AllocationId"], own["AssociationId"],
        sorted(repositories), records,
    )  # fmt: skip


def _instance(ec2: Any, found: dict[str, Any]) -> Instance:
    group = ec2.describe_security_groups(GroupIds=[found["SecurityGroups"][0]["GroupId"]])["SecurityGroups"][0]
    openings = [
        (str(rule.get("FromPort", "all")), network["CidrIp"])
        for rule in group["IpPermissions"]
        for network in rule.get("IpRanges", [])
    ]
    root = next(b for b in found["BlockDeviceMappings"] if b["DeviceName"] == found["RootDeviceName"])
    volume = ec2.describe_volumes(VolumeIds=[root["Ebs"]["VolumeId"]])["Volumes"][0]
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    return Instance(
        found["InstanceId"], found["InstanceType"], found["VpcId"], found["SubnetId"], group["GroupId"],
        group["GroupName"], sorted(openings), volume["Size"], bool(volume["Encrypted"]),
        bool(found.get("IamInstanceProfile")), found.get("MetadataOptions", {}).get("HttpTokens", "optional"),
        tags.get("Name", ""),
    )  # fmt: skip


def _records(zone: str, names: list[str]) -> tuple[str, dict[str, tuple[list[str], int]]]:
    client = boto3.client("route53", region_name="us-east-1")
    zones = client.list_hosted_zones_by_name(DNSName=zone, MaxItems="1")["HostedZones"]
    if not zones or zones[0]["Name"].rstrip(".") != zone:
        raise InfraError(f"there is no zone {zone} in Route 53 (infra:zone)")
    pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zones[0]["Id"])
    found = {
        r["Name"].rstrip("."): ([v["Value"] for v in r.get("ResourceRecords", [])], int(r.get("TTL", 0)))
        for page in pages
        for r in page["ResourceRecordSets"]
        if r["Type"] == "A"
    }
    return zones[0]["Id"].rsplit("/", 1)[-1], {name: found[name] for name in names if name in found}
