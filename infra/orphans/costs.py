"""What an orphan costs, as far as the dated table of prices says."""

from typing import Any

from catalogue.prices import HOURS, table
from infra.orphans.command import Orphan, client

INSTANCE, ADDRESS = "aws:ec2/instance:Instance", "aws:ec2/eip:Eip"
VOLUME = "aws:ebs/volume:Volume"


def monthly(orphan: Orphan) -> float | None:
    """US dollars a month: of an instance with its disks, of a data disk, of an address; 0 of what AWS counts by use
    alone, None where the price is not known."""
    prices = table().regions.get(orphan.region)
    if orphan.type == ADDRESS:
        return round(HOURS * table().address, 2)
    if orphan.type not in (INSTANCE, VOLUME):
        return 0.0
    ec2 = client("ec2", orphan.region)
    if orphan.type == VOLUME:
        size = ec2.describe_volumes(VolumeIds=[orphan.id])["Volumes"][0]["Size"]
        return round(size * prices.disk, 2) if prices else None
    instance = ec2.describe_instances(InstanceIds=[orphan.id])["Reservations"][0]["Instances"][0]
    filters: Any = [{"Name": "attachment.instance-id", "Values": [orphan.id]}]
    disks = sum(volume["Size"] for volume in ec2.describe_volumes(Filters=filters)["Volumes"])
    if prices is None or instance["InstanceType"] not in prices.machines:
        return None
    return round(HOURS * prices.machines[instance["InstanceType"]] + disks * prices.disk, 2)


def price_text(dollars: float | None) -> str:
    return "price not known" if dollars is None else f"{dollars:.2f} USD a month" if dollars else "no fixed price"
