"""What machines cost: a dated table of AWS's prices, and what a stack's hosts come to by any such table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from catalogue.stack import Stack

HOURS = 730  # of a month, as AWS counts


@dataclass(frozen=True)
class Prices:
    """A region's, in US dollars: `machines` an hour by instance type, `disk` a GiB of gp3 for a month, `address` an
    hour of a public IPv4 address."""

    machines: Mapping[str, float]
    disk: float
    address: float


@dataclass(frozen=True)
class Table:
    """Region → prices, as they were on a day; `address` is the same in all."""

    as_of: date
    source: str
    regions: Mapping[str, Prices]
    address: float


@cache
def table() -> Table:
    """The one of this repository, prices.yaml."""
    document = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text(encoding="utf-8"))
    regions = {
        name: Prices(entry["machines"], entry["disk"], document["address"])
        for name, entry in document["regions"].items()
    }
    return Table(document["as_of"], document["source"], regions, document["address"])


# Host → instance type, GiB of its disk, and of its data disk where it has one
Machines = Mapping[str, Sequence[Any]]


def machines_of(stack: Stack) -> Machines:
    """Every machine, with those that a host keeps beside its own in the region that serves (`HOST NUMBER`)."""
    machines: dict[str, Sequence[Any]] = {}
    for name, host in stack.ec2_hosts.items():
        machines[name] = (host.instanceType, *host.disks)
        machines |= {f"{name} {number}": (type, *host.disks) for number, type in host.kept_types.items()}
    return machines


def monthly(machines: Machines, prices: Prices | None) -> float | None:
    """US dollars a month for machines, their disks and addresses in one region; None where a price is not known. What
    is pushed and asked for (images, traffic, logs) is not in it, nor alarms and metrics."""
    total = 0.0
    for type, *disks in machines.values():
        if prices is None or type not in prices.machines:
            return None
        total += HOURS * (prices.machines[type] + prices.address) + sum(disks) * prices.disk
    return round(total, 2)


def monthly_everywhere(machines: Machines, regions: Iterable[str]) -> float | None:
    """The same in all of a stack's regions, the one that serves first, by the dated table."""
    own = {name: machine for name, machine in machines.items() if " " not in name}
    parts = [monthly(own if number else machines, table().regions.get(region)) for number, region in enumerate(regions)]
    return None if None in parts else round(sum(part for part in parts if part is not None), 2)
