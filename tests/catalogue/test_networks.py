"""A container network that Docker would refuse is refused before anything is touched."""

from ipaddress import IPv4Network

import pytest

from catalogue.checks import check
from catalogue.networks import is_for_containers
from catalogue.problems import errors
from tests.catalogue.changes import configured
from tests.support import catalogue


@pytest.mark.parametrize(
    ("gateway", "is_wrong"),
    [
        ("172.27.0.1", False),
        ("172.27.0.200", False),
        ("172.28.0.1", True),
        ("172.27.0.0", True),
        ("172.27.255.255", True),
    ],
)
def test_the_gateway_is_an_address_of_the_subnet(gateway, is_wrong):
    def change(data):
        data["network"]["gateway"] = gateway

    said = [problem.message for problem in errors(check(catalogue(change))) if "gateway" in problem.found]
    wanted = f"files/systems/watchme.yaml: network watchme-network: its gateway {gateway} is not in 172.27.0.0/16"
    assert said == ([f"{wanted}; must be an address in it, such as 172.27.0.1"] if is_wrong else [])


@pytest.mark.parametrize("subnet", ["172.28.0.0/16", "172.27.100.0/24"])
def test_subnet_without_the_addresses_of_services_is_one_problem(subnet):
    def change(data):
        data["network"]["subnet"] = subnet

    (problem,) = errors(check(catalogue(change)))
    _, _, size = subnet.partition("/")
    around = {"16": "172.27.0.0/16", "24": "172.27.0.0/24"}[size]
    assert problem.message == (
        f"files/systems/watchme.yaml: network watchme-network: its subnet {subnet} has none of the addresses of its "
        f"services (172.27.0.17 and 12 more); a subnet with all of them, such as {around}"
    )


OTHERS = [
    "169.254.0.0/16", "127.0.0.0/8", "0.0.0.0/8", "240.0.0.0/8", "192.0.2.0/24", "198.18.0.0/15", "100.64.0.0/10",
    "8.8.8.0/24", "172.27.0.0/30", "192.168.0.0/15",
]  # fmt: skip


@pytest.mark.parametrize("subnet", [*OTHERS, "10.0.0.0/8", "172.16.0.0/12", "192.168.9.0/29"])
def test_containers_are_in_a_private_network(subnet):
    assert is_for_containers(IPv4Network(subnet)) is (subnet not in OTHERS)


@pytest.mark.parametrize("server", ["172.27.0.53", "172.27.0.53:5353", "198.51.100.53", "ns.example.com"])
def test_a_name_server_is_outside_of_a_container_network(server):
    said = [problem.message for problem in errors(check(catalogue(config=configured(nameServers=[server]))))]
    found = "its subnet 172.27.0.0/16 overlaps the name server 172.27.0.53 of infra:nameServers"
    assert any(found in line for line in said) is server.startswith("172.27.")
