"""IAM: roles, users, their policies and keys."""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import ensure_gone, is_gone, refusals, tag_list
from lab.fakes.plugin import Call, Kind, Values


def _role(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"creating role {values['name']}"):
        role = call.cloud.client("iam").create_role(
            RoleName=values["name"],
            AssumeRolePolicyDocument=values["assumeRolePolicy"],
            Tags=tag_list(values.get("tags")),
        )["Role"]
    return values["name"], {"arn": role["Arn"]}


def _put_policy(call: Call, values: Values) -> tuple[str, Values]:
    json.loads(values["policy"])
    with refusals(f"writing policy {values['name']}"):
        call.cloud.client("iam").put_role_policy(
            RoleName=values["role"], PolicyName=values["name"], PolicyDocument=values["policy"]
        )
    return f"{values['role']}:{values['name']}", {}


def _put_user_policy(call: Call, values: Values) -> tuple[str, Values]:
    json.loads(values["policy"])
    with refusals(f"writing policy {values['name']}"):
        call.cloud.client("iam").put_user_policy(
            UserName=values["user"], PolicyName=values["name"], PolicyDocument=values["policy"]
        )
    return f"{values['user']}:{values['name']}", {}


def _delete_user_policy(call: Call, id: str, state: Values) -> None:
    user, name = id.split(":")
    remove = call.cloud.client("iam").delete_user_policy
    ensure_gone(f"deleting policy {name}", remove, UserName=user, PolicyName=name)


def _user(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"creating user {values['name']}"):
        answer = call.cloud.client("iam").create_user(UserName=values["name"], Tags=tag_list(values.get("tags")))
    return values["name"], {"arn": answer["User"]["Arn"]}


def _access_key(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"creating an access key of {values['user']}"):
        key = call.cloud.client("iam").create_access_key(UserName=values["user"])["AccessKey"]
    return key["AccessKeyId"], {"secret": key["SecretAccessKey"]}


def _delete_access_key(call: Call, id: str, state: Values) -> None:
    remove = call.cloud.client("iam").delete_access_key
    ensure_gone("deleting an access key", remove, UserName=state["user"], AccessKeyId=id)


def _delete_policy(call: Call, id: str, state: Values) -> None:
    role, name = id.split(":")
    remove = call.cloud.client("iam").delete_role_policy
    ensure_gone(f"deleting policy {name}", remove, RoleName=role, PolicyName=name)


def _profile(call: Call, values: Values) -> tuple[str, Values]:
    iam = call.cloud.client("iam")
    with refusals(f"creating instance profile {values['name']}"):
        answer = iam.create_instance_profile(InstanceProfileName=values["name"], Tags=tag_list(values.get("tags")))
        iam.add_role_to_instance_profile(InstanceProfileName=values["name"], RoleName=values["role"])
    return values["name"], {"arn": answer["InstanceProfile"]["Arn"]}


def _change_profile(call: Call, id: str, old: Values, new: Values) -> Values:
    """Its role: of one whose creation was interrupted it is missing."""
    if old.get("role") != new.get("role"):
        iam = call.cloud.client("iam")
        with refusals(f"changing instance profile {id}"):
            if old.get("role"):
                iam.remove_role_from_instance_profile(InstanceProfileName=id, RoleName=old["role"])
            iam.add_role_to_instance_profile(InstanceProfileName=id, RoleName=new["role"])
    return {}


def _delete_profile(call: Call, id: str, state: Values) -> None:
    iam = call.cloud.client("iam")
    what = f"deleting instance profile {id}"
    if state.get("role"):
        ensure_gone(what, iam.remove_role_from_instance_profile, InstanceProfileName=id, RoleName=state["role"])
    ensure_gone(what, iam.delete_instance_profile, InstanceProfileName=id)


def _read_of_iam(
    ask: Callable[[Any, str], Values], outputs: Callable[[Values], Values]
) -> Callable[[Call, str, Values], Values | None]:
    """What a refresh reads of one of IAM's."""

    def read(call: Call, id: str, state: Values) -> Values | None:
        try:
            return outputs(ask(call.cloud.client("iam"), id))
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    return read


def _read_inline_policy(operation: str, owner: str) -> Callable[[Call, str, Values], Values | None]:
    """The policy of a role or a user (`owner`), as its JSON was written where it means the same."""

    def read(call: Call, id: str, state: Values) -> Values | None:
        holder, name = id.split(":")
        ask = getattr(call.cloud.client("iam"), operation)
        try:
            document = ask(**{f"{owner}Name": holder, "PolicyName": name})["PolicyDocument"]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        is_same = document == json.loads(state["policy"])
        return {"policy": state["policy"] if is_same else json.dumps(document)}

    return read


_read_role = _read_of_iam(lambda iam, id: iam.get_role(RoleName=id)["Role"], lambda details: {"arn": details["Arn"]})
_read_user = _read_of_iam(lambda iam, id: iam.get_user(UserName=id)["User"], lambda details: {"arn": details["Arn"]})
_read_profile = _read_of_iam(
    lambda iam, id: iam.get_instance_profile(InstanceProfileName=id)["InstanceProfile"],
    lambda details: {"arn": details["Arn"], "role": next((role["RoleName"] for role in details["Roles"]), "")},
)


KINDS = {
    "aws:iam/role:Role": Kind(
        {"name": "replace", "assumeRolePolicy": "refuse", "tags": "refuse"}, {"assumeRolePolicy"}, ["arn"], _role,
        delete=lambda call, id, _: ensure_gone("deleting role", call.cloud.client("iam").delete_role, RoleName=id),
        read=_read_role, autonamed=True,
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        {"name": "replace", "role": "replace", "policy": "update"}, {"role", "policy"}, [], _put_policy,
        update=lambda call, id, old, new: _put_policy(call, new)[1], delete=_delete_policy,
        read=_read_inline_policy("get_role_policy", "Role"), autonamed=True,
    ),
    "aws:iam/user:User": Kind(
        {"name": "replace", "tags": "refuse"}, set(), ["arn"], _user,
        delete=lambda call, id, _: ensure_gone("deleting user", call.cloud.client("iam").delete_user, UserName=id),
        read=_read_user, autonamed=True,
    ),
    "aws:iam/userPolicy:UserPolicy": Kind(
        {"name": "replace", "user": "replace", "policy": "update"}, {"user", "policy"}, [], _put_user_policy,
        update=lambda call, id, old, new: _put_user_policy(call, new)[1], delete=_delete_user_policy,
        read=_read_inline_policy("get_user_policy", "User"), autonamed=True,
    ),
    "aws:iam/accessKey:AccessKey": Kind(
        {"user": "replace"}, {"user"}, ["secret"], _access_key, delete=_delete_access_key,
    ),
    "aws:iam/instanceProfile:InstanceProfile": Kind(
        {"name": "replace", "role": "update", "tags": "refuse"}, set(), ["arn"], _profile, _change_profile,
        _delete_profile, _read_profile, autonamed=True,
    ),
}  # fmt: skip
