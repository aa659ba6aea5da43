"""Snapshots of disks with data, under Pulumi's mocks: the emulator has no Data Lifecycle Manager."""

import copy
import json

import pytest

from components import snapshots
from infra.preview.graph import kinds
from policy.facts import Facts, Resource
from policy.rules import tags as untagged
from tests.components.program import Mocks, run_program
from tests.policy.limits import LIMITS
from tests.support import LAB, ROOT

POLICY = "aws:dlm/lifecyclePolicy:LifecyclePolicy"
HOSTS = {
    "watchme": {"kind": "ec2", "systems": ["watchme"]},
    "services": {"kind": "ec2", "systems": ["whisper", "recall"], "instanceType": "t4g.medium"},
}
KEYS = dict.fromkeys(HOSTS, "ssh-ed25519 AAAA host")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def made(**values) -> Mocks:
    config = {"hosts": HOSTS, "hostPublicKeys": KEYS, "hostPrivateKeys": KEYS, "variants": {"whisper": "cpu"}, **values}
    return run_program({f"infra:{key}": copy.deepcopy(value) for key, value in config.items()})


def disks(mocks: Mocks) -> dict[str, dict[str, str]]:
    return {m.name: m.inputs["rootBlockDevice"]["tags"] for m in mocks.of("aws:ec2/instance:Instance")}


def test_a_snapshot_a_day_of_the_disks_that_have_data_and_of_no_other():
    mocks = made(keepSnapshots=3)
    (policy,) = mocks.of(POLICY)
    details = policy.inputs["policyDetails"]
    assert policy.inputs["state"] == "ENABLED" and details["resourceTypes"] == ["VOLUME"]
    (schedule,) = details["schedules"]
    assert schedule["createRule"] == {"interval": 24, "intervalUnit": "HOURS", "times": "18:00"}
    assert schedule["retainRule"] == {"count": 3} and schedule["copyTags"] is True
    # Any of its tags is enough for the manager to take a disk
    assert len(details["targetTags"]) == 1
    taken = {name for name, tags in disks(mocks).items() if details["targetTags"].items() <= tags.items()}
    assert taken == {"services-ap-northeast-1-instance"}
    # What `infra restore` finds a snapshot by comes along with the disk's tags
    assert (
        disks(mocks)["services-ap-northeast-1-instance"] | {"Name": "prod-services", "stack": "prod"}
        == disks(mocks)["services-ap-northeast-1-instance"]
    )


def test_only_the_lifecycle_manager_may_assume_the_snapshot_role():
    mocks = made()
    (role,) = [m for m in mocks.of("aws:iam/role:Role") if "snapshots" in m.name]
    assert json.loads(role.inputs["assumeRolePolicy"])["Statement"][0]["Principal"] == {"Service": "dlm.amazonaws.com"}
    (rights,) = mocks.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert rights.inputs["policyArn"] == snapshots.MANAGED
    assert mocks.of(POLICY)[0].inputs["executionRoleArn"] == f"arn:{role.name}"


def test_every_region_has_its_own_snapshot_policy():
    mocks = made(standbyRegions=["ap-southeast-2"])
    assert {m.name for m in mocks.of(POLICY)} == {"snapshots-ap-northeast-1-policy", "snapshots-ap-southeast-2-policy"}


@pytest.mark.parametrize(
    "values", [{"keepSnapshots": 0}, {"hosts": {"watchme": HOSTS["watchme"]}}], ids=["none wanted", "no data"]
)
def test_without_any_there_is_nothing(values):
    mocks = made(**values)
    assert mocks.of(POLICY) == [] and not any(snapshots.TAG in tags for tags in disks(mocks).values())


def test_the_policy_and_the_preview_know_all_that_such_a_stack_has():
    mocks = made(alarmEmails=["ops@hey-watch.me"], creditsBudget=300)
    resources = [Resource(m.typ, m.name, m.inputs) for m in mocks.made if m.typ.startswith("aws:")]
    assert list(untagged(Facts("prod", resources, limits=LIMITS))) == []
    assert {resource.type for resource in resources} - kinds().keys() == set()


def test_the_lab_has_none():
    assert LAB["infra:keepSnapshots"] == 0
