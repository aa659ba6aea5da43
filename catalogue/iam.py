"""Policies of IAM as types, as far as this project writes them (IAM User Guide, "IAM JSON policy elements")."""

from typing import Literal, TypedDict

# Operator → key → what it is compared with
Condition = dict[str, dict[str, str | list[str]]]


class _AnyStatement(TypedDict):
    Effect: Literal["Allow", "Deny"]
    Action: str | list[str]


class Statement(_AnyStatement, total=False):
    """What is allowed or denied: in a policy of a role or user the resources, in a role's trust policy who may assume
    it."""

    Resource: str | list[str]
    Principal: dict[str, str]
    Condition: Condition


class PolicyDocument(TypedDict):
    Version: Literal["2012-10-17"]
    Statement: list[Statement]


def allow(action: str | list[str], resource: str | list[str], condition: Condition | None = None) -> Statement:
    statement: Statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return statement


def as_list(value: str | list[str]) -> list[str]:
    """Several, where IAM takes one without a list too."""
    return [value] if isinstance(value, str) else value
