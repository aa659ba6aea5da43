"""What AWS may have made of a resource whose creation was interrupted, kind by kind: found by the inputs of that
creation, by name or by the stack's tags; what a kind gives are the ids that Pulumi's state would have. And what is left
to do of a creation, where Pulumi would not do it later."""

import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from catalogue.shapes import AwsEntry, ResourceValues
from infra.aws import Filter, is_absence, record_name

Client = Callable[[str], Any]
# A kind's ids in AWS, the newest first where AWS says when it was made
Find = Callable[[Client, ResourceValues], list[str]]
# How Pulumi names what the program gives no name
AUTONAMED = re.compile(r"-[0-9a-f]{7}$")


def _answer_or_none(ask: Callable[[], Any]) -> Any:
    """What AWS answers; None where it says that there is none."""
    try:
        return ask()
    except ClientError as error:
        if is_absence(error):
            return None
        raise


def _tag_filters(inputs: ResourceValues) -> list[Filter]:
    tags: dict[str, str] = inputs.get("tags") or {}
    return [{"Name": f"tag:{name}", "Values": [value]} for name, value in sorted(tags.items())]


def _find_by_tags(operation: str, answer: str, id: str, **more: str) -> Find:
    """Of EC2: whatever has the tags of the inputs. `more` are further filters (with `_` for `-`) → the input that each
    compares with, where it is given."""

    def find(client: Client, inputs: ResourceValues) -> list[str]:
        if not inputs.get("tags"):
            return []
        filters = _tag_filters(inputs)
        filters += [
            {"Name": name.replace("_", "-"), "Values": [inputs[key]]} for name, key in more.items() if key in inputs
        ]
        return [entry[id] for entry in getattr(client("ec2"), operation)(Filters=filters)[answer]]

    return find


def _instances(client: Client, inputs: ResourceValues) -> list[str]:
    alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=[*_tag_filters(inputs), alive])
    instances = [entry for page in pages for reservation in page["Reservations"] for entry in reservation["Instances"]]
    return [e["InstanceId"] for e in sorted(instances, key=lambda e: e["LaunchTime"], reverse=True)]


def _volumes(client: Client, inputs: ResourceValues) -> list[str]:
    there = {"Name": "status", "Values": ["creating", "available", "in-use"]}
    pages = client("ec2").get_paginator("describe_volumes").paginate(Filters=[*_tag_filters(inputs), there])
    # A machine's root disk has the stack's tags too, and goes with the machine
    volumes = [
        entry
        for page in pages
        for entry in page["Volumes"]
        if not any(attachment.get("DeleteOnTermination") for attachment in entry["Attachments"])
    ]
    return [e["VolumeId"] for e in sorted(volumes, key=lambda e: e["CreateTime"], reverse=True)]


def _route_table_associations(client: Client, inputs: ResourceValues) -> list[str]:
    ask = client("ec2").describe_route_tables
    tables: list[AwsEntry] = _answer_or_none(lambda: ask(RouteTableIds=[inputs["routeTableId"]])["RouteTables"]) or []
    return [
        entry["RouteTableAssociationId"]
        for table in tables
        for entry in table["Associations"]
        if entry.get("SubnetId") == inputs.get("subnetId")
    ]


