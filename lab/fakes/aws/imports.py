"""What is there already, as the real plugin would read it when it is imported: inputs and outputs by id."""

from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import is_gone
from lab.fakes.plugin import Call, Values

ImportedState = tuple[Values, Values] | None


def _tags(entry: dict[str, Any]) -> Values:
    tags = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", entry.get("tags", []))}
    return {"tags": tags} if tags else {}


def _one(call: Call, operation: str, key: str, **arguments: Any) -> dict[str, Any] | None:
    try:
        resources = getattr(call.cloud.client("ec2"), operation)(**arguments)[key]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return resources[0] if resources else None


def instance(call: Call, id: str) -> ImportedState:
    ec2 = call.cloud.client("ec2")
    reservation = _one(call, "describe_instances", "Reservations", InstanceIds=[id])
    if reservation is None:
        return None
    entry = reservation["Instances"][0]
    root = next(b for b in entry["BlockDeviceMappings"] if b["DeviceName"] == entry["RootDeviceName"])
    volume = ec2.describe_volumes(VolumeIds=[root["Ebs"]["VolumeId"]])["Volumes"][0]
    options = entry.get("MetadataOptions", {})
    profile = entry.get("IamInstanceProfile", {}).get("Arn", "").rsplit("/", 1)[-1]
    inputs = {
        "ami": entry["ImageId"], "instanceType": entry["InstanceType"], "subnetId": entry["SubnetId"],
        "vpcSecurityGroupIds": [group["GroupId"] for group in entry["SecurityGroups"]],
        "associatePublicIpAddress": True,
        "metadataOptions": {
            "httpEndpoint": options.get("HttpEndpoint", "enabled"), "httpTokens": options.get("HttpTokens", "optional"),
            "httpPutResponseHopLimit": options.get("HttpPutResponseHopLimit", 1),
        },
        "rootBlockDevice": {
            "volumeType": volume["VolumeType"], "volumeSize": volume["Size"], "encrypted": volume["Encrypted"],
            **_tags(volume),
        },
        **({"iamInstanceProfile": profile} if profile else {}), **_tags(entry),
    }  # fmt: skip
    outputs = {
        "arn": f"arn:aws:ec2:{call.cloud.region}:{call.cloud.account}:instance/{id}",
        "instanceState": entry["State"]["Name"],
        "publicIp": entry.get("PublicIpAddress", ""),
        "privateIp": entry.get("PrivateIpAddress", ""),
    }
    return inputs, outputs


def address(call: Call, id: str) -> ImportedState:
    entry = _one(call, "describe_addresses", "Addresses", AllocationIds=[id])
    if entry is None:
        return None
    return {"domain": "vpc", **_tags(entry)}, {"publicIp": entry["PublicIp"], "allocationId": id}


def association(call: Call, id: str) -> ImportedState:
    filters = [{"Name": "association-id", "Values": [id]}]
    entry = _one(call, "describe_addresses", "Addresses", Filters=filters)
    if entry is None:
        return None
    # The real plugin does not read allowReassociation back either
    return {"instanceId": entry["InstanceId"], "allocationId": entry["AllocationId"]}, {}


def group(call: Call, id: str) -> ImportedState:
    entry = _one(call, "describe_security_groups", "SecurityGroups", GroupIds=[id])
    if entry is None:
        return None
    inputs = {"name": entry["GroupName"], "description": entry["Description"], "vpcId": entry["VpcId"], **_tags(entry)}
    return inputs, {"arn": f"arn:aws:ec2:{call.cloud.region}:{call.cloud.account}:security-group/{id}"}


def repository(call: Call, id: str) -> ImportedState:
    ecr = call.cloud.client("ecr")
    try:
        entry = ecr.describe_repositories(repositoryNames=[id])["repositories"][0]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    tags = ecr.list_tags_for_resource(resourceArn=entry["repositoryArn"])
    encryption = entry.get("encryptionConfiguration", {}).get("encryptionType", "AES256")
    inputs = {
        "name": id, "imageTagMutability": entry["imageTagMutability"],
        "imageScanningConfiguration": entry.get("imageScanningConfiguration", {"scanOnPush": False}),
        "encryptionConfigurations": [{"encryptionType": encryption}],
        **_tags(tags),
    }  # fmt: skip
    outputs = {
        "arn": entry["repositoryArn"],
        "repositoryUrl": entry["repositoryUri"],
        "registryId": entry["registryId"],
    }
    return inputs, outputs


def record(call: Call, id: str) -> ImportedState:
    zone, name, kind = id.split("_")
    record_sets = call.cloud.client("route53").list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
    )["ResourceRecordSets"]
    if not record_sets or (record_sets[0]["Name"].rstrip("."), record_sets[0]["Type"]) != (name, kind):
        return None
    values = [value["Value"] for value in record_sets[0]["ResourceRecords"]]
    return {"zoneId": zone, "name": name, "type": kind, "ttl": record_sets[0]["TTL"], "records": values}, {"fqdn": name}


FOUND = {
    "aws:ec2/instance:Instance": instance,
    "aws:ec2/eip:Eip": address,
    "aws:ec2/eipAssociation:EipAssociation": association,
    "aws:ec2/securityGroup:SecurityGroup": group,
    "aws:ecr/repository:Repository": repository,
    "aws:route53/record:Record": record,
}
