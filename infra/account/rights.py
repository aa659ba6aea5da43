"""May the one who runs this do what an update of a stack does: asked of IAM itself, policies, boundaries and the
organisation's included."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from catalogue.iam import Statement, as_list
from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.shapes import AwsEntry
from infra import aws
from infra.account.policies import policy

# Actions in a request of SimulatePrincipalPolicy, which answers for each with each resource
AT_ONCE = 100
GLOBAL = ("iam:", "route53:", "budgets:", "sts:")
CONDITIONAL = "allowed only under conditions that infra cannot evaluate"
SIMULATED = "iam:SimulatePrincipalPolicy"
# What AWS judges without doing it, where IAM may not be asked
DRY = {
    "ec2:CreateVpc": {"CidrBlock": "10.0.0.0/16"},
    "ec2:AllocateAddress": {"Domain": "vpc"},
    "ec2:CreateSecurityGroup": {"GroupName": "infra-check", "Description": "infra check"},
}  # fmt: skip


def missing(catalogue: Catalogue, role: str) -> Iterator[Problem]:
    """What the caller lacks of a role's policy; a warning where AWS does not let it be asked."""
    caller = aws.client("sts", catalogue.stack.region).get_caller_identity()
    where, arn = f"rights of {caller['Arn']}", caller["Arn"]
    if arn.endswith(":root"):
        return
    try:
        denied = _denied_actions(policy(catalogue, role)["Statement"], _principal(arn), catalogue.stack.region)
    except ClientError as error:
        yield from _dry(catalogue.stack.region, where)
        fault = f"could not all be checked: {aws.error_code(error)}"
        yield Problem("AWS", where, fault, f"allow {SIMULATED} for a full check", "warning")
        return
    for reason, actions in denied.items():
        action_names = ", ".join(sorted(actions))
        remedy = f"infra rights {role} --stack {catalogue.stack.name} prints the required policy"
        yield Problem(
            "AWS", where, f"{reason}: {action_names}", remedy, "warning" if reason == CONDITIONAL else "error"
        )


def _principal(arn: str) -> str:
    """The user or role of a caller: of a role's session the role, with its path."""
    if ":assumed-role/" not in arn:
        return arn
    name = arn.split("/")[1]
    return aws.client("iam", "").get_role(RoleName=name)["Role"]["Arn"]


def _denied_actions(statements: list[Statement], principal: str, region: str) -> dict[str, set[str]]:
    """Why → actions."""
    iam = aws.client("iam", "")
    actions_by_reason: dict[str, set[str]] = {}
    for statement in statements:
        actions = as_list(statement["Action"])
        # What belongs to no region is asked in this one
        place = aws.EVERYWHERE if all(action.startswith(GLOBAL) for action in actions) else region
        context: Any = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in {**_conditions(statement), "aws:RequestedRegion": place}.items()
        ]
        for begin in range(0, len(actions), AT_ONCE):
            simulation = iam.get_paginator("simulate_principal_policy").paginate(
                PolicySourceArn=principal,
                ActionNames=actions[begin : begin + AT_ONCE],
                ResourceArns=[_example(arn, region) for arn in as_list(statement.get("Resource", "*"))],
                ContextEntries=context,
            )
            for entry in (entry for page in simulation for entry in page["EvaluationResults"]):
                # A policy that asks for more than is known here (MFA, an address) may allow it all the same
                if entry["EvalDecision"] == "implicitDeny" and entry.get("MissingContextValues"):
                    actions_by_reason.setdefault(CONDITIONAL, set()).add(entry["EvalActionName"])
                elif entry["EvalDecision"] != "allowed":
                    actions_by_reason.setdefault(_reason(entry), set()).add(entry["EvalActionName"])
    return actions_by_reason


def _conditions(statement: Statement) -> dict[str, str]:
    """A value for each key that the statement asks for: that with which an update does it."""
    pairs = [pair for keys in statement.get("Condition", {}).values() for pair in keys.items()]
    return {key: value if isinstance(value, str) else value[0] for key, value in pairs}


def _example(arn: str, region: str) -> str:
    """One of what a pattern means: `arn:aws:ecr:*:1:repository/a` in the stack's region."""
    parts = arn.split(":", 5)
    if len(parts) == 6:
        # What AWS itself publishes is of no account
        parts[3:5] = [region if parts[3] == "*" else parts[3], "" if parts[4] == "*" else parts[4]]
    return ":".join(parts).replace("*", "x") if arn != "*" else arn


def _reason(entry: AwsEntry) -> str:
    if entry.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        return "denied by a policy of the organisation (SCP)"
    if entry.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        return "not allowed by its permissions boundary"
    return "denied by a policy" if entry["EvalDecision"] == "explicitDeny" else "not allowed"


def _dry(region: str, where: str) -> Iterator[Problem]:
    ec2 = aws.client("ec2", region)
    for action, arguments in DRY.items():
        operation = "".join(f"_{c.lower()}" if c.isupper() else c for c in action.split(":")[1]).lstrip("_")
        try:
            getattr(ec2, operation)(**arguments, DryRun=True)
        except ClientError as error:
            if aws.is_denial(error):
                yield Problem("AWS", where, f"not allowed: {action}", "infra rights deploy prints the required policy")
            # Anything else is about the request, and not about who asks
