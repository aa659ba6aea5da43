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
    monkeypatch.setattr(costs.boto3, "client", lambda *_, **__: client)
    with Stubber(client) as stub:
        yield stub


def answers(stub: Stubber, *prices: list[str]) -> None:
    for given in prices:
        expected = {"ServiceCode": "AmazonEC2", "Filters": ANY, "MaxResults": 10}
        stub.add_response("get_products", {"PriceList": [entry(price) for price in given]}, expected)


def test_machine_and_disk(pricing):
    answers(pricing, ["0.0000000000", "0.1000000000"], ["0.0960000000"])
    assert costs.monthly(stack(), "ap-northeast-1") == pytest.approx(730 * 0.1 + 30 * 0.096)


def test_what_the_list_does_not_have_is_not_guessed(pricing):
    answers(pricing, [], ["0.0960000000"])
    assert costs.monthly(stack(), "ap-northeast-1") is None


def test_whoever_may_not_ask_is_told_nothing(pricing):
    pricing.add_client_error("get_products", "AccessDeniedException")
    pricing.add_client_error("get_products", "AccessDeniedException")
    assert costs.monthly(stack(), "ap-northeast-1") is None
