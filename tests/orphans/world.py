"""Resources of every kind in the emulated AWS, made as the plugin makes them, and an engine that keeps a state."""

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from infra.orphans import command
from lab.fakes.aws.cloud import connect
from lab.fakes.aws.kinds import KINDS
from lab.fakes.plain import plain_map, property_map
from lab.fakes.plugin import Plugin
from tests.support import any_image, emulated_aws

REGION = "ap-northeast-1"
STACK = "prod"
TAGS = {"project": "watchme-infra", "stack": STACK, "system": "network"}
PREFIX = f"urn:pulumi:{STACK}::infra::"
ROOT_URN = f"{PREFIX}pulumi:pulumi:Stack::infra-{STACK}"
PROVIDERS = {REGION: f"{PREFIX}pulumi:providers:aws::aws-{REGION}", "us-east-1": f"{PREFIX}pulumi:providers:aws::aws-everywhere"}  # fmt: skip
Made = dict[str, str]
RIGHTS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": "*"}]}
)


def tags(name: str) -> dict[str, str]:
    return {**TAGS, "Name": name}


# Kind → its inputs as the engine hands them to the plugin, by the ids of what was made before; in an update's order
INPUTS: dict[str, Callable[[Made], dict[str, Any]]] = {
    "aws:ec2/vpc:Vpc": lambda made: {"cidrBlock": "10.20.0.0/16", "tags": tags("network")},
    "aws:ec2/internetGateway:InternetGateway": lambda made: {"vpcId": made["Vpc"], "tags": tags("network")},
    "aws:ec2/subnet:Subnet": lambda made: {
        "vpcId": made["Vpc"], "cidrBlock": "10.20.1.0/24", "mapPublicIpOnLaunch": True, "tags": tags("network"),
    },
    "aws:ec2/routeTable:RouteTable": lambda made: {
        "vpcId": made["Vpc"], "tags": tags("network"),
        "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": made["InternetGateway"]}],
    },
    "aws:ec2/routeTableAssociation:RouteTableAssociation": lambda made: {
        "subnetId": made["Subnet"], "routeTableId": made["RouteTable"],
    },
    "aws:ec2/securityGroup:SecurityGroup": lambda made: {
        "name": "hosts-1234567", "description": "x", "vpcId": made["Vpc"], "tags": tags("network"),
    },
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": lambda made: {
        "securityGroupId": made["SecurityGroup"], "ipProtocol": "tcp", "fromPort": 443, "toPort": 443,
        "cidrIpv4": "0.0.0.0/0", "tags": tags("network"),
    },
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": lambda made: {
        "securityGroupId": made["SecurityGroup"], "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0", "tags": tags("network"),
    },
    "aws:ec2/eip:Eip": lambda made: {"domain": "vpc", "tags": tags("prod-watchme")},
    "aws:iam/role:Role": lambda made: {
        "name": "watchme-role-1234567", "assumeRolePolicy": RIGHTS, "tags": tags("role"),
    },
    "aws:iam/rolePolicy:RolePolicy": lambda made: {
        "name": "watchme-policy-1234567", "role": made["Role"], "policy": RIGHTS,
    },
    "aws:iam/instanceProfile:InstanceProfile": lambda made: {
        "name": "watchme-profile-1234567", "role": made["Role"], "tags": tags("profile"),
    },
    "aws:ec2/instance:Instance": lambda made: {
        "ami": made["image"], "instanceType": "t4g.large", "subnetId": made["Subnet"], "tags": tags("prod-watchme"),
        "vpcSecurityGroupIds": [made["SecurityGroup"]], "rootBlockDevice": {"volumeType": "gp3", "volumeSize": 30},
    },
    "aws:ebs/volume:Volume": lambda made: {
        "availabilityZone": f"{REGION}a", "size": 50, "type": "gp3", "encrypted": True, "tags": tags("prod-watchme-data"),
    },
    "aws:iam/user:User": lambda made: {"name": "home-user-1234567", "tags": tags("user")},
    "aws:iam/userPolicy:UserPolicy": lambda made: {
        "name": "home-policy-1234567", "user": made["User"], "policy": RIGHTS,
    },
    "aws:iam/accessKey:AccessKey": lambda made: {"user": made["User"]},
    "aws:ecr/repository:Repository": lambda made: {"name": "watchme-web", "tags": TAGS},
    "aws:s3/bucket:Bucket": lambda made: {"bucket": f"{STACK}-backups-123456789012", "tags": TAGS},
    "aws:sns/topic:Topic": lambda made: {"name": "alarms-topic-1234567", "tags": TAGS},
    "aws:route53/record:Record": lambda made: {
        "zoneId": made["zone"], "name": "api.example.com", "type": "A", "ttl": 60, "records": ["192.0.2.1"],
    },
    "aws:budgets/budget:Budget": lambda made: {
        "name": "prod-credits", "budgetType": "COST", "timeUnit": "ANNUALLY", "limitAmount": "1", "limitUnit": "USD",
    },
}  # fmt: skip


def kind(type: str) -> str:
    return type.rsplit(":", 1)[-1]


