"""A host with a group: the program under mocks."""

import json
from contextlib import nullcontext

import pulumi
import pytest

from catalogue.machines import place_of
from catalogue.stack import stack_from
from components.before import Before
from components.group import refuse_move
from infra.group import Group
from tests.components.program import opened, run_program
from tests.groups.shop import HOST, MEMBERS, OF_ALL
from tests.support import PROD, ROOT

TOKYO, URN = "ap-northeast-1", "urn:pulumi:prod::infra::"


@pytest.fixture
def made(monkeypatch):
    monkeypatch.chdir(ROOT)
    return run_program({**OF_ALL, "infra:hosts": {"watchme": {**HOST, "count": 3}}})


def test_hosts_of_a_group_reach_each_other_and_no_one_else_does(made):
    rules = [r for r in made.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") if "-swarm-" in r.name]
    ports = {(r.inputs["fromPort"], r.inputs["toPort"], r.inputs["ipProtocol"]) for r in rules}
    assert ports == {(2377, 2377, "tcp"), (7946, 7946, "tcp"), (7946, 7946, "udp"), (4789, 4789, "udp")}
    group = f"network-{TOKYO}-swarm-watchme-id"
    assert {(r.inputs["securityGroupId"], r.inputs["referencedSecurityGroupId"]) for r in rules} == {(group, group)}
    assert not any("cidrIpv4" in r.inputs for r in rules)
    machines = {r.name: r.inputs["vpcSecurityGroupIds"] for r in made.of("aws:ec2/instance:Instance")}
    assert {name: group in groups for name, groups in machines.items()} == {
        f"{host}-{TOKYO}-instance": True for host in MEMBERS
    }


@pytest.mark.parametrize(
    ("hosts", "earlier", "members_of_group"),
    [
        # Back to one host: its own containers serve once its release is there
        ({"watchme": HOST}, ["watchme", "watchme-2", "watchme-3"], ["watchme"]),
        ({"watchme": {**HOST, "count": 2}}, ["watchme", "watchme-2", "watchme-3"], ["watchme", "watchme-2"]),
        ({"watchme": HOST, "watchme-2": {**HOST, "systems": []}}, ["watchme", "watchme-2"], ["watchme", "watchme-2"]),
        ({"watchme": HOST}, [], []),
    ],
)
def test_hosts_that_leave_a_group_reach_it_until_the_update_after(monkeypatch, hosts, earlier, members_of_group):
    monkeypatch.chdir(ROOT)
    groups = {"watchme": dict.fromkeys(earlier, 1.0)} if earlier else {}
    host = {"host": "watchme", "region": TOKYO, "address": "127.71.0.9"}
    outputs = {"region": TOKYO, "groups": groups}
    state = {
        f"{URN}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": outputs},
        f"{URN}infra:index:Host::watchme-{TOKYO}": {"type": "infra:index:Host", "outputs": host},
    }
    made = run_program({**OF_ALL, "infra:hosts": hosts}, state)
    machines = {r.inputs["tags"]["Name"]: r.inputs["vpcSecurityGroupIds"] for r in made.of("aws:ec2/instance:Instance")}
    group = f"network-{TOKYO}-swarm-watchme-id"
    assert sorted(name.removeprefix("prod-") for name, ids in machines.items() if group in ids) == members_of_group


def test_swarm_is_formed_of_all_hosts_and_its_request_is_a_secret(made):
    (form,) = [r for r in made.of("command:local:Command") if r.name == f"watchme-{TOKYO}-group"]
    request = json.loads(opened(form.inputs["stdin"]))
    # Another trigger would replace it: its deletion takes the group apart
    assert not form.inputs.get("triggers") and form.inputs["delete"].endswith("infra.group dissolve")
    assert request["order"] == [*MEMBERS] and all(one["manages"] for one in request["hosts"].values())
    assert "def main(payload" in request["program"] and form.inputs["stdin"] != request
    assert Group().interruption_line().endswith("Run again")


def test_each_host_of_a_group_may_pull_its_spread_images(made):
    releases = [r.name for r in made.of("command:local:Command") if r.name.endswith("-release-apply")]
    # The first host brings a service up to date once the others have its image
    assert releases[-1] == f"watchme-{TOKYO}-release-apply" and len(releases) == 3


def test_memory_of_a_group_is_put_out_for_the_next_preview(monkeypatch):
    monkeypatch.chdir(ROOT)
    values: dict[str, object] = {}

    def export(name, value):
        pulumi.Output.from_input(value).apply(lambda resolved: values.update({name: resolved}))

    monkeypatch.setattr(pulumi, "export", export)
    run_program({**OF_ALL, "infra:hosts": {"watchme": {**HOST, "count": 3}}})
    of_a_member = 7 * 2**30
    assert values["groups"] == {
        "watchme": {"watchme": of_a_member - 7032 * 2**20, **dict.fromkeys(MEMBERS[1:], of_a_member)}
    }


BEFORE = {
    "as it was": ({("ap-northeast-1", "watchme")}, False),
    "another region": ({("ap-southeast-2", "watchme")}, True),
    "another machine": ({(place_of(TOKYO, 2), "watchme-2")}, True),
    "another host": ({(place_of(TOKYO, 2), "other")}, False),
}


@pytest.mark.parametrize(("serving", "is_refused"), BEFORE.values(), ids=BEFORE)
def test_other_machines_of_a_group_are_refused(serving, is_refused):
    stack = stack_from("prod", {**PROD, "infra:hosts": {"watchme": {**HOST, "count": 3}}}, "Pulumi.prod.yaml")
    before = Before(region=TOKYO, pointed=frozenset(serving))
    with pytest.raises(pulumi.RunError, match="watchme has a group of hosts") if is_refused else nullcontext():
        refuse_move(stack, before)
    alone = stack_from("prod", {**PROD, "infra:hosts": {"watchme": HOST}}, "Pulumi.prod.yaml")
    refuse_move(alone, before)
