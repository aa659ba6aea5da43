"""The parts of IAM that moto lacks and the program depends on: resources and conditions of a policy.

moto calls every resource "*", denies any statement with a condition it does not know, trusts no account as a whole, and
takes what a request is signed for as the service that policies name. Here the resources of ECR and Route 53 requests,
Route 53's two condition keys, CloudWatch's namespace, S3's prefix and trust in an account are evaluated as AWS does;
nothing is allowed that AWS would deny.
Signatures are judged before (lab/cloud/signatures.py), since moto computes Route 53's wrongly.
"""

import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any
from xml.etree import ElementTree

from moto.core.responses import BaseResponse
from moto.iam.access_control import IAMPolicy, IAMPolicyStatement, IAMRequestBase, PermissionResult

from lab.settings import ACCOUNT

NAMES = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
TYPES = "route53:ChangeResourceRecordSetsRecordTypes"
NAMESPACE = "cloudwatch:namespace"
REGION = "aws:RequestedRegion"
# What requests are signed for, where policies call it something else
PREFIXES = {"monitoring": "cloudwatch", "service-quotas": "servicequotas"}
# Of S3: what a request is, where policies know it by another name
S3_ACTIONS = {"HeadBucket": "ListBucket", "HeadObject": "GetObject"}
_request: ContextVar[tuple[list[str], dict[str, list[str]]]] = ContextVar("request", default=([], {}))


