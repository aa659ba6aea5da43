"""What a refresh does not see, asked of an emulated EC2."""

import datetime

import boto3
import pytest
from moto.backends import get_backend

from infra import temporary_ssh
from infra.drift import looks
from infra.drift.looks import Machine
from tests.orphans.world import REGION, emulated_account

INSTANCE, GROUP = "aws:ec2/instance:Instance", "aws:ec2/securityGroup:SecurityGroup"
AT = datetime.datetime(2027, 1, 2, 3, 4, tzinfo=datetime.UTC)
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def account(monkeypatch):
    with emulated_account(monkeypatch) as made:
        yield made


@pytest.fixture
def ec2(account):
    return boto3.client("ec2", region_name=REGION)


@pytest.fixture
def machine(account) -> Machine:
    return Machine("web", account.create_until(INSTANCE), REGION)


def said(findings) -> list[str]:
    return [str(finding) for finding in findings]


def emulated(machine: Machine):
    return get_backend("ec2")["123456789012"][REGION].get_instance(machine.id)


def test_a_machine_that_runs_is_no_finding(ec2, machine):
    assert said(looks.machines(ec2, [machine])) == []


def test_stopped_machine_is_reported_with_the_starting_command(ec2, machine):
    ec2.stop_instances(InstanceIds=[machine.id])
    assert said(looks.machines(ec2, [machine])) == [
        f"machine of web ({machine.id}, {REGION}): is stopped; start it: aws ec2 start-instances --instance-ids "
        f"{machine.id} --region {REGION}"
    ]


def test_terminated_machine_is_left_to_the_refresh(ec2, machine):
    ec2.terminate_instances(InstanceIds=[machine.id])
    never = Machine("home", "i-0123456789abcdef0", REGION)
    assert said(looks.machines(ec2, [machine, never])) == []
    assert said(looks.snapshots(ec2, [machine, never], 7)) == []


@pytest.mark.parametrize("code", [*looks.EVENTS, "something-new"])
def test_scheduled_events_of_aws_are_reported_with_their_times(ec2, machine, code):
    over = {"Code": code, "NotBefore": AT, "Description": "[Completed] it was"}
    emulated(machine).events = [{"Code": code, "NotBefore": AT, "Description": "it will be"}, over]
    (line,) = said(looks.machines(ec2, [machine]))
    assert " on 2027-01-02 03:04 UTC; " in line and "AWS " in line and "{" not in line
    assert (f"stop-instances --instance-ids {machine.id}" in line) == (code in ("instance-retirement", "instance-stop", "system-reboot"))  # fmt: skip


def test_a_spot_machine_is_named(ec2, machine):
    emulated(machine).lifecycle = emulated(machine).instance_lifecycle = "spot"
    (line,) = said(looks.machines(ec2, [machine]))
    assert "is a Spot instance" in line and "lost-host.md" in line


@pytest.fixture
def group(account) -> str:
    account.create_until(GROUP)
    return account.made["SecurityGroup"]


def opened(**peer) -> dict:
    return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **peer}