class Things(dict[str, str]):
    """What there is, by kind; the zone and the machine image are made, or looked for, when they are asked for."""

    def __missing__(self, name: str) -> str:
        if name == "zone":
            client = boto3.client("route53")
            zone = client.create_hosted_zone(Name="example.com.", CallerReference="x")["HostedZone"]["Id"]
            self[name] = zone.removeprefix("/hostedzone/")
        elif name == "image":
            self[name] = any_image(boto3.client("ec2", region_name=REGION))
        else:
            raise KeyError(name)
        return self[name]


@contextmanager
def emulated_account(patch: pytest.MonkeyPatch) -> Iterator["Account"]:
    """An account of its own, in which nothing is yet."""
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    command.client.cache_clear()
    with emulated_aws(patch):
        yield Account()
    command.client.cache_clear()


class Account:
    """The emulated AWS and the plugin."""

    def __init__(self) -> None:
        self.plugin = Plugin(KINDS, connect)
        self.plugin.cloud = connect({"region": REGION})
        self.made = Things()

    def inputs(self, type: str) -> dict[str, Any]:
        return INPUTS[type](self.made)

    def create(self, type: str) -> str:
        """Its id; the first of a kind is what later ones refer to."""
        call = self.plugin._call(f"{PREFIX}{type}::{kind(type)}", 60)
        id, _ = self.plugin.kinds[type].create(call, plain_map(property_map(self.inputs(type))))
        self.made.setdefault(kind(type), id)
        return id

    def create_group(self) -> tuple[str, dict[str, Any]]:
        """A security group as AWS makes it, before the plugin has changed it; its id, and the inputs."""
        self.create_until("aws:ec2/vpc:Vpc")
        inputs = self.inputs("aws:ec2/securityGroup:SecurityGroup")
        own = [{"Key": key, "Value": value} for key, value in inputs["tags"].items()]
        made = boto3.client("ec2", region_name=REGION).create_security_group(
            GroupName=inputs["name"], Description="x", VpcId=inputs["vpcId"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": own}],
        )  # fmt: skip
        return made["GroupId"], inputs

    def create_until(self, type: str) -> str:
        """With all that comes before it."""
        for other in INPUTS:
            if other == type:
                return self.create(type)
            if kind(other) not in self.made:
                self.create(other)
        raise AssertionError(type)


def provider_of(type: str) -> str:
    return "us-east-1" if type.startswith(("aws:iam", "aws:route53", "aws:budgets")) else REGION


def operation(type: str, inputs: dict[str, Any], name: str = "") -> dict[str, Any]:
    """A creation that was interrupted, as Pulumi keeps it."""
    provider = f"{PROVIDERS[provider_of(type)]}::id" if type.startswith("aws:") else ""
    resource = {
        "urn": f"{PREFIX}{type}::{name or kind(type)}", "custom": True, "type": type, "inputs": inputs,
        "parent": ROOT_URN, "provider": provider, "dependencies": [],
    }  # fmt: skip
    return {"resource": resource, "type": "creating"}


def state(*operations: dict[str, Any], resources: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    base = [{"urn": ROOT_URN, "custom": False, "type": "pulumi:pulumi:Stack"}]
    base += [
        {"urn": urn, "custom": True, "type": "pulumi:providers:aws", "id": "id", "inputs": {"region": region}}
        for region, urn in PROVIDERS.items()
    ]
    deployment = {"resources": [*base, *(resources or [])], "pending_operations": list(operations)}
    return {"version": 3, "deployment": deployment}


class Engine:
    """Pulumi's command line over a state that it keeps; `fail` names what it refuses to do."""

    def __init__(self, kept: dict[str, Any], fail: str = "") -> None:
        self.state, self.fail, self.refreshed = kept, fail, []

    def pulumi(self, *words: str, value: str | None = None) -> str:
        assert words[:2] == ("stack", "export")
        return json.dumps(self.state)

    def attempt(self, *words: str, value: str | None = None) -> subprocess.CompletedProcess[str]:
        if words[0] == self.fail or " ".join(words[:2]) == self.fail:
            return subprocess.CompletedProcess(words, 255, "", "error: refused for a test\n")
        if words[:2] == ("stack", "import"):
            assert value
            self.state = json.loads(value)
        else:
            assert words[0] == "refresh"
            known = {entry["urn"] for entry in self.state["deployment"]["resources"]}
            targets = [words[number + 1] for number, word in enumerate(words) if word == "--target"]
            assert set(targets) <= known, "the engine refuses a target that its state does not have"
            self.refreshed += targets
        return subprocess.CompletedProcess(words, 0, "", "")

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """By name, without the stack and its providers."""
        entries = copy.deepcopy(self.state["deployment"]["resources"])
        return {e["urn"].rsplit("::", 1)[-1]: e for e in entries if not e["type"].startswith("pulumi:")}

    @property
    def interrupted(self) -> list[str]:
        return [o["resource"]["urn"].rsplit("::", 1)[-1] for o in self.state["deployment"]["pending_operations"]]
