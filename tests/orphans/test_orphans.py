"""What killed updates left: found in the account, adopted into the state, and nothing forgotten before it is read."""

import json
from dataclasses import replace

import boto3
import pytest
import yaml
from typer.testing import CliRunner

from catalogue.stack import Stack
from infra.cli import orphans as cli
from infra.errors import InfraError
from infra.main import app
from infra.orphans import command, kinds, listing
from tests.orphans.world import (
    INPUTS,
    PREFIX,
    REGION,
    STACK,
    TAGS,
    emulated_account,
    kind,
    operation,
    state,
)
from tests.support import ROOT, stack

VPC, REPOSITORY, INSTANCE = "aws:ec2/vpc:Vpc", "aws:ecr/repository:Repository", "aws:ec2/instance:Instance"
# The emulator's plugin does not make these; the first has a test of its own below
UNMADE = {"aws:dlm/lifecyclePolicy:LifecyclePolicy"}


@pytest.fixture
def account(monkeypatch):
    with emulated_account(monkeypatch) as made:
        yield made


GROUP = "aws:ec2/securityGroup:SecurityGroup"


def rules_of(group: str) -> list:
    ec2 = boto3.client("ec2", region_name=REGION)
    return ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]


def without_snapshots(name: str) -> Stack:
    """The emulator has no Data Lifecycle Manager."""
    return stack(lambda config: config.update({"infra:keepSnapshots": 0}), name)


def test_every_kind_that_the_program_can_create_is_looked_for():
    table = yaml.safe_load((ROOT / "infra/preview/kinds.yaml").read_text())
    created = {type for type in table if type.startswith("aws:")}
    assert created == set(kinds.KINDS) | kinds.REPEATABLE
    assert set(INPUTS) | UNMADE == set(kinds.KINDS)


def test_a_policy_for_snapshots_is_found_by_its_tags():
    class Dlm:
        def get_lifecycle_policies(self):
            return {"Policies": [{"PolicyId": "p1", "Tags": TAGS | {"Name": "x"}}, {"PolicyId": "p2", "Tags": {}}]}

    find = kinds.KINDS["aws:dlm/lifecyclePolicy:LifecyclePolicy"]
    assert find(lambda service: Dlm(), {"tags": TAGS}) == ["p1"]


def test_interrupted_creation_without_a_resource_is_forgotten(account, engine):
    pulumi = engine(state(operation(VPC, account.inputs(VPC))))
    command.settle(STACK, print)
    assert (pulumi.resources, pulumi.interrupted, pulumi.refreshed) == ({}, [], [])


def test_repeatable_creations_are_forgotten_without_asking_aws(engine):
    names = ["command:local:Command", "pulumi:providers:aws", *kinds.REPEATABLE]
    pulumi = engine(state(*(operation(type, {}, f"x-{number}") for number, type in enumerate(names))))
    command.settle(STACK, print)
    assert (pulumi.resources, pulumi.interrupted) == ({}, [])


def test_unsearchable_kind_is_reported_and_stays(engine):
    pulumi, said = engine(state(operation("aws:s3/bucket:Bucket", {}, "pictures"))), []
    command.settle(STACK, said.append)
    assert pulumi.interrupted == ["pictures"] and "pictures (aws:s3/bucket:Bucket)" in said[0]


def test_creation_without_a_name_is_reported_and_stays(account, engine):
    pulumi, said = engine(state(operation("aws:iam/role:Role", {}, "nameless"))), []
    command.settle(STACK, said.append)
    assert pulumi.interrupted == ["nameless"] and "nameless (aws:iam/role:Role)" in said[0]


def test_newest_orphan_is_adopted_and_the_older_one_deleted(account, engine):
    ids = {account.create_until(VPC), account.create(VPC)}
    pulumi = engine(state(operation(VPC, account.inputs(VPC)), operation(VPC, account.inputs(VPC))))
    command.settle(STACK, print)
    made = pulumi.resources
    kept = made.pop("Vpc")["id"]
    (other,) = made.values()
    assert {kept, other["id"]} == ids and other["urn"].endswith(f"::orphan-{other['id']}")
    assert pulumi.interrupted == []


def test_orphan_that_was_recreated_is_only_deleted(account, engine):
    orphan, later = account.create_until(VPC), account.create(VPC)
    there = operation(VPC, {})["resource"] | {"id": later}
    pulumi = engine(state(operation(VPC, account.inputs(VPC)), resources=[there]))
    command.settle(STACK, print)
    assert {name: entry["id"] for name, entry in pulumi.resources.items()} == {"Vpc": later, f"orphan-{orphan}": orphan}


