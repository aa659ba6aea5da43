"""The availability zone of a region's hosts: one that offers all their types, and the same from then on."""

import pulumi
import pytest

from catalogue.problems import CatalogueError
from tests.components.program import Mocks, machine_state, run_program
from tests.support import ROOT

REGION, SUBNET = "ap-northeast-1", "aws:ec2/subnet:Subnet"
TWO_HOSTS = {
    "infra:hosts": {
        "watchme": {"instanceType": "t4g.large", "systems": ["watchme"]},
        "other": {"instanceType": "t4g.medium", "systems": []},
    },
    "infra:hostPublicKeys": {"watchme": "ssh-ed25519 BBBB host", "other": "ssh-ed25519 CCCC host"},
    "infra:hostPrivateKeys": {"watchme": "PRIVATE-HOST-KEY", "other": "PRIVATE-OTHER-KEY"},
}
GIVEN = {"infra:networks": {REGION: {"vpc": "vpc-0a1", "subnet": "subnet-0b2"}}}
ONE, BOTH = ["t4g.large"], ["t4g.large", "t4g.medium"]
# Zones, configuration → the subnet's zone
CHOSEN = {
    "the first that offers it": ({f"{REGION}c": ONE, f"{REGION}a": ONE}, {}, f"{REGION}a"),
    "not the first": ({f"{REGION}a": ["t4g.medium"], f"{REGION}c": ONE}, {}, f"{REGION}c"),
    "all types of its hosts": ({f"{REGION}a": ONE, f"{REGION}c": ["t4g.medium"], f"{REGION}d": BOTH}, TWO_HOSTS, f"{REGION}d"),
    "the one that the stack names": (
        {f"{REGION}a": ONE, f"{REGION}c": ONE}, {"infra:availabilityZones": {REGION: f"{REGION}c"}}, f"{REGION}c",
    ),
}  # fmt: skip
REFUSED = {
    "no zone offers it": ({f"{REGION}a": ["t3.large"]}, {}, f"{REGION} does not offer t4g.large: set another instanceType"),
    "no zone offers all": (
        {f"{REGION}a": ONE, f"{REGION}c": ["t4g.medium"]}, TWO_HOSTS,
        f"no availability zone of {REGION} offers all of t4g.large, t4g.medium ({REGION}a: t4g.large; {REGION}c: t4g.medium)",
    ),
    "the one that the stack names does not": (
        {f"{REGION}a": ["t4g.medium"], f"{REGION}c": ONE}, {"infra:availabilityZones": {REGION: f"{REGION}a"}},
        f"{REGION}a does not offer t4g.large; zones that offer all types: {REGION}c",
    ),
    "the existing network's does not": (
        {f"{REGION}c": ONE}, GIVEN, "(the zone of subnet-0b2) does not offer t4g.large; zones that offer all types:",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("zones", "values", "zone"), CHOSEN.values(), ids=CHOSEN)
def test_a_new_region_gets_a_zone_that_offers_all_types(monkeypatch, zones, values, zone):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "zones", zones)
    (subnet,) = run_program(values).of(SUBNET)
    assert subnet.inputs["availabilityZone"] == zone


@pytest.mark.parametrize(("zones", "values", "line"), REFUSED.values(), ids=REFUSED)
def test_zone_without_the_instance_type_is_refused(monkeypatch, zones, values, line):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "zones", zones)
    monkeypatch.setattr(Mocks, "subnet_zone", f"{REGION}a")
    with pytest.raises(pulumi.RunError) as error:
        run_program(values)
    assert str(error.value).startswith("nothing was touched: ") and line in str(error.value)


def test_zone_of_an_existing_subnet_is_used(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "zones", {f"{REGION}c": ONE})
    monkeypatch.setattr(Mocks, "subnet_zone", f"{REGION}c")
    made = run_program(GIVEN)
    assert made.of(SUBNET) == []
    assert [instance.inputs["subnetId"] for instance in made.of("aws:ec2/instance:Instance")] == ["subnet-0b2"]


@pytest.mark.parametrize(
    ("values", "kept"),
    [({}, True), ({"infra:availabilityZones": {REGION: f"{REGION}c"}}, False)],
    ids=["chosen", "named"],
)
def test_existing_subnet_keeps_its_zone_unless_the_stack_names_another(monkeypatch, values, kept):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Mocks, "zones", {f"{REGION}a": ["t4g.medium"], f"{REGION}c": ONE})
    options = []
    made = pulumi.CustomResource.__init__

    def init(self, kind, name, *args, **given):
        if kind == SUBNET:
            options.append(given.get("opts") or args[1])
        made(self, kind, name, *args, **given)

    monkeypatch.setattr(pulumi.CustomResource, "__init__", init)
    (subnet,) = run_program(values, machine_state("i-1")).of(SUBNET)
    assert subnet.inputs.get("availabilityZone") == (None if kept else f"{REGION}c")
    assert options[0].ignore_changes == (["availabilityZone"] if kept else [])
    # Two subnets cannot have the same addresses
    assert options[0].delete_before_replace


def test_invalid_zone_is_refused(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises((CatalogueError, pulumi.RunError), match="availabilityZones"):
        run_program({"infra:availabilityZones": {REGION: "tokyo"}})
