"""IAM's SimulatePrincipalPolicy, which moto does not have: by the policies that the emulator judges requests with.
There are no organisations and no permissions boundaries."""

from typing import Any

from moto.backends import get_backend
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from lab.cloud import permissions
from lab.settings import ACCOUNT


def install() -> None:
    """Teaches moto's IAM the request."""
    IamResponse.simulate_principal_policy = simulate  # type: ignore[attr-defined]


def simulate(response: Any) -> ActionResult:
    policies = _policies(response._get_param("PolicySourceArn"))
    resources = response._get_param("ResourceArns", []) or ["*"]
    entries = response._get_param("ContextEntries", [])
    values = {entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in entries}
    results = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": permissions.decision(policies, action, resource, values),
        }
        for action in response._get_param("ActionNames", [])
        for resource in resources
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _policies(arn: str) -> list[Any]:
    """The inline and attached policies of a user or a role."""
    iam: Any = get_backend("iam")[ACCOUNT]["aws"]
    kind, name = arn.split(":")[-1].split("/")[0], arn.rsplit("/", 1)[-1]
    names = getattr(iam, f"list_{kind}_policies")(name)
    inline = [getattr(iam, f"get_{kind}_policy")(name, one) for one in names]
    attached, _ = getattr(iam, f"list_attached_{kind}_policies")(name)
    return [*inline, *attached]
