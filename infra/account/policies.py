"""The least rights of those who run the program, as policies of IAM. Pure."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TypedDict

import yaml

from catalogue.iam import Condition, PolicyDocument, allow
from catalogue.loading import Catalogue
from catalogue.sizes import INSTANCE_TYPES

# Who may do what. Each has its own policy beside those of the roles before it
ROLES = {
    "plan": "read-only: previews and drift; also sends findings to the stack's topic",
    "deploy": "updates, moves, and adopting what a killed update left",
    "operator": "for an operator: first pushes of images, restoring data, adopting hand-made resources",
}
READS = re.compile(r"^\w+:(Describe|Get|List|View|Simulate)")
# In no region, or asked in one that is not the stack's
EVERYWHERE = ("budgets:", "route53:", "iam:", "pricing:", "sts:")
# What reads names of repositories, roles and zones before they are known, or all of them
UNNAMED = re.compile(r"^(?!ecr:GetDownloadUrlForLayer|ssm:GetParameter|secretsmanager:|s3:)")
PASS = "iam:PassRole"
PASSED_TO = ["ec2.amazonaws.com", "dlm.amazonaws.com"]
# Characters of a managed policy that AWS takes, without white space
LIMIT = 6144


class TypeActions(TypedDict):
    """What a resource type's plugin asks to read it, and to write it."""

    read: list[str]
    write: list[str]


class _AnyLimit(TypedDict):
    actions: list[str]
    resources: list[str]


class Limit(_AnyLimit, total=False):
    """These actions (patterns) are for these resources alone, where the `condition` is so."""

    condition: Condition


class Table(TypedDict):
    """actions.yaml; `commands` are by command and role."""

    types: dict[str, TypeActions]
    commands: dict[str, dict[str, list[str]]]
    limits: list[Limit]


@cache
def table() -> Table:
    return yaml.safe_load((Path(__file__).parent / "actions.yaml").read_text(encoding="utf-8"))


def uses(role: str) -> dict[str, list[str]]:
    """Action → whose work asks for it, of what a role may do and none of those before it may."""
    roles = list(ROLES)
    first_uses: dict[str, tuple[str, list[str]]] = {}
    for one in roles[: roles.index(role) + 1]:
        for type, actions in table()["types"].items():
            for action in {"plan": actions["read"], "deploy": actions["write"]}.get(one, ()):
                first_uses.setdefault(action, (one, []))[1].append(type.rsplit(":", 1)[-1])
        for command, by_role in table()["commands"].items():
            for action in by_role.get(one, ()):
                first_uses.setdefault(action, (one, []))[1].append(command)
    return {action: list(dict.fromkeys(whose)) for action, (one, whose) in sorted(first_uses.items()) if one == role}


def policy(catalogue: Catalogue, role: str) -> PolicyDocument:
    """The policy document that a role has beside those before it, for a stack: its account, repositories, regions."""
    stack, actions = catalogue.stack, set(uses(role))
    # A login for a registry is for all of an account's repositories
    of_resources = {action for action in actions if any(_is_limited(action, limit) for limit in table()["limits"])}
    anything = {
        action for action in actions if READS.match(action) and (UNNAMED.match(action) or action not in of_resources)
    }
    writes = actions - anything
    statements = [allow(sorted(anything), ["*"])] if anything else []
    if PASS in writes:
        writes.discard(PASS)
        roles = _resources(catalogue, _limit_of("iam:CreateRole"))
        statements.append(allow([PASS], roles, {"StringEquals": {"iam:PassedToService": [*PASSED_TO]}}))
    for limit in table()["limits"]:
        limited = {action for action in writes if _is_limited(action, limit)}
        writes -= limited
        # Without a repository in the catalogue there is nothing to allow
        if limited and (resources := _resources(catalogue, limit["resources"])):
            statements.append(allow(sorted(limited), resources, limit.get("condition")))
    here = {action for action in writes if not action.startswith(EVERYWHERE)}
    if writes - here:
        statements.append(allow(sorted(writes - here), ["*"]))
    if here:
        regions = sorted({stack.region, *stack.standbyRegions})
        statements.append(allow(sorted(here), ["*"], {"StringEquals": {"aws:RequestedRegion": [*regions]}}))
    return {"Version": "2012-10-17", "Statement": statements}


def size(document: PolicyDocument) -> int:
    """As AWS counts a policy: without white space."""
    return len(json.dumps(document, separators=(",", ":")))


def _is_limited(action: str, limit: Limit) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in limit["actions"])


def _limit_of(action: str) -> list[str]:
    return next(limit["resources"] for limit in table()["limits"] if _is_limited(action, limit))


def _below_root(parameter: str) -> str:
    return parameter if parameter.startswith("/") else f"/{parameter}"


def _resources(catalogue: Catalogue, patterns: list[str]) -> list[str]:
    return [arn for pattern in patterns for arn in _expand_pattern(catalogue, pattern)]


def _expand_pattern(catalogue: Catalogue, pattern: str) -> Iterator[str]:
    stack = catalogue.stack
    sources = [source for names in stack.secretsFrom.values() for source in names.values()]
    if pattern == "{secret}":
        for name in sorted({source.secretsmanager for source in sources if source.secretsmanager}):
            # AWS adds six characters of its own to a name
            yield (
                name if name.startswith("arn:") else f"arn:aws:secretsmanager:*:{stack.accountId}:secret:{name}-??????"
            )
        return
    if "{parameter}" in pattern:
        used = {INSTANCE_TYPES[host.instanceType] for host in stack.ec2_hosts.values()}
        for parameter in sorted({stack.ami_parameter(kind.architecture) for kind in used}):
            yield pattern.format(parameter=_below_root(parameter))
        for name in sorted({source.ssm for source in sources if source.ssm}):
            yield f"arn:aws:ssm:*:{stack.accountId}:parameter{_below_root(name)}"
        return
    if "{bucket}" in pattern:
        yield from [pattern.format(bucket=stack.backup_bucket)] if stack.backupRegion else []
        return
    if "{repository}" not in pattern:
        yield pattern.format(account=stack.accountId)
        return
    for name in sorted({name for system in catalogue.running.values() for name in system.repositories}):
        yield pattern.format(account=catalogue.stack.accountId, repository=name)