def test_the_same_name_in_another_region_is_another_resource(account, engine):
    """Two regions have repositories of the same names: a standby's."""
    account.create_until(REPOSITORY)
    other = operation(REPOSITORY, account.inputs(REPOSITORY), "in-sydney")["resource"]
    other |= {"id": account.made["Repository"], "provider": f"{PREFIX}pulumi:providers:aws::aws-ap-southeast-2::id"}
    pulumi = engine(state(operation(REPOSITORY, account.inputs(REPOSITORY)), resources=[other]))
    command.settle(STACK, print)
    assert set(pulumi.resources) == {"in-sydney", "Repository"}


def test_global_resource_is_recognised_under_a_regional_provider(account):
    """A host's role is made by the provider of its region, and IAM lists it for all of them."""
    type = "aws:iam/role:Role"
    id = account.create_until(type)
    regional = f"{PREFIX}pulumi:providers:aws::aws-{REGION}::id"
    known = state(resources=[operation(type, {})["resource"] | {"id": id, "provider": regional}])
    assert command.find_tagged(without_snapshots(STACK), known, [account.made[kind] for kind in account.made]) == []


def test_interrupted_creation_is_completed(account, engine):
    """A new security group lets everything out until its provider has revoked that."""
    group, inputs = account.create_group()
    assert rules_of(group)
    engine(state(operation(GROUP, inputs)))
    command.settle(STACK, print)
    assert not rules_of(group)


def test_running_update_is_not_touched(account, engine):
    """Its creations look like interrupted ones, and its lock refuses the state."""
    group, inputs = account.create_group()
    engine(state(operation(GROUP, inputs)), fail="stack import")
    with pytest.raises(InfraError, match="cannot be written"):
        command.settle(STACK, print)
    assert rules_of(group)


def test_second_orphan_of_one_creation_is_not_forgotten(account, engine):
    one, other = account.create_until(VPC), account.create(VPC)
    pulumi = engine(state(operation(VPC, account.inputs(VPC))))
    found = command.find_leftovers(pulumi.state)
    (chosen,) = [orphan for orphan in found.orphans if orphan.id == other]
    command.write(STACK, found, [replace(chosen, is_wanted=False)])
    assert pulumi.interrupted == ["Vpc"] and set(pulumi.resources) == {f"orphan-{other}"}
    command.settle(STACK, print)
    assert pulumi.interrupted == [] and pulumi.resources["Vpc"]["id"] == one


def test_unread_resource_is_not_forgotten_and_the_command_continues(account, engine):
    id = account.create_until(REPOSITORY)
    pulumi = engine(state(operation(REPOSITORY, account.inputs(REPOSITORY))), fail="refresh")
    with pytest.raises(InfraError, match="could not be read from AWS: error: refused for a test; run the same command"):
        command.settle(STACK, print)
    assert pulumi.interrupted == ["Repository"]
    pulumi.fail = ""
    command.settle(STACK, print)
    assert pulumi.interrupted == [] and pulumi.resources["Repository"]["id"] == id
    assert pulumi.refreshed == [pulumi.resources["Repository"]["urn"]]


def test_unwritable_state_changes_nothing(account, engine):
    account.create_until(VPC)
    kept = state(operation(VPC, account.inputs(VPC)))
    pulumi = engine(json.loads(json.dumps(kept)), fail="stack import")
    with pytest.raises(InfraError, match="cannot be written: error: refused for a test"):
        command.settle(STACK, print)
    assert pulumi.state == kept


def test_without_a_killed_update_aws_is_not_asked(engine):
    pulumi = engine(state())
    command.settle(STACK, print)
    assert pulumi.refreshed == []


def test_tagged_resources_without_state_are_listed_by_creation(account):
    for type in INPUTS:
        account.create_until(type) if kind(type) not in account.made else None
    known = state(resources=[operation("aws:ec2/eip:Eip", {})["resource"] | {"id": account.made["Eip"]}])
    found = command.find_tagged(without_snapshots(STACK), known, [account.made["Vpc"]])
    assert {orphan.kind for orphan in found} == {
        "InternetGateway", "Subnet", "RouteTable", "SecurityGroup", "Instance", "Role", "User", "InstanceProfile",
        "Repository", "Topic", "Volume",
    }  # fmt: skip
    assert [orphan.kind for orphan in found].index("Subnet") < [orphan.kind for orphan in found].index("Instance")
    assert command.find_tagged(without_snapshots("dev"), known, []) == []


