"""What a stack's hosts cost in a region: by AWS's own price list where it has them, else by the dated table."""

import json
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from catalogue.prices import Prices, machines_of, table
from catalogue.prices import monthly as monthly_by
from catalogue.shapes import AwsEntry
from catalogue.stack import Stack
from infra import aws

# There is a table where it does not answer
ATTEMPTS = 2
# The price list of all regions is asked for in this one
LIST = "us-east-1"


class Cost(NamedTuple):
    """US dollars a month (None where unknown), and the source of that."""

    dollars: float | None
    by: str


def monthly(stack: Stack, region: str) -> Cost:
    """What the stack's machines, disks and addresses would cost in a region, on demand."""
    table_prices = table().regions.get(region)
    if current_prices := _fetch_prices(stack, region):
        return Cost(monthly_by(machines_of(stack), current_prices), "AWS's price list")
    return Cost(monthly_by(machines_of(stack), table_prices), f"prices of {table().as_of}")


def _fetch_prices(stack: Stack, region: str) -> Prices | None:
    client = aws.client("pricing", LIST, ATTEMPTS)
    disk = _price(client, region, productFamily="Storage", volumeApiName="gp3")
    machines = {
        type: _price(
            client, region, instanceType=type, operatingSystem="Linux", tenancy="Shared", preInstalledSw="NA",
            capacitystatus="Used",
        )
        for type in {host.instanceType for host in stack.ec2_hosts.values()} if disk is not None
    }  # fmt: skip
    by_type = {type: price for type, price in machines.items() if price is not None}
    return None if disk is None or len(by_type) < len(machines) else Prices(by_type, disk, table().address)


def _price(client: Any, region: str, **fields: str) -> float | None:
    """Of one unit (an hour, a GiB for a month)."""
    values = {"regionCode": region, **fields}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in values.items()]
    try:
        products = client.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=10)["PriceList"]
    except (BotoCoreError, ClientError, ResponseParserError):
        return None
    prices = [price for text in products for price in on_demand(json.loads(text))]
    return min((price for price in prices if price > 0), default=None)


def on_demand(product: AwsEntry) -> list[float]:
    """The prices of an entry of the list, in US dollars."""
    terms = product.get("terms", {}).get("OnDemand", {}).values()
    return [
        float(dimension["pricePerUnit"]["USD"])
        for term in terms
        for dimension in term["priceDimensions"].values()
        if "USD" in dimension["pricePerUnit"]
    ]