def _rules(is_egress: bool) -> Find:
    def find(client: Client, inputs: ResourceValues) -> list[str]:
        filters = [{"Name": "group-id", "Values": [inputs["securityGroupId"]]}]
        rules = client("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]

        def is_it(rule: AwsEntry) -> bool:
            ports = (rule.get("FromPort", -1), rule.get("ToPort", -1))
            group = rule.get("ReferencedGroupInfo", {}).get("GroupId")
            return (rule["IsEgress"], rule["IpProtocol"], rule.get("CidrIpv4"), group, *ports) == (
                is_egress, inputs["ipProtocol"], inputs.get("cidrIpv4"), inputs.get("referencedSecurityGroupId"),
                int(inputs.get("fromPort", -1)), int(inputs.get("toPort", -1)),
            )  # fmt: skip

        return [rule["SecurityGroupRuleId"] for rule in rules if is_it(rule)]

    return find


def _identity(operation: str, argument: str) -> Find:
    """Of IAM: what has a name, by which it is asked for and Pulumi knows it."""

    def find(client: Client, inputs: ResourceValues) -> list[str]:
        name = inputs["name"]
        return [name] if _answer_or_none(lambda: getattr(client("iam"), operation)(**{argument: name})) else []

    return find


def _inline_policy(operation: str, owner: str) -> Find:
    """A policy inside a role or a user: `owner` is which of them."""

    def find(client: Client, inputs: ResourceValues) -> list[str]:
        holder, name = inputs[owner], inputs["name"]
        identity = {f"{owner.capitalize()}Name": holder, "PolicyName": name}
        return [f"{holder}:{name}"] if _answer_or_none(lambda: getattr(client("iam"), operation)(**identity)) else []

    return find


def _access_keys(client: Client, inputs: ResourceValues) -> list[str]:
    ask = client("iam").list_access_keys
    keys: list[AwsEntry] = _answer_or_none(lambda: ask(UserName=inputs["user"])["AccessKeyMetadata"]) or []
    return [e["AccessKeyId"] for e in sorted(keys, key=lambda e: e["CreateDate"], reverse=True)]


def _repository(client: Client, inputs: ResourceValues) -> list[str]:
    name = inputs["name"]
    return [name] if _answer_or_none(lambda: client("ecr").describe_repositories(repositoryNames=[name])) else []


def _bucket(client: Client, inputs: ResourceValues) -> list[str]:
    name = inputs["bucket"]
    # One of another account has the name too
    return [name] if _answer_or_none(lambda: client("s3").get_bucket_tagging(Bucket=name)) else []


def _record(client: Client, inputs: ResourceValues) -> list[str]:
    zone, name, kind = inputs["zoneId"], inputs["name"], inputs["type"]
    record_sets = client("route53").list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
    )["ResourceRecordSets"]
    # A record with other values has another owner. The provider adds the outer quotes of a text
    quote = '"' if kind in ("TXT", "SPF") else ""
    values: list[str] = inputs.get("records") or []
    ours = {
        "Name": record_name(name),
        "Type": kind,
        "values": sorted(f"{quote}{value}{quote}" for value in values),
    }
    there = [
        {
            "Name": record_name(entry["Name"]),
            "Type": entry["Type"],
            "values": sorted(value["Value"] for value in entry.get("ResourceRecords", [])),
        }
        for entry in record_sets
    ]
    return [f"{zone}_{name}_{kind}"] if ours in there else []


def _topic(client: Client, inputs: ResourceValues) -> list[str]:
    pages = client("sns").get_paginator("list_topics").paginate()
    arns = [entry["TopicArn"] for page in pages for entry in page["Topics"]]
    return [arn for arn in arns if arn.rsplit(":", 1)[-1] == inputs["name"]]


def _budget(client: Client, inputs: ResourceValues) -> list[str]:
    account, name = client("sts").get_caller_identity()["Account"], inputs["name"]
    budget = _answer_or_none(lambda: client("budgets").describe_budget(AccountId=account, BudgetName=name))
    return [f"{account}:{name}"] if budget else []


def _snapshot_policies(client: Client, inputs: ResourceValues) -> list[str]:
    policies = client("dlm").get_lifecycle_policies()["Policies"]
    return [entry["PolicyId"] for entry in policies if _has(entry.get("Tags") or {}, inputs["tags"])]


def _has(tags: dict[str, str], expected: dict[str, str]) -> bool:
    return bool(expected) and expected.items() <= tags.items()


def _read_tags(entries: list[dict[str, str]]) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in entries}


def _tagged_repositories(client: Client, inputs: ResourceValues) -> list[str]:
    ecr = client("ecr")
    pages = ecr.get_paginator("describe_repositories").paginate()
    repositories = [entry for page in pages for entry in page["repositories"]]

    def tags(arn: str) -> dict[str, str]:
        return _read_tags(ecr.list_tags_for_resource(resourceArn=arn)["tags"])

    return [e["repositoryName"] for e in repositories if _has(tags(e["repositoryArn"]), inputs["tags"])]


