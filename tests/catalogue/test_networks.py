"""A container network that Docker would refuse is refused before anything is touched."""

import pytest

from catalogue.checks import check
from catalogue.problems import errors
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

    said = [problem.said for problem in errors(check(catalogue(change))) if "gateway" in problem.found]
    wanted = f"files/systems/watchme.yaml: network watchme-network: its gateway {gateway} is not in 172.27.0.0/16"
    assert said == ([f"{wanted}; one of its addresses, such as 172.27.0.1"] if is_wrong else [])
