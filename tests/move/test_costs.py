"""A month's cost out of AWS's own price list, in the form that the list has."""

import json

import boto3
import pytest
from botocore.stub import ANY, Stubber

from infra.move import costs
from tests.support import stack


def entry(price: str) -> str:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": price}}
    terms = {"OnDemand": {"SKU.TERM": {"priceDimensions": {"SKU.TERM.RATE": dimension}}}}
    return json.dumps({"product": {"productFamily": "Compute Instance"}, "terms": terms})


@pytest.fixture
def pricing(monkeypatch):
    client = boto3.client("pricing", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(costs.aws, "client", lambda *_, **__: client)
    with Stubber(client) as stub:
        yield stub


def answers(stub: Stubber, *prices: list[str]) -> None:
    for given in prices:
        expected = {"ServiceCode": "AmazonEC2", "Filters": ANY, "MaxResults": 10}
        stub.add_response("get_products", {"PriceList": [entry(price) for price in given]}, expected)


ADDRESS = 730 * 0.005
BY_TABLE = 730 * 0.0864 + 30 * 0.096 + ADDRESS


def test_machine_disk_and_address(pricing):
    answers(pricing, ["0.0960000000"], ["0.0000000000", "0.1000000000"])
    found = costs.monthly(stack(), "ap-northeast-1")
    assert found == (pytest.approx(730 * 0.1 + 30 * 0.096 + ADDRESS, abs=0.01), "AWS's price list")


def test_missing_price_is_taken_from_the_dated_table(pricing):
    answers(pricing, ["0.0960000000"], [])
    assert costs.monthly(stack(), "ap-northeast-1") == (pytest.approx(BY_TABLE, abs=0.01), "prices of 2026-10-05")


def test_without_the_right_to_ask_the_dated_table_is_used(pricing):
    pricing.add_client_error("get_products", "AccessDeniedException")
    assert costs.monthly(stack(), "ap-northeast-1").dollars == pytest.approx(BY_TABLE, abs=0.01)


def test_an_unknown_region_is_not_guessed(pricing):
    pricing.add_client_error("get_products", "AccessDeniedException")
    assert costs.monthly(stack(), "us-east-1").dollars is None
