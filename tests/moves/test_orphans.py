"""Updates that are killed just after AWS has made a resource: what is there is found, taken into the state, and not made
a second time; afterwards the account has what the state has."""

import json
import re
import time

import pytest

from lab import workspace
from lab.settings import ZONE
from tests.moves.on import SYDNEY, TOKYO, client, held, other_region, points_to, stays_in, were_refused
from tests.rows import rows
from tests.support import end_session, started
from tests.system.conftest import System

pytestmark = pytest.mark.lab
UP = ("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "lab", "--parallel")
# Making these once more gives the same one
REPEATED = ["PutLifecyclePolicy", "AssociateAddress", "Subscribe", "PutMetricAlarm"]
# Of a region that stands by, in an update's order, what is there for good once AWS has answered
CREATIONS = [
    "CreateVpc", "CreateInternetGateway", "CreateSubnet", "CreateRouteTable", "AssociateRouteTable",
    "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "CreateRepository",
    "CreateRole", "PutRolePolicy", "CreateInstanceProfile", "RunInstances", "AllocateAddress", "CreateTopic",
    *REPEATED,
]  # fmt: skip


def killed_once_made(system: System, *actions: str, at_once: int = 1) -> str:
    """An update whose engine, program and plugins are killed once AWS has done the first of these. Which one it was."""
    with held(system, *actions):
        env = workspace.full_environment(system.lab)
        with started(*UP, str(at_once), timeout=200, cwd=system.project, env=env) as process:
            while not were_refused(system):
                assert process.poll() is None, "the update came to its end"
                time.sleep(0.05)
            end_session(process.pid)
    workspace.clear_dead_locks(system.lab)
    return were_refused(system)[0]


def orphans(system: System, *words: str):
    return system.command("infra", "orphans", "--stack", "lab", *words)


@pytest.mark.nightly
def test_update_does_not_repeat_creations_of_a_killed_one(sydney):
    """What has a name of its own blocked every further update; another kind would be there twice."""
    wanted = sydney.pulumi("config", "get", "--path", "infra:creditsBudget").output.strip()
    sydney.unset("infra:creditsBudget")
    sydney.must_up()
    sydney.set("infra:creditsBudget", wanted)
    made = killed_once_made(sydney, "CreateBudget")
    assert made == "CreateBudget"
    preview, again = sydney.pulumi("preview"), sydney.up()
    assert preview.code == 0 and "uv run infra orphans --adopt --stack lab" in preview.output, preview.output
    assert again.code != 0 and "nothing was touched: an update was killed while creating credits" in again.output
    listed = orphans(sydney)
    assert listed.code == 2 and ":lab-credits" in listed.output, listed.output
    adopted = orphans(sydney, "--adopt", "--yes")
    assert adopted.code == 0, adopted.output
    output = sydney.must_up()
    assert "pending operations" not in output and "credits" not in output, output
    assert orphans(sydney).code == 0 and sydney.pulumi("preview", "--expect-no-changes").code == 0


@pytest.fixture(scope="module")
def growing(sydney: System) -> System:
    """A stack that is to stand by in the other region too, where it has nothing yet."""
    stays_in(sydney, other_region(sydney))
    yield sydney
    stays_in(sydney)
    sydney.must_up()


LEFT = list(CREATIONS)


@pytest.mark.parametrize("number", rows([str(number) for number in range(1, len(CREATIONS) + 1)], always=[]))
def test_orphans_are_found_after_each_kind_of_creation(growing, number):
    """Each time the update comes one kind further: they are killed in its own order."""
    made = killed_once_made(growing, *LEFT)
    action = next(wanted for wanted in LEFT if made.startswith(wanted))
    LEFT.remove(action)
    print(f"killed after: {made}")
    adopted = orphans(growing, "--adopt", "--yes")
    assert adopted.code == 0, adopted.output
    assert ("made by an update that was killed while creating" in adopted.output) is (action not in REPEATED)


@pytest.mark.nightly
def test_account_matches_the_state_afterwards(growing):
    growing.must_up()
    assert orphans(growing).code == 0
    state = json.loads(growing.pulumi("stack", "export").output)["deployment"]
    assert not state.get("pending_operations")
    for region in (SYDNEY, TOKYO):
        for operation, answer, id, type in ASKED:
            filters = [{"Name": "tag:stack", "Values": ["lab"]}]
            if operation == "describe_instances":
                filters.append({"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]})
            found = getattr(client(growing, "ec2", region), operation)(Filters=filters)[answer]
            found = [i for r in found for i in r["Instances"]] if answer == "Reservations" else found
            known = {r["id"] for r in state["resources"] if r["type"] == type}
            assert {entry[id] for entry in found} <= known, (region, operation)
    assert growing.pulumi("preview", "--expect-no-changes").code == 0


ASKED = [
    ("describe_vpcs", "Vpcs", "VpcId", "aws:ec2/vpc:Vpc"),
    ("describe_subnets", "Subnets", "SubnetId", "aws:ec2/subnet:Subnet"),
    ("describe_route_tables", "RouteTables", "RouteTableId", "aws:ec2/routeTable:RouteTable"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId", "aws:ec2/internetGateway:InternetGateway"),
    ("describe_security_groups", "SecurityGroups", "GroupId", "aws:ec2/securityGroup:SecurityGroup"),
    ("describe_addresses", "Addresses", "AllocationId", "aws:ec2/eip:Eip"),
    ("describe_instances", "Reservations", "InstanceId", "aws:ec2/instance:Instance"),
]


TAGS = [{"Key": "project", "Value": "watchme-infra"}, {"Key": "stack", "Value": "lab"}]


def tagged(resource: str) -> list[dict]:
    return [{"ResourceType": resource, "Tags": TAGS}]


# A machine that an update only talks to once all of AWS is there
FURTHER = {
    "infra:hosts.spare.kind": "ssh",
    "infra:hosts.spare.address": "127.73.9.9",
    "infra:hosts.spare.hostKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIdS3nmMcKqqEbKKUZQ9tdPZbiUx0cEsFHdLEuPJlGmx",
    "infra:hosts.spare.memory": "4g",
    "infra:hosts.spare.systems[0]": "recall",
    "infra:records[0].name": f"check.{ZONE}",
    "infra:records[0].type": "TXT",
    "infra:records[0].values[0]": "of a test",
}
OF_NO_REGION = ["CreateUser", "PutUserPolicy", "CreateAccessKey", "POST .*rrset"]


@pytest.fixture(scope="module")
def widened(growing: System) -> System:
    """A stack that is to have a further host with an identity of its own."""
    growing.must_up()
    before = growing.lab.config_file.read_text()
    for key, value in FURTHER.items():
        growing.set(key, value)
    yield growing
    growing.lab.config_file.write_text(before)
    growing.must_up()
    assert orphans(growing).code == 0


@pytest.mark.nightly
def test_after_each_creation_that_belongs_to_no_region(widened):
    """Several at once: meanwhile one of them waits for the machine."""
    left = OF_NO_REGION
    while left:
        killed_once_made(widened, *left, at_once=16)
        made = were_refused(widened)
        print(f"killed after: {', '.join(made)}")
        adopted = orphans(widened, "--adopt", "--yes")
        assert adopted.code == 0, adopted.output
        assert "made by an update that was killed while creating" in adopted.output
        left = [wanted for wanted in left if not any(re.search(wanted, action) for action in made)]


@pytest.mark.nightly
def test_unknown_resource_is_deleted_only_by_its_id(growing):
    """It may be another state's, of a stack of this name: no update touches it before."""
    growing.must_up()
    ec2 = client(growing, "ec2", points_to(growing))
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    inside = ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.1.0/24", TagSpecifications=tagged("subnet"))
    subnet = inside["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))["AllocationId"]
    made = [vpc, subnet, address]
    listed = orphans(growing)
    assert listed.code == 2 and all(id in listed.output for id in made), listed.output
    assert orphans(growing, "--adopt", "--yes").code == 0
    growing.must_up()
    assert all(id in orphans(growing).output for id in made)
    gone = orphans(growing, *(word for id in made for word in ("--delete", id)), "--yes")
    assert gone.code == 0, gone.output
    growing.must_up()
    assert orphans(growing).code == 0
    assert not ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Vpcs"]
    assert not ec2.describe_addresses(Filters=[{"Name": "allocation-id", "Values": [address]}])["Addresses"]
    assert growing.pulumi("preview", "--expect-no-changes").code == 0