@pytest.mark.parametrize(
    ("permission", "found"),
    [
        (opened(IpRanges=[{"CidrIp": "198.51.100.7/32"}]), "allows 198.51.100.7/32 to reach port 22, which"),
        (opened(IpRanges=[{"CidrIp": "0.0.0.0/0"}]), "allows 0.0.0.0/0 to reach port 22, which"),
        (opened(Ipv6Ranges=[{"CidrIpv6": "::/0"}]), "allows ::/0 to reach port 22, which"),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}, "allows 192.0.2.0/24 to reach every port, which"),
        ({"IpProtocol": "udp", "FromPort": 1, "ToPort": 9, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}, "allows 192.0.2.0/24 to reach ports 1–9 (udp), which"),
    ],
    ids=["an operator", "the world", "the world by IPv6", "every port", "a range"],
)  # fmt: skip
def test_manual_opening_is_reported_with_the_closing_command(ec2, account, group, permission, found):
    own = account.create("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert said(looks.openings(ec2, REGION, [group], looks.OwnRules("prod", {own}), NOW)) == []
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"][0]
    (line,) = said(looks.openings(ec2, REGION, [group], looks.OwnRules("prod", {own}), NOW))
    id = made["SecurityGroupRuleId"]
    close = f"aws ec2 revoke-security-group-ingress --group-id {group} --security-group-rule-ids {id} --region {REGION}"
    assert found in line and close in line
    # What is wider infra check would refuse
    assert ("infra:adminCidrs" in line) == ("198.51.100.7/32" in found)


@pytest.mark.parametrize(
    ("expires", "is_allowed", "words"),
    [
        (datetime.timedelta(minutes=20), True, None),
        (datetime.timedelta(minutes=20), False, "which the stack does not define"),
        (datetime.timedelta(minutes=-20), True, "still allows 198.51.100.7/32 to reach port 22, opened for ci until "),
        (datetime.timedelta(days=9), True, "infra access close --expired --stack prod"),
        (None, True, "opened for ci until an unknown time; close it: infra access close --expired"),
    ],
    ids=["not over", "not allowed", "over", "longer than any", "no time"],
)
def test_temporary_ssh_is_reported_once_it_is_over_or_not_allowed(ec2, group, expires, is_allowed, words):
    text = (NOW + expires).strftime(temporary_ssh.FORM) if expires else "later"
    tags = {temporary_ssh.STACK: "prod", temporary_ssh.EXPIRES: text, temporary_ssh.BY: "ci"}
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[opened(IpRanges=[{"CidrIp": "198.51.100.7/32"}])],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
    )  # fmt: skip
    found = said(looks.openings(ec2, REGION, [group], looks.OwnRules("prod", set(), is_allowed), NOW))
    found = [line for line in found if "port 22" in line]
    assert [words in line for line in found] == ([True] if words else [])


def test_rule_with_the_tags_and_another_range_is_reported(ec2, group):
    tags = [
        {"Key": temporary_ssh.STACK, "Value": "prod"},
        {"Key": temporary_ssh.EXPIRES, "Value": NOW.strftime(temporary_ssh.FORM)},
    ]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[opened(IpRanges=[{"CidrIp": "0.0.0.0/0"}])],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
    )  # fmt: skip
    found = said(looks.openings(ec2, REGION, [group], looks.OwnRules("prod", set(), True), NOW))
    assert any("allows 0.0.0.0/0 to reach port 22, which the stack does not define" in line for line in found)


def test_manual_egress_rule_is_reported(ec2, group):
    permission = {"IpProtocol": "tcp", "FromPort": 25, "ToPort": 25, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[permission])
    (line,) = said(looks.openings(ec2, REGION, [group], looks.OwnRules("prod", set()), NOW))
    assert "allows its machines to reach port 25 of 0.0.0.0/0" in line and "revoke-security-group-egress" in line


@pytest.mark.parametrize(("number", "is_found"), [(7 + looks.SPARE, False), (8 + looks.SPARE, True)])
def test_snapshots_that_pile_up_are_counted(ec2, machine, number, is_found):
    instance = ec2.describe_instances(InstanceIds=[machine.id])["Reservations"][0]["Instances"][0]
    disk = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    for _ in range(number):
        ec2.create_snapshot(VolumeId=disk)
    found = said(looks.snapshots(ec2, [machine], 7))
    assert bool(found) == is_found
    assert all(f"disk of web ({disk}, {REGION}): has {number} snapshots since 20" in line for line in found)
    assert all("the stack keeps 7" in line for line in found)


@pytest.mark.parametrize(("days", "is_there", "is_found"), [(40, False, True), (40, True, False), (3, False, False)])
def test_old_snapshots_of_lost_disks_are_named(ec2, days, is_there, is_found):
    disk = ec2.create_volume(Size=8, AvailabilityZone=f"{REGION}a")["VolumeId"]
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "stack", "Value": "prod"}]}]
    made = ec2.create_snapshot(VolumeId=disk, TagSpecifications=tags)["SnapshotId"]
    if not is_there:
        ec2.delete_volume(VolumeId=disk)
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    found = said(looks.lost_snapshots(ec2, "prod", REGION, now))
    assert bool(found) == is_found and all(made in line and "nothing deletes them" in line for line in found)
    assert said(looks.lost_snapshots(ec2, "dev", REGION, now)) == []
