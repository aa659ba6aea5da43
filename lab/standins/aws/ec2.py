"""EC2: network, security groups, instances, addresses."""

import time
from typing import Any

from botocore.exceptions import ClientError

from lab.standins.aws.cloud import is_gone, refusals, tag_list
from lab.standins.plugin import Call, Kind, PluginError, Values


def _tagged(resource: str, inputs: Values) -> dict[str, Any]:
    tags = tag_list(inputs.get("tags"))
    return {"TagSpecifications": [{"ResourceType": resource, "Tags": tags}]} if tags else {}


def _arn(call: Call, kind: str, id: str) -> str:
    return f"arn:aws:ec2:{call.cloud.region}:{call.cloud.account}:{kind}/{id}"


def _update_tags(call: Call, id: str, old: Values, new: Values) -> Values:
    ec2 = call.cloud.client("ec2")
    gone = set(old.get("tags") or {}) - set(new.get("tags") or {})
    with refusals(f"tagging {id}"):
        if gone:
            ec2.delete_tags(Resources=[id], Tags=[{"Key": key} for key in gone])
        if new.get("tags"):
            ec2.create_tags(Resources=[id], Tags=tag_list(new["tags"]))
    return {}


def _simple(
    what: str, inputs: dict[str, str], required: set[str], outputs: list[str], create: Any, delete: Any, describe: Any
) -> Kind:
    """A kind whose tags are all that can change in place."""

    def made(call: Call, values: Values) -> tuple[str, Values]:
        with refusals(f"creating {what}"):
            return create(call, call.cloud.client("ec2"), values)

    def gone(call: Call, id: str, state: Values) -> None:
        try:
            delete(call.cloud.client("ec2"), id, state)
        except ClientError as error:
            if not is_gone(error):
                with refusals(f"deleting {what} {id}"):
                    raise

    def read(call: Call, id: str, state: Values) -> Values | None:
        try:
            return {} if describe(call.cloud.client("ec2"), id) else None
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    return Kind({**inputs, "tags": "update"}, required, outputs, made, _update_tags, gone, read)