def install() -> None:
    """Teaches moto's evaluator the resource and the condition values of the request at hand."""
    authorize: Callable[..., None] = BaseResponse._authenticate_and_authorize_normal_action
    authorize_s3: Callable[..., None] = BaseResponse._authenticate_and_authorize_s3_action
    matches = IAMPolicyStatement._check_element_matches
    permitted = IAMRequestBase.check_action_permitted

    def with_request(self: Any, resource: str = "*") -> None:
        token = _request.set((resources(self), conditions(self)))
        try:
            authorize(self, resource)
        finally:
            _request.reset(token)

    def s3_with_request(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        token = _request.set(([], _of_s3(self)))
        try:
            authorize_s3(self, bucket_name, key_name)
        finally:
            _request.reset(token)

    def element_matches(self: Any, element: Any, value: str) -> bool:
        resources, _ = _request.get()
        if element != "Resource" or not resources:
            return matches(self, element, value)
        return all(matches(self, element, resource) for resource in resources)

    def check_conditions(self: Any, incoming: dict[str, str] | None) -> bool:
        _, values = _request.get()
        return holds(self._statement.get("Condition") or {}, values)

    def check_principal(self: Any, principal: str) -> bool:
        return trusts(self._statement.get("Principal") or {}, principal)

    def check_action_permitted(self: Any, resource: str) -> None:
        service, _, action = str(self._action).partition(":")
        api_name = S3_ACTIONS.get(action, action) if service == "s3" else action
        self._action = f"{PREFIXES.get(service, service)}:{_budgets(api_name) if service == 'budgets' else api_name}"
        permitted(self, resource)

    IAMRequestBase.check_action_permitted = check_action_permitted  # type: ignore[method-assign]
    BaseResponse._authenticate_and_authorize_normal_action = with_request  # type: ignore[method-assign]
    BaseResponse._authenticate_and_authorize_s3_action = s3_with_request  # type: ignore[method-assign]
    IAMPolicyStatement._check_element_matches = element_matches  # type: ignore[method-assign]
    IAMRequestBase.check_signature = lambda self: None  # type: ignore[method-assign]
    IAMPolicyStatement._check_conditions = check_conditions  # type: ignore[method-assign]
    IAMPolicyStatement._check_principal = check_principal  # type: ignore[method-assign]


def decision(policies: list[Any], action: str, resource: str, values: dict[str, list[str]]) -> str:
    """As SimulatePrincipalPolicy says of an action by a principal's policies."""
    token = _request.set(([resource] if resource != "*" else [], values))
    try:
        results = [IAMPolicy(policy).is_action_permitted(action, resource) for policy in policies]
    finally:
        _request.reset(token)
    if PermissionResult.DENIED in results:
        return "explicitDeny"
    return "allowed" if PermissionResult.PERMITTED in results else "implicitDeny"


def _budgets(action: str) -> str:
    """Policies name two actions of it alone, and its tags'."""
    if "Tag" in action:
        return action
    return "ViewBudget" if action.startswith("Describe") else "ModifyBudget"


def trusts(expected: dict[str, Any], principal: str) -> bool:
    """Is a principal's ARN among those that a role trusts. An account's root is all of the account."""
    principals = expected.get("AWS", [])
    account = f"{':'.join(principal.split(':')[:5])}:root".replace(":sts:", ":iam:")
    return bool({"*", principal, account} & set([principals] if isinstance(principals, str) else principals))


def holds(condition: dict[str, dict[str, Any]], values: dict[str, list[str]]) -> bool:
    """A statement's condition. An operator or key that is not known here does not hold."""
    for operator, keys in condition.items():
        if operator not in ("StringEquals", "StringLike", "ArnEquals", "ForAllValues:StringEquals"):
            return False
        for key, expected in keys.items():
            allowed = {expected} if isinstance(expected, str) else set(expected)
            actual = values.get(key)
            if actual is None and operator != "ForAllValues:StringEquals":
                return False
            if operator == "StringLike":
                if not all(any(fnmatchcase(value, pattern) for pattern in allowed) for value in actual or []):
                    return False
            elif not set(actual or []) <= allowed:
                return False
    return True


def resources(response: Any) -> list[str]:
    """ARNs that a request of ECR, SSM, Route 53, IAM, STS or SNS is about; empty where it is about none."""
    if response.service_name == "ecr":
        body = json.loads(response.body or "{}")
        names = [body["repositoryName"]] if "repositoryName" in body else body.get("repositoryNames", [])
        return [f"arn:aws:ecr:{response.region}:{ACCOUNT}:repository/{name}" for name in names]
    if response.service_name == "ssm":
        name = json.loads(response.body or "{}").get("Name", "")
        # What AWS itself publishes is of no account
        owner = "" if name.startswith("/aws/") else ACCOUNT
        return [f"arn:aws:ssm:{response.region}:{owner}:parameter{name}"] if name else []
    if response.service_name == "route53" and (match := re.search(r"/hostedzone/([A-Z0-9]+)", response.uri)):
        return [f"arn:aws:route53:::hostedzone/{match[1]}"]
    if response.service_name in ("iam", "sts", "sns"):
        return _of_query(response.service_name, response.region, response.querystring)
    return []


def _of_query(service: str, region: str, query: dict[str, list[str]]) -> list[str]:
    """Of the first of these that a request names: to put a role into a profile is a right on the profile."""
    kinds = {"InstanceProfileName": "instance-profile", "RoleName": "role", "UserName": "user"}
    if service == "iam":
        return [f"arn:aws:iam::{ACCOUNT}:{kinds[key]}/{query[key][0]}" for key in kinds if key in query][:1]
    if service == "sts":
        return query.get("RoleArn", [])
    own = [f"arn:aws:sns:{region}:{ACCOUNT}:{name}" for name in query.get("Name", [])]
    return own or next((query[key] for key in ("TopicArn", "SubscriptionArn", "ResourceArn") if key in query), [])


def conditions(response: Any) -> dict[str, list[str]]:
    """The values of a request's condition keys."""
    where = {REGION: [response.region]}
    if response.service_name == "cloudwatch":
        return {**where, **_namespace(response)}
    if response.service_name != "route53" or response.method != "POST" or "/rrset" not in response.uri:
        return where
    root = ElementTree.fromstring(response.body)
    texts = {tag: [e.text or "" for e in root.iter() if e.tag.rsplit("}", 1)[-1] == tag] for tag in ("Name", "Type")}
    return {NAMES: [name.rstrip(".").lower() for name in texts["Name"]], TYPES: texts["Type"]}


def _of_s3(response: Any) -> dict[str, list[str]]:
    prefix = getattr(response, "querystring", None) or {}
    return {REGION: [response.region], **({"s3:prefix": prefix["prefix"]} if "prefix" in prefix else {})}


def _namespace(response: Any) -> dict[str, list[str]]:
    """Of metrics that are published, in JSON or as a form."""
    json_of = json.loads(response.body) if response.body.startswith("{") else {}
    namespaces = [json_of["Namespace"]] if "Namespace" in json_of else response.querystring.get("Namespace")
    return {NAMESPACE: namespaces} if namespaces else {}
