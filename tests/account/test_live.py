"""What an update would lack in AWS, said before anything is created."""

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend

from catalogue.problems import Problem
from infra import aws
from infra.account import command, limits, rights
from infra.account.region import Region
from infra.errors import InfraError
from tests.orphans.world import REGION, emulated_account
from tests.support import catalogue

PROVIDER = f"urn:pulumi:lab::infra::pulumi:providers:aws::aws-{REGION}::id"
EIP, INSTANCE = "aws:ec2/eip:Eip", "aws:ec2/instance:Instance"
REPOSITORY = "aws:ecr/repository:Repository"


@pytest.fixture
def account(monkeypatch):
    with emulated_account(monkeypatch) as made:
        yield made


def wanted(type: str, called: str, **inputs) -> dict:
    urn = f"urn:pulumi:lab::infra::infra:index:X${type}::{called}"
    return {"urn": urn, "type": type, "name": called, "custom": True, "inputs": inputs, "provider": PROVIDER}


def said(problems) -> list[str]:
    return [str(problem) for problem in problems]


class Quotas:
    """Service Quotas that allows so much; None says that it has no such quota."""

    def __init__(self, value: float | None) -> None:
        self.value = value

    def get_service_quota(self, **_: str) -> dict:
        if self.value is None:
            raise ClientError({"Error": {"Code": "NoSuchResourceException", "Message": ""}}, "GetServiceQuota")
        return {"Quota": {"Value": self.value}}


def region(value: float | None) -> Region:
    made = Region(REGION)
    made.quotas = Quotas(value)
    return made


@pytest.mark.parametrize(
    ("type", "inputs", "quota", "found"),
    [
        (EIP, {}, 5, []),
        (EIP, {}, 4, ["Elastic IP addresses: 3 in use, 2 more needed, the quota is 4"]),
        (EIP, {}, None, []),
        ("aws:ec2/vpc:Vpc", {}, 2, ["networks (VPCs): 1 in use, 2 more needed, the quota is 2"]),
        ("aws:ec2/internetGateway:InternetGateway", {}, 1, ["internet gateways: 0 in use, 2 more needed, the quota is 1"]),
        (INSTANCE, {"instanceType": "t4g.large"}, 3, ["running on-demand vCPUs: 0 in use, 4 more needed, the quota is 3"]),
        (INSTANCE, {"instanceType": "t4g.large"}, None, ["the quota of running on-demand vCPUs is unknown; 0 in use"]),
    ],
)  # fmt: skip
def test_insufficient_quota_is_reported_with_the_request_that_raises_it(account, type, inputs, quota, found):
    for _ in range(3):
        boto3.client("ec2", region_name=REGION).allocate_address(Domain="vpc")
    lines = said(limits.findings([wanted(type, "a", **inputs), wanted(type, "b", **inputs)], REGION, region(quota)))
    assert len(lines) == len(found) and all(text in line for text, line in zip(found, lines, strict=True))
    assert all("service-quotas request-service-quota-increase" in line or "is unknown" in line for line in lines)


def test_existing_resources_do_not_count_against_quotas(account):
    there = wanted(EIP, "a")
    created = limits.new([there, wanted(EIP, "b")], [there])
    assert [made["name"] for made in created] == ["b"]
    assert said(limits.findings(created, "us-east-1", region(0))) == [], "another region's"


RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ROOM = {
    "just enough": (0, 60, None, ""),
    "first ones": (0, 73, 60, "inbound IPv4 rules of a security group: 0 in use, 73 more needed, the quota is 60"),
    "more": (50, 11, 60, "inbound IPv4 rules of a security group: 50 in use, 11 more needed, the quota is 60"),
    "a larger quota": (50, 11, 100, ""),
    "as it is": (73, 0, 60, ""),
}


