"""Containers' networks against those that exist in AWS already, and machines that become larger."""

import boto3
import pytest

from catalogue.problems import Problem
from infra.account import limits, networks
from infra.account.region import Region
from tests.orphans.world import PROVIDERS, REGION, emulated_account
from tests.support import catalogue


@pytest.fixture
def existing(monkeypatch):
    """An existing network with two blocks of addresses and a route to an office; its ids."""
    with emulated_account(monkeypatch):
        ec2 = boto3.client("ec2", region_name=REGION)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="172.27.128.0/20")
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        yield vpc, subnet


def route(vpc: str, cidr: str, of: str = "") -> None:
    """From a network's main table, or from a subnet's own."""
    ec2 = boto3.client("ec2", region_name=REGION)
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    table = ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]
    if of:
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=of)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    for destination in (cidr, "0.0.0.0/0"):
        ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, GatewayId=gateway)


def found(vpc: str, subnet: str, containers: str) -> list[Problem]:
    def change(data):
        data["network"].update(subnet=containers, gateway=containers.replace(".0/", ".1/").split("/")[0])
        for entry in data["services"]:
            entry.pop("address", None)

    made = catalogue(change, lambda data: data.update({"infra:networks": {REGION: {"vpc": vpc, "subnet": subnet}}}))
    return list(networks.findings(made, REGION, Region(REGION)))


def test_container_network_inside_the_vpc_is_reported(existing):
    vpc, subnet = existing
    (problem,) = found(vpc, subnet, "10.0.7.0/24")
    assert f"its subnet 10.0.7.0/24 overlaps 10.0.0.0/16 of {vpc} in {REGION}" in str(problem)
    assert "error" in problem.level and "watchme.yaml" in problem.file
    (problem,) = found(vpc, subnet, "172.27.128.0/24")
    assert f"172.27.128.0/20 of {vpc}" in str(problem)


@pytest.mark.parametrize("own_table", [False, True])
def test_container_network_that_covers_a_route_of_the_vpc_is_reported(existing, own_table):
    vpc, subnet = existing
    route(vpc, "192.168.0.0/18", subnet if own_table else "")
    (problem,) = found(vpc, subnet, "192.168.10.0/24")
    assert f"overlaps 192.168.0.0/18, which {subnet} has a route to" in str(problem)


def test_container_network_outside_the_vpc_or_in_a_created_one_is_accepted(existing):
    vpc, subnet = existing
    route(vpc, "192.168.0.0/18")
    assert found(vpc, subnet, "172.29.0.0/24") == []
    assert list(networks.findings(catalogue(), REGION, Region(REGION))) == []


def test_missing_existing_network_is_reported(existing):
    _, subnet = existing
    (problem,) = found("vpc-0123456789abcdef0", subnet, "172.29.0.0/24")
    assert f"this account has no vpc-0123456789abcdef0 in {REGION}" in str(problem)


def machine(type: str, name: str = "a") -> dict:
    urn = f"urn:pulumi:lab::infra::infra:index:X$aws:ec2/instance:Instance::{name}"
    return {
        "urn": urn, "type": "aws:ec2/instance:Instance", "name": name, "custom": True, "inputs": {"instanceType": type},
        "provider": f"{PROVIDERS[REGION]}::id",
    }  # fmt: skip


def test_larger_instance_type_counts_against_the_quota(existing):
    wanted, known = (
        [machine("t4g.xlarge"), machine("t4g.small", "b")],
        [machine("t4g.large"), machine("t4g.large", "b")],
    )
    larger = limits.growth(wanted, known)
    assert larger == {REGION: 2}
    asked = Region(REGION)

    class Quotas:
        def get_service_quota(self, **_: str) -> dict:
            return {"Quota": {"Value": 1.0}}

    asked.quotas = Quotas()
    (problem,) = limits.findings(limits.new(wanted, known), REGION, asked, larger[REGION])
    assert "running on-demand vCPUs: 0 in use, 2 more needed, the quota is 1" in str(problem)
    assert list(limits.findings([], REGION, asked, limits.growth(known, known)[REGION])) == []
