"""The least rights that `infra rights` prints, tried in an account that enforces them: each role does its work with its
own credentials, and who only reads changes nothing."""

import json
from dataclasses import dataclass

import pytest

from tests.moves.on import client, other_region, stays_in
from tests.system.conftest import System

pytestmark = [pytest.mark.lab, pytest.mark.nightly]


@dataclass
class Person:
    """Someone with the policies of some roles."""

    system: System
    key: str
    secret: str

    def runs(self, *argv: str):
        credentials = [f"AWS_ACCESS_KEY_ID={self.key}", f"AWS_SECRET_ACCESS_KEY={self.secret}"]
        return self.system.command("env", *credentials, *argv)

    def pulumi(self, *argv: str):
        return self.runs("pulumi", *argv, "--stack", "lab", "--non-interactive")


def person(system: System, name: str, *roles: str) -> Person:
    iam = client(system, "iam", "us-east-1")
    iam.create_user(UserName=name)
    for role in roles:
        ran = system.command("infra", "rights", role, "--stack", "lab")
        assert ran.code == 0, ran.output
        iam.put_user_policy(UserName=name, PolicyName=role, PolicyDocument=json.dumps(json.loads(ran.output)))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Person(system, key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture(scope="module")
def standing_by(sydney: System) -> System:
    """The stack is to stand by in the other region, whose network is made."""
    stays_in(sydney, other_region(sydney))
    yield sydney
    stays_in(sydney)
    sydney.must_up()


def test_least_rights_suffice_for_each_role(standing_by):
    planner = person(standing_by, "planner", "plan")
    deployer = person(standing_by, "deployer", "plan", "deploy")

    preview = planner.pulumi("preview")
    assert preview.code == 0 and "create" in preview.output, preview.output
    refused = planner.pulumi("up", "--yes", "--skip-preview")
    assert refused.code != 0 and ("AccessDenied" in refused.output or "UnauthorizedOperation" in refused.output), (
        refused.output
    )
    live = planner.runs("infra", "check", "--live", "--stack", "lab")
    assert live.code == 1 and "not allowed: " in live.output and "ec2:RunInstances" in live.output, live.output

    live = deployer.runs("infra", "check", "--live", "--stack", "lab")
    assert live.code == 0, live.output
    made = deployer.pulumi("up", "--yes", "--skip-preview")
    assert made.code == 0, made.output
    drift = planner.runs("infra", "drift", "--cloud", "--stack", "lab")
    assert drift.code == 0, drift.output
    orphans = deployer.runs("infra", "orphans", "--stack", "lab")
    assert orphans.code == 0, orphans.output
    stays_in(standing_by)
    gone = deployer.pulumi("up", "--yes", "--skip-preview")
    assert gone.code == 0, gone.output
