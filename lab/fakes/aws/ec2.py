"""EC2: network, security groups, instances, addresses."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import is_gone, refusals, tag_list, tags_of
from lab.fakes.plugin import Call, Kind, PluginError, Values


def tag_specifications(resource: str, inputs: Values) -> dict[str, Any]:
    tags = tag_list(inputs.get("tags"))
    return {"TagSpecifications": [{"ResourceType": resource, "Tags": tags}]} if tags else {}


def arn(call: Call, kind: str, id: str) -> str:
    return f"arn:aws:ec2:{call.cloud.region}:{call.cloud.account}:{kind}/{id}"


def update_tags(call: Call, id: str, old: Values, new: Values) -> Values:
    ec2 = call.cloud.client("ec2")
    removed_keys = set(old.get("tags") or {}) - set(new.get("tags") or {})
    with refusals(f"tagging {id}"):
        if removed_keys:
            ec2.delete_tags(Resources=[id], Tags=[{"Key": key} for key in removed_keys])
        if new.get("tags"):
            ec2.create_tags(Resources=[id], Tags=tag_list(new["tags"]))
    return {}


@dataclass(frozen=True)
class Calls:
    """What EC2 is asked for a kind of resource: `create(call, ec2, values)` makes one, `delete(ec2, id, state)` removes
    it, `describe(ec2, id)` lists it as AWS does, `read_back(ec2, id, entry)` gives the values of such an entry, and
    `change(ec2, id, new)` puts right what can change in place."""

    create: Any
    delete: Any
    describe: Any
    read_back: Any = None
    change: Any = None


def simple(what: str, inputs: dict[str, str], required: set[str], outputs: list[str], calls: Calls) -> Kind:
    """A kind whose tags can change in place, beside what its calls change. A refresh reads the `arn`, the tags and what
    the calls read back."""

    def create_resource(call: Call, values: Values) -> tuple[str, Values]:
        with refusals(f"creating {what}"):
            return calls.create(call, call.cloud.client("ec2"), values)

    def delete_resource(call: Call, id: str, state: Values) -> None:
        try:
            calls.delete(call.cloud.client("ec2"), id, state)
        except ClientError as error:
            if not is_gone(error):
                with refusals(f"deleting {what} {id}"):
                    raise

    def read(call: Call, id: str, state: Values) -> Values | None:
        ec2 = call.cloud.client("ec2")
        try:
            resources = calls.describe(ec2, id)
            if not resources:
                return None
            own: Values = {"arn": arn(call, what.replace(" ", "-").lower(), id)} if "arn" in outputs else {}
            if "tags" in state:
                own["tags"] = tags_of(resources[0])
            return own | (calls.read_back(ec2, id, resources[0]) if calls.read_back else {})
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def change_resource(call: Call, id: str, old: Values, new: Values) -> Values:
        with refusals(f"changing {what} {id}"):
            if calls.change:
                calls.change(call.cloud.client("ec2"), id, new)
        return update_tags(call, id, old, new)

    return Kind(
        {**inputs, "tags": "update"}, required, outputs, create_resource, change_resource, delete_resource, read
    )


def _vpc(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    id = ec2.create_vpc(CidrBlock=values["cidrBlock"], **tag_specifications("vpc", values))["Vpc"]["VpcId"]
    _change_vpc(ec2, id, values)
    return id, {"arn": arn(call, "vpc", id)}


DNS = (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames"))


def _change_vpc(ec2: Any, id: str, values: Values) -> None:
    for key, name in DNS:
        ec2.modify_vpc_attribute(VpcId=id, **{name: {"Value": bool(values.get(key, key == "enableDnsSupport"))}})


def _read_vpc(ec2: Any, id: str, entry: Values) -> Values:
    attributes = {key: ec2.describe_vpc_attribute(VpcId=id, Attribute=key)[name]["Value"] for key, name in DNS}
    return {"cidrBlock": entry["CidrBlock"], **attributes}


def _gateway(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    id = ec2.create_internet_gateway(**tag_specifications("internet-gateway", values))["InternetGateway"][
        "InternetGatewayId"
    ]
    _attach_gateway(ec2, id, values)
    return id, {"arn": arn(call, "internet-gateway", id)}


def _attach_gateway(ec2: Any, id: str, values: Values) -> None:
    entry = ec2.describe_internet_gateways(InternetGatewayIds=[id])["InternetGateways"][0]
    attached = _read_gateway(ec2, id, entry)["vpcId"]
    if attached and attached != values["vpcId"]:
        ec2.detach_internet_gateway(InternetGatewayId=id, VpcId=attached)
    if attached != values["vpcId"]:
        ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=values["vpcId"])


def _read_gateway(ec2: Any, id: str, entry: Values) -> Values:
    return {"vpcId": next((attachment["VpcId"] for attachment in entry.get("Attachments", [])), "")}


def _delete_gateway(ec2: Any, id: str, state: Values) -> None:
    if state.get("vpcId"):
        ec2.detach_internet_gateway(InternetGatewayId=id, VpcId=state["vpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=id)


def _subnet(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    zone = {"AvailabilityZone": values["availabilityZone"]} if values.get("availabilityZone") else {}
    answer = ec2.create_subnet(
        VpcId=values["vpcId"], CidrBlock=values["cidrBlock"], **zone, **tag_specifications("subnet", values)
    )
    id = answer["Subnet"]["SubnetId"]
    _change_subnet(ec2, id, values)
    return id, {"arn": arn(call, "subnet", id)}


def _change_subnet(ec2: Any, id: str, values: Values) -> None:
    ec2.modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch={"Value": bool(values.get("mapPublicIpOnLaunch"))})


def _read_subnet(ec2: Any, id: str, entry: Values) -> Values:
    return {
        "vpcId": entry["VpcId"],
        "cidrBlock": entry["CidrBlock"],
        "mapPublicIpOnLaunch": entry["MapPublicIpOnLaunch"],
        "availabilityZone": entry["AvailabilityZone"],
    }


def _routes(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    id = ec2.create_route_table(VpcId=values["vpcId"], **tag_specifications("route-table", values))["RouteTable"][
        "RouteTableId"
    ]
    _add_routes(ec2, id, values)
    return id, {"arn": arn(call, "route-table", id)}


def _add_routes(ec2: Any, id: str, values: Values) -> None:
    """Those that are missing; one that is not wanted any more is refused, as it never happens here."""
    there = _read_routes(ec2, id, ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"][0])["routes"]
    routes = values.get("routes", [])
    if unwanted := [route for route in there if route not in routes]:
        raise PluginError(f"the stand-in cannot remove the route to {unwanted[0]['cidrBlock']}")
    for route in routes:
        if route not in there:
            ec2.create_route(RouteTableId=id, DestinationCidrBlock=route["cidrBlock"], GatewayId=route["gatewayId"])


def _read_routes(ec2: Any, id: str, entry: Values) -> Values:
    routes = [route for route in entry["Routes"] if route.get("GatewayId", "local") != "local"]
    return {
        "vpcId": entry["VpcId"],
        "routes": [{"cidrBlock": r["DestinationCidrBlock"], "gatewayId": r["GatewayId"]} for r in routes],
    }


def _association(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    answer = ec2.associate_route_table(RouteTableId=values["routeTableId"], SubnetId=values["subnetId"])
    return answer["AssociationId"], {}


def _group(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    answer = ec2.create_security_group(
        GroupName=values["name"], Description=values["description"], VpcId=values["vpcId"],
        **tag_specifications("security-group", values),
    )  # fmt: skip
    id = answer["GroupId"]
    # As the real plugin does: the rule that AWS adds by itself goes
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=id, IpPermissions=[everything])
    return id, {"arn": arn(call, "security-group", id)}


RULE = {
    "ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort", "cidrIpv4": "CidrIpv4",
    "referencedSecurityGroupId": "ReferencedGroupId",
}  # fmt: skip


def _rule(direction: str) -> Kind:
    def permission(values: Values) -> list[dict[str, Any]]:
        ports = {"FromPort": values["fromPort"], "ToPort": values["toPort"]} if "fromPort" in values else {}
        peers: dict[str, Any] = {"IpRanges": [{"CidrIp": values["cidrIpv4"]}]} if values.get("cidrIpv4") else {}
        if group := values.get("referencedSecurityGroupId"):
            peers["UserIdGroupPairs"] = [{"GroupId": group}]
        return [{"IpProtocol": values["ipProtocol"], **ports, **peers}]

    def create(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
        add = getattr(ec2, f"authorize_security_group_{direction}")
        answer = add(
            GroupId=values["securityGroupId"],
            IpPermissions=permission(values),
            **tag_specifications("security-group-rule", values),
        )
        id = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return id, {"securityGroupRuleId": id}

    def delete(ec2: Any, id: str, state: Values) -> None:
        getattr(ec2, f"revoke_security_group_{direction}")(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[id])

    def change(ec2: Any, id: str, values: Values) -> None:
        rule = {theirs: values[ours] for ours, theirs in RULE.items() if values.get(ours) is not None}
        updates = [{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}]
        ec2.modify_security_group_rules(GroupId=values["securityGroupId"], SecurityGroupRules=updates)

    def read(ec2: Any, id: str, entry: Values) -> Values:
        # AWS answers -1 for the ports of a rule of all
        values = {ours: entry[theirs] for ours, theirs in RULE.items() if entry.get(theirs, -1) != -1}
        if group := entry.get("ReferencedGroupInfo", {}).get("GroupId"):
            values["referencedSecurityGroupId"] = group
        return {**values, "securityGroupId": entry["GroupId"], "securityGroupRuleId": id}

    inputs = {"securityGroupId": "replace", **dict.fromkeys(RULE, "update")}

    def describe(ec2: Any, id: str) -> Any:
        return ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]

    what, required = f"security group {direction} rule", {"securityGroupId", "ipProtocol"}
    calls = Calls(create, delete, describe, read, change)
    return simple(what, inputs, required, ["securityGroupRuleId"], calls)


def _address(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    answer = ec2.allocate_address(Domain=values.get("domain", "vpc"), **tag_specifications("elastic-ip", values))
    id = answer["AllocationId"]
    return id, {"publicIp": answer["PublicIp"], "allocationId": id}


def _use_address(call: Call, ec2: Any, values: Values) -> tuple[str, Values]:
    answer = ec2.associate_address(
        InstanceId=values["instanceId"],
        AllocationId=values["allocationId"],
        AllowReassociation=bool(values.get("allowReassociation")),
    )
    return answer["AssociationId"], {}


KINDS = {
    "aws:ec2/vpc:Vpc": simple(
        "VPC", {"cidrBlock": "replace", "enableDnsSupport": "update", "enableDnsHostnames": "update"}, {"cidrBlock"},
        ["arn"],
        Calls(
            _vpc, lambda ec2, id, _: ec2.delete_vpc(VpcId=id),
            lambda ec2, id: ec2.describe_vpcs(VpcIds=[id])["Vpcs"], _read_vpc, _change_vpc,
        ),
    ),
    "aws:ec2/internetGateway:InternetGateway": simple(
        "internet gateway", {"vpcId": "update"}, {"vpcId"}, ["arn"],
        Calls(
            _gateway, _delete_gateway,
            lambda ec2, id: ec2.describe_internet_gateways(InternetGatewayIds=[id])["InternetGateways"],
            _read_gateway, _attach_gateway,
        ),
    ),
    "aws:ec2/subnet:Subnet": simple(
        "subnet",
        {"vpcId": "replace", "cidrBlock": "replace", "availabilityZone": "replace", "mapPublicIpOnLaunch": "update"},
        {"vpcId"}, ["arn"],
        Calls(
            _subnet, lambda ec2, id, _: ec2.delete_subnet(SubnetId=id),
            lambda ec2, id: ec2.describe_subnets(SubnetIds=[id])["Subnets"], _read_subnet, _change_subnet,
        ),
    ),
    "aws:ec2/routeTable:RouteTable": simple(
        "route table", {"vpcId": "replace", "routes": "update"}, {"vpcId"}, ["arn"],
        Calls(
            _routes, lambda ec2, id, _: ec2.delete_route_table(RouteTableId=id),
            lambda ec2, id: ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"], _read_routes, _add_routes,
        ),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": simple(
        "route table association", {"subnetId": "replace", "routeTableId": "replace"}, {"routeTableId"}, [],
        Calls(
            _association, lambda ec2, id, _: ec2.disassociate_route_table(AssociationId=id), lambda ec2, id: [{}],
        ),
    ),
    "aws:ec2/securityGroup:SecurityGroup": simple(
        "security group", {"name": "replace", "description": "replace", "vpcId": "replace"}, set(), ["arn"],
        Calls(
            _group, lambda ec2, id, _: ec2.delete_security_group(GroupId=id),
            lambda ec2, id: ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"],
            lambda ec2, id, entry: {
                "name": entry["GroupName"], "description": entry["Description"], "vpcId": entry["VpcId"],
            },
        ),
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("egress"),
    "aws:ec2/eip:Eip": simple(
        "Elastic IP", {"domain": "replace"}, set(), ["publicIp", "allocationId"],
        Calls(
            _address, lambda ec2, id, _: ec2.release_address(AllocationId=id),
            lambda ec2, id: ec2.describe_addresses(AllocationIds=[id])["Addresses"],
            lambda ec2, id, entry: {"domain": entry["Domain"], "publicIp": entry["PublicIp"], "allocationId": id},
        ),
    ),
    "aws:ec2/eipAssociation:EipAssociation": simple(
        "Elastic IP association",
        {"instanceId": "replace", "allocationId": "replace", "allowReassociation": "replace"}, set(), [],
        Calls(
            _use_address, lambda ec2, id, _: ec2.disassociate_address(AssociationId=id),
            lambda ec2, id: ec2.describe_addresses(Filters=[{"Name": "association-id", "Values": [id]}])["Addresses"],
            lambda ec2, id, entry: {"instanceId": entry["InstanceId"], "allocationId": entry["AllocationId"]},
        ),
    ),
}  # fmt: skip
KINDS["aws:ec2/securityGroup:SecurityGroup"].autonamed = True
