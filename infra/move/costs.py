"""What a stack's hosts cost in a region, by AWS's own price list: nothing here that could be out of date."""

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from catalogue.stack import Stack

HOURS = 730  # of a month, as AWS counts
QUICK = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 1})
# The price list of all regions is asked for in this one
LIST = "us-east-1"


def monthly(stack: Stack, region: str) -> float | None:
    """US dollars a month for machines and disks, on demand; None where AWS does not tell."""
    client = boto3.client("pricing", region_name=LIST, config=QUICK)
    total = 0.0
    for host in stack.ec2_hosts.values():
        machine = _price(
            client, region, instanceType=host.instanceType, operatingSystem="Linux", tenancy="Shared",
            preInstalledSw="NA", capacitystatus="Used",
        )  # fmt: skip
        disk = _price(client, region, productFamily="Storage", volumeApiName="gp3")
        if machine is None or disk is None:
            return None
        total += HOURS * machine + host.volume * disk
    return round(total, 2)


def _price(client: Any, region: str, **wanted: str) -> float | None:
    """Of one unit (an hour, a GiB for a month)."""
    given = {"regionCode": region, **wanted}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in given.items()]
    try:
        found = client.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=10)["PriceList"]
    except (BotoCoreError, ClientError, ResponseParserError):
        return None
    prices = [price for text in found for price in on_demand(json.loads(text))]
    return min((price for price in prices if price > 0), default=None)


def on_demand(product: dict[str, Any]) -> list[float]:
    """The prices of an entry of the list, in US dollars."""
    terms = product.get("terms", {}).get("OnDemand", {}).values()
    return [
        float(dimension["pricePerUnit"]["USD"])
        for term in terms
        for dimension in term["priceDimensions"].values()
        if "USD" in dimension["pricePerUnit"]
    ]
