"""A zone and its address records, as Route 53 has them."""

from typing import Any

from catalogue.shapes import AwsEntry
from infra import aws


def client() -> Any:
    return aws.client("route53", "")


def zone_id(route53: Any, zone: str) -> str | None:
    zones = route53.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]
    return next((entry["Id"] for entry in zones if entry["Name"].rstrip(".") == zone), None)


def records(route53: Any, zone_id: str) -> dict[tuple[str, str], AwsEntry]:
    """Name and type → the record set."""
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    return {(r["Name"].rstrip("."), r["Type"]): r for page in pages for r in page["ResourceRecordSets"]}


def address_records(route53: Any, zone_id: str) -> dict[str, AwsEntry]:
    """Name → its record of type A."""
    return {name: record for (name, type), record in records(route53, zone_id).items() if type == "A"}
