"""What people do in AWS's console, while nothing else changes: `infra drift --cloud` names each with its remedy, and the
remedies, followed literally, leave none."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from lab.table import address_of
from tests.moves.on import NAME, client, points_to
from tests.rows import rows
from tests.system.conftest import System

pytestmark = pytest.mark.lab
WORLD = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def drift(system: System):
    return system.command("infra", "drift", "--cloud", "--stack", "lab")


def machine(ec2: Any) -> dict[str, Any]:
    filters = [
        {"Name": "tag:stack", "Values": ["lab"]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    (found,) = ec2.describe_instances(Filters=filters)["Reservations"]
    return found["Instances"][0]


def stop(ec2: Any, _: System) -> str:
    ec2.stop_instances(InstanceIds=[machine(ec2)["InstanceId"]])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[machine(ec2)["InstanceId"]], WaiterConfig={"Delay": 1})
    return r"machine of watchme \(i-\w+, [\w-]+\): is stopped; start it: (aws ec2 start-instances [\w -]+)"


def give_another_type(ec2: Any, system: System) -> str:
    stop(ec2, system)
    ec2.modify_instance_attribute(InstanceId=machine(ec2)["InstanceId"], InstanceType={"Value": "t4g.xlarge"})
    ec2.start_instances(InstanceIds=[machine(ec2)["InstanceId"]])
    ec2.get_waiter("instance_running").wait(InstanceIds=[machine(ec2)["InstanceId"]], WaiterConfig={"Delay": 1})
    return r"machine watchme-[\w-]+ \(i-\w+\): is a t4g.xlarge, the last update left t4g.large; (pulumi up --refresh --stack lab) puts it back"


def open_to_the_world(ec2: Any, _: System) -> str:
    ec2.authorize_security_group_ingress(GroupId=machine(ec2)["SecurityGroups"][0]["GroupId"], IpPermissions=[WORLD])
    return r"security group sg-\w+ \([\w-]+\): allows 0.0.0.0/0 to reach port 22, which the stack does not define; close it: (aws ec2 revoke-[\w -]+)"


def edit_the_record(_: Any, system: System) -> str:
    route53 = client(system, "route53")
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    record = {"Name": NAME, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "127.0.0.9"}]}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": record}]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    return rf"public name {NAME} \(\S+\): leads to 127.0.0.9, the last update left [\d.]+; (pulumi up --refresh --stack lab) puts it back"


def release_the_address(ec2: Any, _: System) -> str:
    filters = [{"Name": "instance-id", "Values": [machine(ec2)["InstanceId"]]}]
    (found,) = ec2.describe_addresses(Filters=filters)["Addresses"]
    ec2.disassociate_address(AssociationId=found["AssociationId"])
    ec2.release_address(AllocationId=found["AllocationId"])
    return r"address watchme-[\w-]+ \(eipalloc-\w+\): is gone from AWS; (pulumi up --refresh --stack lab) takes another address"


BY_HAND: dict[str, Callable[[Any, System], str]] = {
    "stopped": stop,
    "another type": give_another_type,
    "opened to the world": open_to_the_world,
    "a record edited": edit_the_record,
    "an address released": release_the_address,
}


@pytest.mark.nightly
def test_unchanged_cloud_has_no_drift(sydney):
    sydney.must_up()
    ran = drift(sydney)
    assert ran.code == 0 and "AWS matches the last update" in ran.output, ran.output


@pytest.mark.parametrize("by_hand", rows(BY_HAND, always=[]))
def test_manual_change_is_reported_and_its_remedy_works(sydney, by_hand):
    ec2 = client(sydney, "ec2", points_to(sydney))
    pattern = BY_HAND[by_hand](ec2, sydney)
    ran = drift(sydney)
    found = re.search(pattern, ran.output)
    assert ran.code == 2 and found, ran.output
    heal(sydney, ec2, found[1])
    again = drift(sydney)
    assert again.code == 0, again.output
    assert address_of(NAME, sydney.lab.dns) and points_to(sydney), "the name leads to the machine again"
    assert sydney.pulumi("preview", "--expect-no-changes").code == 0


def heal(system: System, ec2: Any, command: str) -> None:
    """Follows a remedy literally: by Pulumi, or as AWS's own command line would."""
    program, *words = command.split()
    if program == "pulumi":
        ran = system.command("pulumi", *words, "--yes", "--skip-preview", "--non-interactive")
        assert ran.code == 0, ran.output
        return
    options = dict(zip(words[2::2], words[3::2], strict=True))
    if words[1] == "start-instances":
        ec2.start_instances(InstanceIds=[options["--instance-ids"]])
        ec2.get_waiter("instance_running").wait(InstanceIds=[options["--instance-ids"]], WaiterConfig={"Delay": 1})
    else:
        assert words[1] == "revoke-security-group-ingress", command
        rules = [options["--security-group-rule-ids"]]
        ec2.revoke_security_group_ingress(GroupId=options["--group-id"], SecurityGroupRuleIds=rules)
