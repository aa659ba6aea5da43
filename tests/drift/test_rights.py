"""Rights that a person gave the stack's roles and users beside the program: each is named with what takes it away."""

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.drift import rights
from tests.orphans.world import REGION, RIGHTS, emulated_account, kind, state

ROLE, USER = "aws:iam/role:Role", "aws:iam/user:User"
OURS = [ROLE, "aws:iam/rolePolicy:RolePolicy", USER, "aws:iam/userPolicy:UserPolicy", "aws:iam/accessKey:AccessKey"]


@pytest.fixture
def iam(monkeypatch):
    with emulated_account(monkeypatch) as made:
        client = boto3.client("iam", region_name=REGION)
        client.managed = client.create_policy(PolicyName="all", PolicyDocument=RIGHTS)["Policy"]["Arn"]
        entries = []
        for type in OURS:
            id = made.made.get(kind(type)) or made.create_until(type)
            entries.append({"urn": f"urn::{kind(type)}", "type": type, "id": id, "inputs": made.inputs(type)})
        client.role, client.user = made.made["Role"], made.made["User"]
        client.entries = entries
        yield client


def found(iam) -> list[str]:
    return [str(finding) for finding in rights.find_added(iam, state(resources=iam.entries))]


def test_rights_of_the_stack_are_no_finding(iam):
    assert found(iam) == []


ADDED = {
    "a policy in the role": (
        lambda iam: iam.put_role_policy(RoleName=iam.role, PolicyName="more", PolicyDocument=RIGHTS),
        "role {role}: has the policy more, which the stack does not define; remove it: aws iam delete-role-policy "
        "--role-name {role} --policy-name more",
    ),
    "a policy at the role": (
        lambda iam: iam.attach_role_policy(RoleName=iam.role, PolicyArn=iam.managed),
        "role {role}: has the policy all, which the stack does not define; remove it: aws iam detach-role-policy "
        "--role-name {role} --policy-arn {managed}",
    ),
    "a policy in the user": (
        lambda iam: iam.put_user_policy(UserName=iam.user, PolicyName="more", PolicyDocument=RIGHTS),
        "user {user}: has the policy more, which the stack does not define; remove it: aws iam delete-user-policy "
        "--user-name {user} --policy-name more",
    ),
    "a policy at the user": (
        lambda iam: iam.attach_user_policy(UserName=iam.user, PolicyArn=iam.managed),
        "user {user}: has the policy all, which the stack does not define; remove it: aws iam detach-user-policy "
        "--user-name {user} --policy-arn {managed}",
    ),
    "a group": (
        lambda iam: (iam.create_group(GroupName="admins"), iam.add_user_to_group(GroupName="admins", UserName=iam.user)),
        "user {user}: is in the group admins, which the stack does not define; remove it: aws iam "
        "remove-user-from-group --user-name {user} --group-name admins",
    ),
    "a key": (
        lambda iam: setattr(iam, "key", iam.create_access_key(UserName=iam.user)["AccessKey"]["AccessKeyId"]),
        "user {user}: has the access key {key}, which the stack does not define; remove it: aws iam "
        "delete-access-key --user-name {user} --access-key-id {key}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ADDED)
def test_manually_added_rights_are_reported(iam, name):
    add, line = ADDED[name]
    add(iam)
    words = {"role": iam.role, "user": iam.user, "managed": iam.managed, "key": getattr(iam, "key", "")}
    assert found(iam) == [line.format(**words)]


def test_policy_attached_by_the_program_is_no_finding(iam):
    iam.attach_role_policy(RoleName=iam.role, PolicyArn=iam.managed)
    inputs = {"role": iam.role, "policyArn": iam.managed}
    type = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    iam.entries.append({"urn": "urn::attachment", "type": type, "id": "attachment-1", "inputs": inputs})
    assert found(iam) == []


def test_missing_roles_are_left_to_the_refresh(iam):
    iam.entries.append({"urn": "urn::gone", "type": ROLE, "id": "gone", "inputs": {}})
    iam.entries.append({"urn": "urn::away", "type": USER, "id": "away", "inputs": {}})
    assert found(iam) == []


def test_denied_look_at_rights_is_not_reported_as_no_drift(iam, monkeypatch):
    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListRolePolicies")

    def refuse(_):
        raise refused

    monkeypatch.setattr(iam, "get_paginator", refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        found(iam)