@pytest.fixture
def cli_engine(account, engine, monkeypatch):
    def begin(*types: str, untagged: tuple[str, ...] = ()):
        operations = []
        for type in types:
            account.create_until(type) if kind(type) not in account.made else None
            operations.append(operation(type, account.inputs(type)))
        known = [
            operation(type, {})["resource"] | {"id": account.made[name]}
            for type in INPUTS
            if (name := kind(type)) in account.made and type not in {*types, *untagged}
        ]
        return engine(state(*operations, resources=known))

    monkeypatch.setattr(cli, "stack_of", without_snapshots)
    return begin


def run(*words: str, answer: str | None = None):
    return CliRunner().invoke(app, ["orphans", "--stack", STACK, *words], input=answer, env={"COLUMNS": "400"})


def test_orphans_are_listed_with_their_costs(cli_engine, account):
    cli_engine(INSTANCE, "aws:ec2/eip:Eip")
    ran = run()
    assert ran.exit_code == 2, ran.output
    assert (
        f"Instance {account.made['Instance']} ({REGION}): made by an update that was killed while creating Instance; "
        in ran.output
    )
    assert f"Eip {account.made['Eip']}" in ran.output and "3.65 USD a month" in ran.output
    # t4g.large at 0.0864 an hour, and 30 GiB at 0.096
    assert "65.95 USD a month" in ran.output or "66." in ran.output, ran.output


def test_absence_of_orphans_is_reported(cli_engine):
    cli_engine()
    ran = run()
    assert (ran.exit_code, ran.output) == (
        0,
        "no orphans: every resource in AWS with this stack's tags is in the state\n",
    )


def test_a_person_is_asked_before(cli_engine, account):
    pulumi = cli_engine(VPC)
    ran = run("--adopt", answer="n\n")
    assert ran.exit_code == 1 and pulumi.interrupted == ["Vpc"]
    assert f"Adopt {REGION}/{account.made['Vpc']} into the state? [y/N]" in ran.output
    assert run("--adopt", answer="y\n").exit_code == 0
    assert pulumi.interrupted == [] and pulumi.resources["Vpc"]["id"] == account.made["Vpc"]


def test_orphan_is_deleted_only_by_its_id(cli_engine, account):
    account.create_until("aws:ec2/subnet:Subnet")
    pulumi = cli_engine(untagged=(VPC, "aws:ec2/subnet:Subnet"))
    vpc, subnet = account.made["Vpc"], account.made["Subnet"]
    ran = run("--delete", vpc, "--delete", subnet, "--delete", "vpc-0")
    assert ran.exit_code == 1 and isinstance(ran.exception, InfraError)
    assert "--delete vpc-0: no orphan has this id; orphans: " in str(ran.exception)
    ran = run("--delete", subnet, "--delete", vpc, answer="y\n")
    assert ran.exit_code == 0, ran.output
    assert f"Have the next update delete {REGION}/{vpc}, {REGION}/{subnet}?" in ran.output
    # The engine deletes what depends on others first
    assert pulumi.resources[f"orphan-{subnet}"]["dependencies"] == [pulumi.resources[f"orphan-{vpc}"]["urn"]]


def test_resource_unknown_to_every_update_is_not_adopted(cli_engine, account):
    account.create_until(VPC)
    cli_engine(untagged=(VPC,))
    ran = run("--adopt", "--yes")
    assert ran.exit_code == 0 and "nothing to adopt: no interrupted creation is recorded; other resources" in ran.output


def test_the_question_names_both_ends():
    creation = command.find_leftovers(state(operation("command:local:Command", {}))).traceless[0]
    orphans = [
        command.Orphan(VPC, id, REGION, "p", creation, wanted) for id, wanted in (("vpc-1", True), ("vpc-2", False))
    ]
    _, question = listing.choose(orphans, adopt=True, delete=[])
    assert question == f"Adopt {REGION}/vpc-1 into the state and have the next update delete {REGION}/vpc-2?"


def test_orphans_of_two_regions_are_named_with_their_regions():
    orphans = [
        command.Orphan("aws:ecr/repository:Repository", "ast", region, "p", None, False) for region in ("a", "b")
    ]
    with pytest.raises(InfraError, match="2 orphans have this id: a/ast, b/ast; name the one to delete"):
        listing.choose(orphans, adopt=False, delete=["ast"])
    gone, question = listing.choose(orphans, adopt=False, delete=["b/ast"])
    assert [orphan.region for orphan in gone] == ["b"] and question == "Have the next update delete b/ast?"