def _vpc(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    id = ec2.create_vpc(CidrBlock=values["cidrBlock"], **_tagged("vpc", values))["Vpc"]["VpcId"]
    for key, name in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
        ec2.modify_vpc_attribute(VpcId=id, **{name: {"Value": bool(values.get(key, key == "enableDnsSupport"))}})
    return id, {"arn": _arn(call, "vpc", id)}


def _gateway(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    id = ec2.create_internet_gateway(**_tagged("internet-gateway", values))["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=values["vpcId"])
    return id, {"arn": _arn(call, "internet-gateway", id)}


def _delete_gateway(ec2: Any, id: str, state: Values) -> None:
    ec2.detach_internet_gateway(InternetGatewayId=id, VpcId=state["vpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=id)


def _subnet(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    made = ec2.create_subnet(VpcId=values["vpcId"], CidrBlock=values["cidrBlock"], **_tagged("subnet", values))
    id = made["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch={"Value": bool(values.get("mapPublicIpOnLaunch"))})
    return id, {"arn": _arn(call, "subnet", id)}


def _routes(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    id = ec2.create_route_table(VpcId=values["vpcId"], **_tagged("route-table", values))["RouteTable"]["RouteTableId"]
    for route in values.get("routes", []):
        ec2.create_route(RouteTableId=id, DestinationCidrBlock=route["cidrBlock"], GatewayId=route["gatewayId"])
    return id, {"arn": _arn(call, "route-table", id)}


def _association(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    made = ec2.associate_route_table(RouteTableId=values["routeTableId"], SubnetId=values["subnetId"])
    return made["AssociationId"], {}


def _group(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    made = ec2.create_security_group(
        GroupName=values["name"], Description=values["description"], VpcId=values["vpcId"],
        **_tagged("security-group", values),
    )  # fmt: skip
    id = made["GroupId"]
    # As the real plugin does: the rule that AWS adds by itself goes
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=id, IpPermissions=[everything])
    return id, {"arn": _arn(call, "security-group", id)}


def _rule(direction: str) -> Kind:
    def permission(values: Values) -> list[dict[str, Any]]:
        ports = {"FromPort": values["fromPort"], "ToPort": values["toPort"]} if "fromPort" in values else {}
        return [{"IpProtocol": values["ipProtocol"], **ports, "IpRanges": [{"CidrIp": values["cidrIpv4"]}]}]

    def create(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
        add = getattr(ec2, f"authorize_security_group_{direction}")
        made = add(
            GroupId=values["securityGroupId"],
            IpPermissions=permission(values),
            **_tagged("security-group-rule", values),
        )
        id = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return id, {"securityGroupRuleId": id}

    def delete(ec2: Any, id: str, state: Values) -> None:
        getattr(ec2, f"revoke_security_group_{direction}")(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[id])

    inputs = {"securityGroupId": "replace", **dict.fromkeys(["ipProtocol", "fromPort", "toPort", "cidrIpv4"], "refuse")}
    return _simple(
        f"security group {direction} rule", inputs, {"securityGroupId", "ipProtocol"}, ["securityGroupRuleId"], create,
        delete, lambda ec2, id: ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"],
    )  # fmt: skip


def _launch(call: Call, values: Values) -> tuple[str, Values]:
    ec2 = call.cloud.client("ec2")
    root, metadata = values.get("rootBlockDevice", {}), values.get("metadataOptions", {})
    _known("rootBlockDevice", root, {"volumeType", "volumeSize", "encrypted", "tags"})
    _known("metadataOptions", metadata, {"httpEndpoint", "httpTokens", "httpPutResponseHopLimit"})
    with refusals("launching instance"):
        image = ec2.describe_images(ImageIds=[values["ami"]])["Images"][0]
        made = ec2.run_instances(
            ImageId=values["ami"],
            InstanceType=values["instanceType"],
            MinCount=1,
            MaxCount=1,
            SubnetId=values["subnetId"],
            SecurityGroupIds=values["vpcSecurityGroupIds"],
            IamInstanceProfile={"Name": values["iamInstanceProfile"]} if "iamInstanceProfile" in values else {},
            UserData=values.get("userData", ""),
            MetadataOptions=_metadata(values),
            BlockDeviceMappings=[
                {
                    "DeviceName": image["RootDeviceName"],
                    "Ebs": {
                        "VolumeType": root.get("volumeType", "gp3"),
                        "VolumeSize": root.get("volumeSize", 8),
                        "Encrypted": root.get("encrypted", False),
                        "DeleteOnTermination": True,
                    },
                }
            ],
            **_tagged("instance", values),
        )
    id = made["Instances"][0]["InstanceId"]
    for _ in range(600):
        found = _instance(call, id)
        if found and found["State"]["Name"] == "running":
            return id, _instance_outputs(call, found)
        if not found or found["State"]["Name"] in ("terminated", "shutting-down"):
            reason = (found or {}).get("StateReason", {}).get("Message", "no reason given")
            raise PluginError(f"waiting for EC2 Instance ({id}) create: unexpected state 'terminated': {reason}")
        time.sleep(0.1)
    raise PluginError(f"waiting for EC2 Instance ({id}) create: timeout while waiting for state to become 'running'")


def _known(what: str, values: Values, names: set[str]) -> None:
    if unknown := set(values) - names:
        raise PluginError(f"the stand-in does not know {what} {sorted(unknown)}")


def _instance(call: Call, id: str) -> dict[str, Any] | None:
    try:
        found = call.cloud.client("ec2").describe_instances(InstanceIds=[id])["Reservations"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return found[0]["Instances"][0] if found else None


def _instance_outputs(call: Call, found: dict[str, Any]) -> Values:
    return {
        "arn": _arn(call, "instance", found["InstanceId"]),
        "instanceState": found["State"]["Name"],
        "publicIp": found.get("PublicIpAddress", ""),
        "privateIp": found.get("PrivateIpAddress", ""),
    }


def _change_instance(call: Call, id: str, old: Values, new: Values) -> Values:
    ec2 = call.cloud.client("ec2")
    _update_tags(call, id, old, new)
    with refusals(f"changing instance {id}"):
        if old["instanceType"] != new["instanceType"]:
            ec2.stop_instances(InstanceIds=[id])
            ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": new["instanceType"]})
            ec2.start_instances(InstanceIds=[id])
        if old["vpcSecurityGroupIds"] != new["vpcSecurityGroupIds"]:
            ec2.modify_instance_attribute(InstanceId=id, Groups=new["vpcSecurityGroupIds"])
        if old.get("metadataOptions") != new.get("metadataOptions"):
            ec2.modify_instance_metadata_options(InstanceId=id, **_metadata(new))
        if old.get("iamInstanceProfile") != new.get("iamInstanceProfile"):
            _change_profile(ec2, id, new["iamInstanceProfile"])
        if old.get("rootBlockDevice") != new.get("rootBlockDevice"):
            _change_root(ec2, id, old.get("rootBlockDevice", {}), new["rootBlockDevice"])
    return _instance_outputs(call, _instance(call, id) or {})


def _metadata(values: Values) -> dict[str, Any]:
    given = values.get("metadataOptions", {})
    return {
        "HttpEndpoint": given.get("httpEndpoint", "enabled"),
        "HttpTokens": given.get("httpTokens", "optional"),
        "HttpPutResponseHopLimit": given.get("httpPutResponseHopLimit", 1),
    }


def _change_profile(ec2: Any, id: str, name: str) -> None:
    filters = [{"Name": "instance-id", "Values": [id]}]
    found = ec2.describe_iam_instance_profile_associations(Filters=filters)["IamInstanceProfileAssociations"]
    if found:
        association = found[0]["AssociationId"]
        ec2.replace_iam_instance_profile_association(AssociationId=association, IamInstanceProfile={"Name": name})
    else:
        ec2.associate_iam_instance_profile(InstanceId=id, IamInstanceProfile={"Name": name})


def _change_root(ec2: Any, id: str, old: Values, new: Values) -> None:
    if fixed := [key for key in ("encrypted",) if old.get(key) != new.get(key)]:
        raise PluginError(f"the stand-in cannot change rootBlockDevice.{fixed[0]} in place")
    mappings = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
    volume = mappings[0]["Ebs"]["VolumeId"]
    if (old.get("volumeSize"), old.get("volumeType")) != (new.get("volumeSize"), new.get("volumeType")):
        ec2.modify_volume(VolumeId=volume, Size=new["volumeSize"], VolumeType=new["volumeType"])
    if new.get("tags"):
        ec2.create_tags(Resources=[volume], Tags=tag_list(new["tags"]))


def _terminate(call: Call, id: str, state: Values) -> None:
    try:
        call.cloud.client("ec2").terminate_instances(InstanceIds=[id])
    except ClientError as error:
        if not is_gone(error):
            with refusals(f"terminating instance {id}"):
                raise


def _read_instance(call: Call, id: str, state: Values) -> Values | None:
    found = _instance(call, id)
    return None if not found or found["State"]["Name"] == "terminated" else _instance_outputs(call, found)


def _address(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    made = ec2.allocate_address(Domain=values.get("domain", "vpc"), **_tagged("elastic-ip", values))
    id = made["AllocationId"]
    return id, {"publicIp": made["PublicIp"], "allocationId": id}


def _use_address(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    made = ec2.associate_address(
        InstanceId=values["instanceId"],
        AllocationId=values["allocationId"],
        AllowReassociation=bool(values.get("allowReassociation")),
    )
    return made["AssociationId"], {}


INSTANCE_INPUTS = {
    "ami": "replace",
    "instanceType": "update",
    "subnetId": "replace",
    "vpcSecurityGroupIds": "update",
    "associatePublicIpAddress": "replace",
    "iamInstanceProfile": "update",
    "metadataOptions": "update",
    "rootBlockDevice": "update",
    "userData": "refuse",
    "tags": "update",
}

KINDS = {
    "aws:ec2/vpc:Vpc": _simple(
        "VPC", {"cidrBlock": "replace", "enableDnsSupport": "refuse", "enableDnsHostnames": "refuse"}, {"cidrBlock"},
        ["arn"], _vpc, lambda ec2, id, _: ec2.delete_vpc(VpcId=id),
        lambda ec2, id: ec2.describe_vpcs(VpcIds=[id])["Vpcs"],
    ),
    "aws:ec2/internetGateway:InternetGateway": _simple(
        "internet gateway", {"vpcId": "replace"}, {"vpcId"}, ["arn"], _gateway, _delete_gateway,
        lambda ec2, id: ec2.describe_internet_gateways(InternetGatewayIds=[id])["InternetGateways"],
    ),
    "aws:ec2/subnet:Subnet": _simple(
        "subnet", {"vpcId": "replace", "cidrBlock": "replace", "mapPublicIpOnLaunch": "refuse"}, {"vpcId"}, ["arn"],
        _subnet, lambda ec2, id, _: ec2.delete_subnet(SubnetId=id),
        lambda ec2, id: ec2.describe_subnets(SubnetIds=[id])["Subnets"],
    ),
    "aws:ec2/routeTable:RouteTable": _simple(
        "route table", {"vpcId": "replace", "routes": "refuse"}, {"vpcId"}, ["arn"], _routes,
        lambda ec2, id, _: ec2.delete_route_table(RouteTableId=id),
        lambda ec2, id: ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"],
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _simple(
        "route table association", {"subnetId": "replace", "routeTableId": "replace"}, {"routeTableId"}, [],
        _association, lambda ec2, id, _: ec2.disassociate_route_table(AssociationId=id), lambda ec2, id: True,
    ),
    "aws:ec2/securityGroup:SecurityGroup": _simple(
        "security group", {"name": "replace", "description": "replace", "vpcId": "replace"}, set(), ["arn"], _group,
        lambda ec2, id, _: ec2.delete_security_group(GroupId=id),
        lambda ec2, id: ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"],
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("egress"),
    "aws:ec2/eip:Eip": _simple(
        "Elastic IP", {"domain": "replace"}, set(), ["publicIp", "allocationId"], _address,
        lambda ec2, id, _: ec2.release_address(AllocationId=id),
        lambda ec2, id: ec2.describe_addresses(AllocationIds=[id])["Addresses"],
    ),
    "aws:ec2/eipAssociation:EipAssociation": _simple(
        "Elastic IP association",
        {"instanceId": "replace", "allocationId": "replace", "allowReassociation": "replace"}, set(), [], _use_address,
        lambda ec2, id, _: ec2.disassociate_address(AssociationId=id),
        lambda ec2, id: ec2.describe_addresses(Filters=[{"Name": "association-id", "Values": [id]}])["Addresses"],
    ),
    "aws:ec2/instance:Instance": Kind(
        INSTANCE_INPUTS, {"ami", "instanceType", "subnetId"}, ["arn", "instanceState", "publicIp", "privateIp"],
        _launch, _change_instance, _terminate, _read_instance,
    ),
}  # fmt: skip
KINDS["aws:ec2/securityGroup:SecurityGroup"].autonamed = True