@pytest.mark.parametrize(("there", "more", "quota", "found"), ROOM.values(), ids=ROOM)
def test_rules_that_a_security_group_cannot_have_are_counted(account, there, more, quota, found):
    known = [wanted(RULE, f"old-{n}", cidrIpv4=f"192.0.2.{n}/32") for n in range(there)]
    created = [wanted(RULE, f"new-{n}", cidrIpv4=f"198.51.100.{n}/32") for n in range(more)]
    created += [wanted("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "out", cidrIpv4="0.0.0.0/0")]
    lines = said(limits.findings(created, REGION, region(quota), 0, known))
    assert len(lines) == bool(found) and all(found in line and "--quota-code L-0EA8095F" in line for line in lines)


def test_a_repository_of_that_name_is_named(account):
    boto3.client("ecr", region_name=REGION).create_repository(repositoryName="watchme-web")
    (line,) = said(limits.findings([wanted(REPOSITORY, "r", name="watchme-web")], REGION, region(5)))
    assert "1 already exist: watchme-web; infra adopt aws --region ap-northeast-1 adopts them" in line


class Iam:
    """Answers SimulatePrincipalPolicy by `decide(action)`: a decision, with details."""

    def __init__(self, decide) -> None:
        self.decide, self.asked = decide, []

    def get_role(self, RoleName: str) -> dict:
        return {"Role": {"Arn": f"arn:aws:iam::754724220380:role/path/{RoleName}"}}

    def get_paginator(self, name: str):
        assert name == "simulate_principal_policy"
        return self

    def paginate(self, **asked):
        self.asked.append(asked)
        results = [{"EvalActionName": action, **self.decide(action)} for action in asked["ActionNames"]]
        yield {"EvaluationResults": results}


@pytest.fixture
def caller(monkeypatch):
    """The one who asks, and an IAM that answers so."""

    def given(decide, arn: str = "arn:aws:iam::754724220380:user/ci", dry: str = "DryRunOperation") -> Iam:
        made = Iam(decide)

        class Sts:
            def get_caller_identity(self) -> dict:
                return {"Arn": arn, "Account": "754724220380"}

        class Ec2:
            def __getattr__(self, name: str):
                def ask(**asked):
                    assert asked["DryRun"] is True
                    raise ClientError({"Error": {"Code": dry, "Message": ""}}, name)

                return ask

        clients = {"iam": made, "sts": Sts(), "ec2": Ec2()}
        monkeypatch.setattr(aws, "client", lambda service, region, **_: clients[service])
        return made

    return given


def allowed(action: str) -> dict:
    return {"EvalDecision": "allowed"}


def test_no_right_is_reported_for_a_caller_with_all_of_them(caller):
    made = caller(allowed)
    assert said(rights.missing(catalogue(), "deploy")) == []
    assert {asked["PolicySourceArn"] for asked in made.asked} == {"arn:aws:iam::754724220380:user/ci"}
    assert all("*" not in arn or arn == "*" for asked in made.asked for arn in asked["ResourceArns"])


def test_the_session_of_a_role_is_asked_as_the_role(caller):
    made = caller(allowed, "arn:aws:sts::754724220380:assumed-role/deployer/session")
    assert said(rights.missing(catalogue(), "deploy")) == []
    assert {asked["PolicySourceArn"] for asked in made.asked} == {"arn:aws:iam::754724220380:role/path/deployer"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"EvalDecision": "implicitDeny"}, "not allowed: ec2:RunInstances"),
        ({"EvalDecision": "explicitDeny"}, "denied by a policy: ec2:RunInstances"),
        (
            {"EvalDecision": "implicitDeny", "OrganizationsDecisionDetail": {"AllowedByOrganizations": False}},
            "denied by a policy of the organisation (SCP): ec2:RunInstances",
        ),
        (
            {
                "EvalDecision": "implicitDeny",
                "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False},
            },
            "not allowed by its permissions boundary: ec2:RunInstances",
        ),
    ],
    ids=["no policy", "a denial", "an organisation", "a boundary"],
)
def test_a_right_that_is_missing_is_named_with_the_reason(caller, answer, reason):
    caller(lambda action: answer if action == "ec2:RunInstances" else allowed(action))
    (line,) = said(rights.missing(catalogue(), "deploy"))
    assert line.startswith(f"error: AWS: rights of arn:aws:iam::754724220380:user/ci: {reason}; infra rights deploy")


def denied(action: str) -> dict:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "SimulatePrincipalPolicy")


def test_denied_iam_simulation_is_a_warning_and_ec2_dry_runs_are_used(caller):
    caller(denied)
    (line,) = said(rights.missing(catalogue(), "deploy"))
    assert line.startswith("warning: AWS: rights of ") and "could not all be checked: AccessDenied" in line
    caller(denied, dry="UnauthorizedOperation")
    lines = said(rights.missing(catalogue(), "deploy"))
    assert [action for action in rights.DRY if any(f"not allowed: {action}; " in line for line in lines)] == list(
        rights.DRY
    )


def test_the_accounts_own_root_may_do_anything(caller):
    made = caller(denied, "arn:aws:iam::754724220380:root")
    assert said(rights.missing(catalogue(), "deploy")) == [] and made.asked == []


