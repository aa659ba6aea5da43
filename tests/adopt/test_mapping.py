"""A hand-made region under the program's names: what is taken over, and what is said about it."""

from dataclasses import replace

import boto3
import pytest

from catalogue.host import SshHost
from catalogue.loading import Catalogue
from infra.adopt import facts
from infra.adopt.facts import Facts, Group, Instance
from infra.adopt.mapping import (
    differences,
    import_file,
    names_of_records,
    resources_to_import,
    shared_differences,
    shared_resources,
    state,
)
from infra.errors import InfraError
from tests.support import any_image, catalogue, emulated_aws

REGION = "ap-southeast-2"
MADE = catalogue(config=lambda config: config.update({"aws:region": REGION}))
OWN = Group("sg-1", "launch-wizard-1", [("22", "0.0.0.0/0"), ("443", "0.0.0.0/0"), ("80", "0.0.0.0/0")], False)
INSTANCE = Instance("i-1", "t4g.large", "vpc-1", "subnet-1", [OWN], 30, True, "", ("required", 1))
FOUND = Facts(
    REGION, "Z1", INSTANCE, "192.0.2.1", "eipalloc-1", "eipassoc-1", ["watchme-web", "others"],
    {"api.hey-watch.me": (["192.0.2.1"], 60)},
)  # fmt: skip


def test_imported_resources_have_the_names_of_the_program():
    names = {entry.name: (entry.id, entry.parent[1]) for entry in resources_to_import(MADE, "watchme", FOUND)}
    assert names == {
        f"watchme-{REGION}-instance": ("i-1", f"watchme-{REGION}"),
        f"watchme-{REGION}-address": ("eipalloc-1", f"watchme-{REGION}"),
        f"watchme-{REGION}-address-use": ("eipassoc-1", f"watchme-{REGION}"),
        f"network-{REGION}-hosts": ("sg-1", f"network-{REGION}"),
        f"registry-{REGION}-watchme-web": ("watchme-web", f"registry-{REGION}"),
        "api.hey-watch.me": ("Z1_api.hey-watch.me_A", "api.hey-watch.me"),
    }


def test_shared_security_group_is_not_adopted():
    found = replace(FOUND, instance=replace(INSTANCE, groups=[replace(OWN, shared=True)]))
    assert not [entry for entry in resources_to_import(MADE, "watchme", found) if "SecurityGroup" in entry.type]
    assert any("kept, since others use it" in line for line in differences(MADE, "watchme", found))


SAID = {
    "type": ({"type": "t4g.small"}, "it is a t4g.small, infra:hosts.watchme.instanceType is t4g.large"),
    "larger disk": ({"volume": 50}, "50 GiB, infra:hosts.watchme.volume is 30: a disk cannot shrink"),
    "plain disk": ({"encrypted": False}, "its disk is not encrypted and stays so"),
    "role": (
        {"role": "vault-s3"},
        "its role from vault-s3 is replaced by one that may only pull images, prove its names",
    ),
    "hops": ({"metadata": ("required", 2)}, "is reachable from containers (2 hops); it will not be"),
    "second group": (
        {"groups": [OWN, Group("sg-2", "rds-ec2-1", [("5432", "sg-9")], True)]},
        "its security group rds-ec2-1 (kept, since others use it) is replaced by the stack's own, which does not "
        "allow 5432 from sg-9",
    ),
}


@pytest.mark.parametrize(("change", "line"), SAID.values(), ids=SAID)
def test_differences_are_listed_before_the_adoption(change, line):
    found = replace(FOUND, instance=replace(INSTANCE, **change))
    assert line in "\n".join(differences(MADE, "watchme", found))


def test_the_import_file_names_parents_and_providers_that_the_state_has():
    entries = resources_to_import(MADE, "watchme", FOUND)
    known = {entry["urn"] for entry in state(MADE.stack, FOUND, entries, "7.51.1", ["a", "b"])}
    file = import_file(MADE.stack, entries)
    assert set(file["nameTable"].values()) <= known
    for resource in file["resources"]:
        assert {resource["parent"], resource["provider"]} <= set(file["nameTable"])


