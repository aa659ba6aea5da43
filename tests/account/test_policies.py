"""The least rights: complete by what the sources call, no wider than what they need, and small enough for IAM."""

import ast
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml
from botocore import xform_name
from botocore.session import get_session
from typer.testing import CliRunner

from infra.account import policies
from infra.main import app
from tests.support import ROOT, whole

# As IAM calls the services that we ask
SERVICES = {
    "ec2": "ec2", "ecr": "ecr", "iam": "iam", "route53": "route53", "sns": "sns", "cloudwatch": "cloudwatch",
    "budgets": "budgets", "dlm": "dlm", "s3": "s3", "ssm": "ssm", "sts": "sts", "pricing": "pricing",
    "service-quotas": "servicequotas", "secretsmanager": "secretsmanager",
}  # fmt: skip
# No right is needed for it
FREE = {"sts:GetCallerIdentity"}
# Of the bucket that Pulumi keeps its state in, which every operator reads and writes
OF_STATE = {"s3:ListObjectsV2", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
# Of these the policies speak in other words
NAMES = {
    "budgets:DescribeBudget": "budgets:ViewBudget", "s3:HeadBucket": "s3:ListBucket",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration", "s3:GetBucketCors": "s3:GetBucketCORS",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration", "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock", "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}  # fmt: skip


@cache
def operations() -> dict[str, set[str]]:
    """A client's method → the actions that it can be."""
    found: dict[str, set[str]] = {}
    session = get_session()
    for service, prefix in SERVICES.items():
        for operation in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(operation), set()).add(f"{prefix}:{operation}")
    return found


def called(path: Path) -> set[str]:
    """The methods of AWS's clients that a file names, as an attribute or in a string (of a paginator)."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names & operations().keys()


def everything() -> set[str]:
    return {action for role in policies.ROLES for action in policies.uses(role)}


@pytest.mark.parametrize("folder", ["infra", "lab/fakes/aws"])
def test_every_request_of_the_sources_is_in_the_table(folder):
    known, seen = everything(), set()
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name in called(path):
            actions = {NAMES.get(action, action) for action in operations()[name]}
            if not actions & (FREE | OF_STATE):
                seen.add(name)
                assert actions & known or _of_budgets(actions), f"{path.name}: {name}"
    assert len(seen) > 25


def _of_budgets(actions: set[str]) -> bool:
    return all(action.startswith("budgets:") for action in actions)


def test_every_kind_that_the_program_makes_is_in_the_table():
    kinds = yaml.safe_load((ROOT / "infra/preview/kinds.yaml").read_text())
    assert set(policies.table()["types"]) == {type for type in kinds if type.startswith("aws:")}


def test_every_action_exists_in_aws():
    known = {action for actions in operations().values() for action in actions}
    known |= {*NAMES.values(), "iam:PassRole", "budgets:ViewBudget", "budgets:ModifyBudget"}
    assert everything() - known == set()


@pytest.mark.parametrize("role", policies.ROLES)
def test_policy_fits_the_size_limit_and_is_not_wider_than_needed(role):
    made = policies.policy(whole(), role)
    assert policies.size(made) <= policies.LIMIT
    for statement in made["Statement"]:
        assert statement["Effect"] == "Allow" and not any("*" in action for action in statement["Action"])
        wide = statement["Resource"] == ["*"] and "Condition" not in statement
        written = [action for action in statement["Action"] if not policies.READS.match(action)]
        assert not wide or all(action.startswith("budgets:") for action in written), written


def test_policy_does_not_allow_reading_other_secrets():
    """A parameter may be a secret, and a layer another product's program."""
    for role, action, resource in (
        ("plan", "ssm:GetParameter", "arn:aws:ssm:*:*:parameter/"),
        ("deploy", "ecr:GetDownloadUrlForLayer", "arn:aws:ecr:*:754724220380:repository/"),
        ("deploy", "iam:AttachRolePolicy", "arn:aws:iam::754724220380:role/snapshots-"),
    ):
        found = [s for s in policies.policy(whole(), role)["Statement"] if action in s["Action"]]
        assert found and all(arn.startswith(resource) for s in found for arn in s["Resource"]), role
    (attach,) = [s for s in policies.policy(whole(), "deploy")["Statement"] if "iam:AttachRolePolicy" in s["Action"]]
    assert "AWSDataLifecycleManagerServiceRole" in attach["Condition"]["ArnEquals"]["iam:PolicyARN"]


def test_policy_allows_reading_only_the_secrets_of_the_stack():
    def of(action, made):
        return [
            arn for s in policies.policy(made, "plan")["Statement"] if action in s["Action"] for arn in s["Resource"]
        ]

    before = whole()
    assert of("secretsmanager:GetSecretValue", before) == []
    sources = {"A": "ssm:/prod/a", "B": "ssm:b", "C": "secretsmanager:prod/c#key", "D": {"command": ["op"]}}
    made = whole(lambda config: config.update({"infra:secretsFrom": {"recall-api": sources}}))
    added = {*of("ssm:GetParameter", made)} - {*of("ssm:GetParameter", before)}
    assert added == {f"arn:aws:ssm:*:754724220380:parameter/{name}" for name in ("prod/a", "b")}
    assert of("secretsmanager:GetSecretValue", made) == ["arn:aws:secretsmanager:*:754724220380:secret:prod/c-??????"]


@pytest.mark.parametrize("role", policies.ROLES)
def test_a_stack_without_containers_has_a_valid_policy_too(role):
    """IAM refuses a statement without a resource."""
    stack = whole().stack
    without = replace(whole(), systems={n: s for n, s in whole().systems.items() if not s.repositories})
    assert stack and all(s["Resource"] for s in policies.policy(without, role)["Statement"])


def test_plan_role_has_no_writing_action_but_sns_publish():
    writes = [action for action in policies.uses("plan") if not policies.READS.match(action)]
    assert writes == ["sns:Publish"]


def test_each_action_is_in_only_one_role():
    roles = [set(policies.uses(role)) for role in policies.ROLES]
    assert not roles[0] & roles[1] and not (roles[0] | roles[1]) & roles[2]


def test_regions_and_repositories_are_the_stacks_own():
    text = str(policies.policy(whole(), "deploy"))
    stack = whole().stack
    assert f"'aws:RequestedRegion': ['{stack.region}']" in text and stack.accountId in text
    assert set(re.findall(r"repository/([\w-]+)", text)) == {
        name for system in whole().running.values() for name in system.repositories
    }


def test_unknown_role_is_refused_with_the_known_ones():
    ran = CliRunner().invoke(app, ["rights", "admin", "--stack", "lab"])
    assert ran.exit_code == 1 and "no role 'admin'; roles: plan, deploy, operator" in str(ran.exception)
