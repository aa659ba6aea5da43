"""What a refresh reads by the stand-in: no difference where no one changed anything, and one where a person's hand did."""

import asyncio
import json

import boto3
import pytest
from pulumi.provider.experimental import provider as api

from lab.fakes.plain import plain_map, property_map
from tests.orphans.world import INPUTS, PREFIX, REGION, emulated_account

INSTANCE = "aws:ec2/instance:Instance"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@pytest.fixture
def account(monkeypatch):
    with emulated_account(monkeypatch) as made:
        yield made


def difference(account, type: str, id: str) -> list[str]:
    """The given inputs that a refresh finds otherwise; what AWS chose by itself is no input."""
    urn, inputs = f"{PREFIX}{type}::x", property_map(account.inputs(type))
    found = asyncio.run(account.plugin.read(api.ReadRequest(urn, id, inputs, inputs)))
    assert found.resource_id == id
    diff = asyncio.run(account.plugin.diff(api.DiffRequest(urn, id, found.properties or {}, inputs, [])))
    assert plain_map(found.properties or {})
    return [key for key in diff.diffs or () if key in inputs]


@pytest.mark.parametrize("type", INPUTS)
def test_unchanged_resource_is_read_as_created(account, type):
    assert difference(account, type, account.create_until(type)) == []


def test_an_instance_that_was_changed_reads_so(account):
    id, ec2 = account.create_until(INSTANCE), boto3.client("ec2", region_name=REGION)
    ec2.stop_instances(InstanceIds=[id])
    ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": "t4g.small"})
    ec2.create_tags(Resources=[id], Tags=[{"Key": "stack", "Value": "other"}])
    assert sorted(difference(account, INSTANCE, id)) == ["instanceType", "tags"]


def test_a_rule_that_was_changed_reads_so(account):
    id, ec2 = account.create_until(RULE), boto3.client("ec2", region_name=REGION)
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "192.0.2.0/24"}
    wanted = [{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}]
    ec2.modify_security_group_rules(GroupId=account.made["SecurityGroup"], SecurityGroupRules=wanted)
    assert difference(account, RULE, id) == ["cidrIpv4"]
    call, old = account.plugin._call(f"{PREFIX}{RULE}::x", 60), account.inputs(RULE)
    account.plugin.kinds[RULE].update(call, id, {**old, "cidrIpv4": "192.0.2.0/24"}, old)
    assert difference(account, RULE, id) == []


@pytest.mark.parametrize(
    ("type", "write", "owner"),
    [
        ("aws:iam/rolePolicy:RolePolicy", "put_role_policy", "Role"),
        ("aws:iam/userPolicy:UserPolicy", "put_user_policy", "User"),
    ],
)
def test_rights_that_were_changed_read_so(account, type, write, owner):
    holder, name = account.create_until(type).split(":")
    other = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    put = getattr(boto3.client("iam"), write)
    put(**{f"{owner}Name": holder, "PolicyName": name, "PolicyDocument": json.dumps(other)})
    assert difference(account, type, f"{holder}:{name}") == ["policy"]