@pytest.fixture
def cloud(monkeypatch):
    with emulated_aws(monkeypatch):
        route53 = boto3.client("route53", region_name="us-east-1")
        route53.create_hosted_zone(Name="hey-watch.me", CallerReference="1")
        yield boto3.client("ec2", region_name=REGION)


def outside() -> Catalogue:
    """The stack with a machine of its owner's instead."""
    spec = SshHost(
        kind="ssh", address="203.0.113.9", systems=["watchme"], memory="8g", hostKey="ssh-ed25519 AAAA", user="ubuntu"
    )
    made = catalogue(config=lambda config: config.update({"aws:region": REGION}))
    return replace(made, stack=made.stack.model_copy(update={"hosts": {"watchme": spec}}))


def test_repositories_and_records_of_a_stack_without_instances_are_adopted(cloud):
    """Once they are in its state, no further update tries to create them."""
    boto3.client("ecr", region_name=REGION).create_repository(repositoryName="watchme-web")
    boto3.client("ecr", region_name=REGION).create_repository(repositoryName="others")
    route53 = boto3.client("route53", region_name="us-east-1")
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    record = {"Name": "api.hey-watch.me", "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": "192.0.2.7"}]}
    changes = [{"Action": "CREATE", "ResourceRecordSet": record}]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    made = outside()
    found = facts.gather_shared("hey-watch.me", names_of_records(made), REGION)
    imports = shared_resources(made, found)
    id = zone.rsplit("/", 1)[-1]
    assert {entry.name: (entry.id, entry.parent[1]) for entry in imports} == {
        f"registry-{REGION}-watchme-web": ("watchme-web", f"registry-{REGION}"),
        "api.hey-watch.me": (f"{id}_api.hey-watch.me_A", "api.hey-watch.me"),
    }
    assert "api.hey-watch.me A has 192.0.2.7 and a TTL of 300 s" in "\n".join(shared_differences(made, found))
    existing = {entry["urn"] for entry in state(made.stack, found, imports, "7.51.1", ["a", "b"])}
    assert set(import_file(made.stack, imports)["nameTable"].values()) <= existing
    shared = replace(made, stack=made.stack.model_copy(update={"sharedRepositories": True}))
    assert [entry.name for entry in shared_resources(shared, found)] == ["api.hey-watch.me"]


def launched(ec2) -> str:
    group = ec2.create_security_group(GroupName="own", Description="own")["GroupId"]
    made = ec2.run_instances(ImageId=any_image(ec2), MinCount=1, MaxCount=1, SecurityGroupIds=[group])
    return made["Instances"][0]["InstanceId"]


def test_only_instance_is_adopted_with_its_security_group(cloud):
    id = launched(cloud)
    address = cloud.allocate_address(Domain="vpc")
    cloud.associate_address(InstanceId=id, AllocationId=address["AllocationId"])
    found = facts.gather("hey-watch.me", ["api.hey-watch.me"], REGION, None)
    assert (found.instance.id, found.address) == (id, address["PublicIp"])
    assert [(group.name, group.shared) for group in found.instance.groups] == [("own", False)]


def test_instance_must_be_named_when_there_are_two(cloud):
    ids = sorted([launched(cloud)])
    ids.append(cloud.run_instances(ImageId=any_image(cloud), MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"])
    with pytest.raises(
        InfraError, match=r"api\.hey-watch\.me points to no instance in ap-southeast-2; instances there: i-"
    ):
        facts.gather("hey-watch.me", ["api.hey-watch.me"], REGION, None)


def test_instance_without_an_elastic_address_is_refused(cloud):
    launched(cloud)
    with pytest.raises(InfraError, match="has no Elastic IP address"):
        facts.gather("hey-watch.me", ["api.hey-watch.me"], REGION, None)
