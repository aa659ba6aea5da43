"""Rights of the stack's roles and users beside those that its last update gave them: a refresh sees only what the state
has, and a policy that a person attached is none of it."""

from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from infra.aws import is_absence
from infra.drift.finding import Finding
from infra.orphans.state import AwsResource, State, of_aws

ROLE, USER = "aws:iam/role:Role", "aws:iam/user:User"
# Of a kind of identity: what IAM calls it, and what the state has of its inline and its attached policies and keys
INLINE = {ROLE: "aws:iam/rolePolicy:RolePolicy", USER: "aws:iam/userPolicy:UserPolicy"}
ATTACHED = {
    ROLE: "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    USER: "aws:iam/userPolicyAttachment:UserPolicyAttachment",
}
WORDS = {ROLE: "role", USER: "user"}
KEY = "aws:iam/accessKey:AccessKey"


def find_added(iam: Any, pulumi_state: State) -> Iterator[Finding]:
    """What was added by hand to each of the stack's roles and users. One that is gone is a refresh's to find."""
    resources = of_aws(pulumi_state)
    for entry in resources:
        if (kind := entry["type"]) not in WORDS:
            continue
        try:
            # At once, since what is gone is found by the first question
            yield from [*_policies(iam, kind, entry["id"], resources), *_of_user(iam, kind, entry["id"], resources)]
        except ClientError as error:
            if not is_absence(error):
                raise


def _policies(iam: Any, kind: str, name: str, resources: list[AwsResource]) -> Iterator[Finding]:
    word = WORDS[kind]
    whose, where = {f"{word.capitalize()}Name": name}, f"{word} {name}"
    ours = {entry["id"] for entry in resources if entry["type"] == INLINE[kind]}
    for policy in _pages(iam, f"list_{word}_policies", "PolicyNames", whose):
        if f"{name}:{policy}" not in ours:
            remedy = f"aws iam delete-{word}-policy --{word}-name {name} --policy-name {policy}"
            yield _finding(where, f"has the policy {policy}", remedy)
    attachments = [entry["inputs"] for entry in resources if entry["type"] == ATTACHED[kind]]
    attached = {entry.get("policyArn") for entry in attachments if entry.get(word) == name}
    for policy in _pages(iam, f"list_attached_{word}_policies", "AttachedPolicies", whose):
        if policy["PolicyArn"] not in attached:
            remedy = f"aws iam detach-{word}-policy --{word}-name {name} --policy-arn {policy['PolicyArn']}"
            yield _finding(where, f"has the policy {policy['PolicyName']}", remedy)


def _of_user(iam: Any, kind: str, name: str, resources: list[AwsResource]) -> Iterator[Finding]:
    """A user has rights by groups too, and more than one key may stand for it."""
    if kind != USER:
        return
    whose, where = {"UserName": name}, f"user {name}"
    for group in _pages(iam, "list_groups_for_user", "Groups", whose):
        remedy = f"aws iam remove-user-from-group --user-name {name} --group-name {group['GroupName']}"
        yield _finding(where, f"is in the group {group['GroupName']}", remedy)
    ours = {entry["id"] for entry in resources if entry["type"] == KEY}
    for key in _pages(iam, "list_access_keys", "AccessKeyMetadata", whose):
        if key["AccessKeyId"] not in ours:
            remedy = f"aws iam delete-access-key --user-name {name} --access-key-id {key['AccessKeyId']}"
            yield _finding(where, f"has the access key {key['AccessKeyId']}", remedy)


def _pages(iam: Any, operation: str, answer: str, whose: dict[str, str]) -> Iterable[Any]:
    return [entry for page in iam.get_paginator(operation).paginate(**whose) for entry in page[answer]]


def _finding(where: str, fault: str, remedy: str) -> Finding:
    return Finding(where, f"{fault}, which the stack does not define", f"remove it: {remedy}")