def test_credentials_of_another_account_are_the_only_finding(monkeypatch):
    class Sts:
        def get_caller_identity(self) -> dict:
            return {"Account": "123456789012"}

    monkeypatch.setattr(aws, "client", lambda *_, **__: Sts())
    (problem,) = command.problems(catalogue())
    assert isinstance(problem, Problem) and "these credentials are of account 123456789012" in str(problem)


def test_a_stack_that_pulumi_does_not_know_has_nothing_yet(monkeypatch):
    def unknown(stack: str):
        raise InfraError("pulumi stack export: error: no stack named 'new' found")

    monkeypatch.setattr(command, "export_state", unknown)
    assert command._state_resources("new") == []
    monkeypatch.setattr(command, "export_state", lambda stack: (_ for _ in ()).throw(InfraError("no passphrase")))
    with pytest.raises(InfraError, match="no passphrase"):
        command._state_resources("new")


def test_checks_that_are_denied_do_not_hide_the_findings_of_others(monkeypatch, caller):
    """Neither simulation nor a look at limits: the dry runs' denials stay, and the rest is not called fine."""
    caller(denied, dry="UnauthorizedOperation")
    monkeypatch.setattr(command, "_state_resources", lambda stack: [])
    monkeypatch.setattr(command, "_planned_resources", lambda stack: [])

    class Closed(Region):
        def __init__(self, name: str) -> None:
            pass

        def is_enabled(self, region: str):
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": ""}}, "DescribeRegions")

    monkeypatch.setattr(command, "Region", Closed)
    lines = said(command.problems(catalogue()))
    assert sum("not allowed: ec2:" in line for line in lines) == len(rights.DRY)
    assert any(line.startswith("warning: AWS: limits: AWS cannot be asked for limits") for line in lines)
    assert len(lines) == len(set(lines))


def test_unreadable_quota_is_not_reported_as_exhausted(account):
    class Closed(Quotas):
        def get_service_quota(self, **_: str) -> dict:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "GetServiceQuota")

    for _ in range(6):
        get_backend("ec2")["123456789012"][REGION].allocate_address(domain="vpc")
    made = region(None)
    made.quotas = Closed(None)
    (line,) = said(limits.findings([wanted(EIP, "a")], REGION, made))
    assert line.startswith("warning: ") and "is unknown; 6 in use, 1 more needed" in line


def test_unknown_policy_conditions_are_a_warning(caller):
    """A policy that wants MFA may allow it all the same."""
    answer = {"EvalDecision": "implicitDeny", "MissingContextValues": ["aws:MultiFactorAuthPresent"]}
    caller(lambda action: answer if action == "ec2:RunInstances" else allowed(action))
    (line,) = said(rights.missing(catalogue(), "deploy"))
    assert (
        line.startswith("warning: ")
        and "allowed only under conditions that infra cannot evaluate: ec2:RunInstances" in line
    )


def test_rights_are_simulated_with_the_resources_of_the_stack(caller):
    made = caller(allowed)
    assert said(rights.missing(catalogue(), "deploy")) == []
    stack = catalogue().stack
    for asked in made.asked:
        (place,) = [
            e["ContextKeyValues"] for e in asked["ContextEntries"] if e["ContextKeyName"] == "aws:RequestedRegion"
        ]
        everywhere = all(action.startswith(rights.GLOBAL) for action in asked["ActionNames"])
        assert place == ["us-east-1" if everywhere else stack.region]
        assert not any(":x:" in arn for arn in asked["ResourceArns"]), "a region or account that there is not"
        given = {entry["ContextKeyName"]: entry["ContextKeyValues"][0] for entry in asked["ContextEntries"]}
        attaches = "iam:AttachRolePolicy" in asked["ActionNames"]
        assert given.get("iam:PolicyARN", "").endswith("AWSDataLifecycleManagerServiceRole") is attaches


def test_a_data_disk_that_would_shrink_is_named():
    def disk(size, name="web-ap-northeast-1-data-disk"):
        urn = f"urn:pulumi:prod::infra::infra:index:Host$aws:ebs/volume:Volume::{name}"
        return {"urn": urn, "type": "aws:ebs/volume:Volume", "inputs": {"size": size}}

    (problem,) = command.shrinking_disks("Pulumi.prod.yaml", [disk(40)], [disk(50)])
    assert str(problem) == (
        "error: Pulumi.prod.yaml: infra:hosts.web.dataDisk.size: 40 GiB, and the data disk has 50: AWS cannot shrink a "
        "disk; 50 or more"
    )
    assert not [*command.shrinking_disks("f", [disk(80), disk(1, "x")], [disk(50), disk(9, "x")])]
    assert not [*command.shrinking_disks("f", [], [disk(50)])]