def _tagged_topics(client: Client, inputs: ResourceValues) -> list[str]:
    sns = client("sns")
    arns = [entry["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for entry in page["Topics"]]

    def tags(arn: str) -> dict[str, str]:
        return _read_tags(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])

    return [arn for arn in arns if AUTONAMED.search(arn) and _has(tags(arn), inputs["tags"])]


def _tagged_identities(listing: str, reading: str, key: str) -> Find:
    """Of IAM, which lists without tags: they are asked only of what has a name as Pulumi gives."""

    def find(client: Client, inputs: ResourceValues) -> list[str]:
        iam, name = client("iam"), f"{key}Name"
        pages = iam.get_paginator(listing).paginate()
        names = [entry[name] for page in pages for entry in page[f"{key}s"]]

        def tags(of: str) -> dict[str, str]:
            return _read_tags(getattr(iam, reading)(**{name: of})[key].get("Tags", []))

        return [identity for identity in names if AUTONAMED.search(identity) and _has(tags(identity), inputs["tags"])]

    return find


KINDS: dict[str, Find] = {
    "aws:ec2/vpc:Vpc": _find_by_tags("describe_vpcs", "Vpcs", "VpcId"),
    "aws:ec2/internetGateway:InternetGateway": _find_by_tags(
        "describe_internet_gateways", "InternetGateways", "InternetGatewayId"
    ),
    "aws:ec2/subnet:Subnet": _find_by_tags("describe_subnets", "Subnets", "SubnetId", vpc_id="vpcId"),
    "aws:ec2/routeTable:RouteTable": _find_by_tags(
        "describe_route_tables", "RouteTables", "RouteTableId", vpc_id="vpcId"
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _route_table_associations,
    "aws:ec2/securityGroup:SecurityGroup": _find_by_tags(
        "describe_security_groups", "SecurityGroups", "GroupId", vpc_id="vpcId", group_name="name"
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rules(is_egress=False),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rules(is_egress=True),
    "aws:ec2/eip:Eip": _find_by_tags("describe_addresses", "Addresses", "AllocationId"),
    "aws:ec2/instance:Instance": _instances,
    "aws:ebs/volume:Volume": _volumes,
    "aws:iam/role:Role": _identity("get_role", "RoleName"),
    "aws:iam/rolePolicy:RolePolicy": _inline_policy("get_role_policy", "role"),
    "aws:iam/instanceProfile:InstanceProfile": _identity("get_instance_profile", "InstanceProfileName"),
    "aws:iam/user:User": _identity("get_user", "UserName"),
    "aws:iam/userPolicy:UserPolicy": _inline_policy("get_user_policy", "user"),
    "aws:iam/accessKey:AccessKey": _access_keys,
    "aws:ecr/repository:Repository": _repository,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:route53/record:Record": _record,
    "aws:sns/topic:Topic": _topic,
    "aws:budgets/budget:Budget": _budget,
    "aws:dlm/lifecyclePolicy:LifecyclePolicy": _snapshot_policies,
}
UNTAGGED = {"aws:ec2/routeTableAssociation:RouteTableAssociation"}
# Creating these once more gives the one that is there: nothing is left behind
REPEATABLE = {
    "aws:ec2/eipAssociation:EipAssociation",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:sns/topicSubscription:TopicSubscription",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:cloudwatch/dashboard:Dashboard",
}


def _revoke_default_egress(client: Client, id: str) -> None:
    """AWS gives a new group a rule that lets everything out, which Pulumi's provider revokes in the same creation; the
    program's own rule would be refused beside it."""
    ec2 = client("ec2")
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [id]}])["SecurityGroupRules"]
    default = [rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"] and not rule.get("Tags")]
    if default:
        ec2.revoke_security_group_egress(GroupId=id, SecurityGroupRuleIds=default)


FINISH: dict[str, Callable[[Client, str], None]] = {"aws:ec2/securityGroup:SecurityGroup": _revoke_default_egress}
# What AWS gives out once, at the creation, is lost with it: this one can only be deleted
LOST = {"aws:iam/accessKey:AccessKey"}

# All that has the stack's tags, whatever made it: by the same question where it is by tags
TAGGED: dict[str, Find] = {
    **{type: find for type, find in KINDS.items() if type.startswith("aws:ec2/") and type not in UNTAGGED},
    "aws:ebs/volume:Volume": _volumes,
    "aws:dlm/lifecyclePolicy:LifecyclePolicy": _snapshot_policies,
    "aws:ecr/repository:Repository": _tagged_repositories,
    "aws:sns/topic:Topic": _tagged_topics,
}
TAGGED_EVERYWHERE: dict[str, Find] = {
    "aws:iam/role:Role": _tagged_identities("list_roles", "get_role", "Role"),
    "aws:iam/user:User": _tagged_identities("list_users", "get_user", "User"),
    "aws:iam/instanceProfile:InstanceProfile": _tagged_identities(
        "list_instance_profiles", "get_instance_profile", "InstanceProfile"
    ),
}
