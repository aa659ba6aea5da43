"""What becomes of resources: two graphs in, steps out."""

import pytest

from infra.preview.graph import differences, kinds, steps

MACHINE, ADDRESS, USE = "aws:ec2/instance:Instance", "aws:ec2/eip:Eip", "aws:ec2/eipAssociation:EipAssociation"


def made(type: str, called: str, provider: str = "p", ignores=(), holds=None, **inputs):
    return {
        "urn": f"urn:pulumi:prod::infra::{type}::{called}", "type": type, "name": called, "custom": True, "inputs": inputs,
        "ignores": list(ignores), "provider": provider, "propertyDependencies": holds or {},
    }  # fmt: skip


def changes_of(before, after):
    return [(step.op, step.name, step.changed, step.because) for step in steps(before, after)]


CASES = {
    "nothing": ([made(MACHINE, "m")], [made(MACHINE, "m")], []),
    "new": ([], [made(MACHINE, "m")], [("create", "m", (), ())]),
    "gone": ([made(MACHINE, "m")], [], [("delete", "m", (), ())]),
    "in place": (
        [made(MACHINE, "m", instanceType="t4g.large")],
        [made(MACHINE, "m", instanceType="t4g.medium")],
        [("update", "m", ("instanceType",), ())],
    ),
    "a new one": (
        [made(MACHINE, "m", subnetId="a")],
        [made(MACHINE, "m", subnetId="b")],
        [("replace", "m", ("subnetId",), ("subnetId",))],
    ),
    "within a block": (
        [made(MACHINE, "m", rootBlockDevice={"encrypted": False, "volumeSize": 8})],
        [made(MACHINE, "m", rootBlockDevice={"encrypted": True, "volumeSize": 8})],
        [("replace", "m", ("rootBlockDevice.encrypted",), ("rootBlockDevice.encrypted",))],
    ),
    "ignored": ([made(MACHINE, "m", ami="a")], [made(MACHINE, "m", ignores=["ami"], ami="b")], []),
    "another provider": (
        [made(ADDRESS, "a")],
        [made(ADDRESS, "a", "urn::aws-tokyo")],
        [("replace", "a", (), ("provider aws-tokyo",))],
    ),
    "what holds it follows": (
        [made(MACHINE, "m", subnetId="a"), made(USE, "u", instanceId="i")],
        [
            made(MACHINE, "m", subnetId="b"),
            made(USE, "u", holds={"instanceId": [f"urn:pulumi:prod::infra::{MACHINE}::m"]}, instanceId="i"),
        ],
        [
            ("replace", "u", ("instanceId",), ("instanceId of the new machine",)),
            ("replace", "m", ("subnetId",), ("subnetId",)),
        ],
    ),
    "unknown to the table": (
        [made("aws:sqs/queue:Queue", "q", name="a")],
        [made("aws:sqs/queue:Queue", "q", name="b")],
        [("update", "q", ("name",), ())],
    ),
}


@pytest.mark.parametrize(("before", "after", "found"), CASES.values(), ids=CASES)
def test_steps(before, after, found):
    assert sorted(changes_of(before, after)) == sorted(found)


def test_most_destructive_steps_come_first():
    before = [made(ADDRESS, "z", tags={"a": "1"}), made(MACHINE, "m", subnetId="a")]
    after = [made(ADDRESS, "z", tags={"a": "2"}), made(MACHINE, "m", subnetId="b"), made(MACHINE, "new")]
    assert [step.name for step in steps(before, after)] == ["m", "z", "new"]


def test_differences_name_their_place():
    assert differences({"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": [2]}, "d": 1}) == ["a.b", "a.c", "d"]


def test_every_kind_has_a_name_and_valid_fields():
    for type, kind in kinds().items():
        assert (
            all(part.count(":") == 2 for part in type.split("$")) and kind.name and not set(kind.new) & set(kind.update)
        ), type
