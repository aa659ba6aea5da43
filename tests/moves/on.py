"""Looking at a stack that moves."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import boto3

from lab import workspace
from lab.cloud import faults
from lab.settings import ZONE
from lab.table import address_of
from tests.system.conftest import Ran, System

SYDNEY, TOKYO = "ap-southeast-2", "ap-northeast-1"
NAME = f"api.{ZONE}"


def stays_in(system: System, *standby: str) -> None:
    """The regions that stand by, in the stack's configuration."""
    system.unset("infra:standbyRegions")
    for number, region in enumerate(standby):
        system.set(f"infra:standbyRegions[{number}]", region)


def other_region(system: System) -> str:
    """Leaves the stack in the region where it serves alone; the other one, which is ready to be added."""
    other = opposite(points_to(system) or TOKYO)
    stays_in(system)
    system.must_up()
    if other == SYDNEY:
        # Its network was an existing one; this time one is made
        system.unset("infra:networks")
    return other


def goes_to(system: System, region: str, *standby: str) -> None:
    system.set("aws:region", region)
    stays_in(system, *standby)


def opposite(region: str) -> str:
    return TOKYO if region == SYDNEY else SYDNEY


def move(system: System, region: str) -> Ran:
    """One command of the operator, which keeps the machines it leaves."""
    return system.command("infra", "move", region, "--keep", "--yes", "--stack", "lab")


def must_move(system: System, region: str) -> str:
    ran = move(system, region)
    assert ran.code == 0, ran.output
    return ran.output


def client(system: System, service: str, region: str = TOKYO):
    """AWS as the administrator of the lab's account."""
    env = workspace.environment(system.lab)
    return boto3.client(
        service, region_name=region, endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


def region_of(system: System, address: str) -> str | None:
    """Where a public address is."""
    for region in (SYDNEY, TOKYO):
        found = client(system, "ec2", region).describe_addresses()["Addresses"]
        if any(entry["PublicIp"] == address and entry.get("InstanceId") for entry in found):
            return region
    return None


def points_to(system: System) -> str | None:
    """The region that the public name points to."""
    return region_of(system, address_of(NAME, system.lab.dns))


def answers(system: System) -> bool:
    """Does the public name answer, wherever it points."""
    return system.ask("GET", "/health")[0] == 200 and system.ask("GET", "/avatar/health")[0] == 200


def resources(system: System) -> dict[str, str]:
    """URN's name → type, of all that the stack has."""
    state = json.loads(system.pulumi("stack", "export").output)
    return {r["urn"].rsplit("::", 1)[1]: r["type"] for r in state["deployment"].get("resources", [])}


def of_region(system: System, region: str) -> set[str]:
    """What the stack has in a region."""
    return {name for name in resources(system) if region in name}


def runs(system: System) -> list[tuple[float, str]]:
    """Every run of the scheduler, wherever it was: seconds since 1970, and the machine."""
    lines = system.lab.path("run", "runs").read_text().splitlines()
    return [(float(when), machine) for when, _, machine in (line.split() for line in lines)]


def turns(seen: list[tuple[float, str]]) -> list[tuple[str, float, float]]:
    """Who ran it one after the other: machine, first and last run. Two at a time would take turns without an end."""
    found = []
    for machine, group in groupby(sorted(seen), key=lambda run: run[1]):
        times = [when for when, _ in group]
        found.append((machine, times[0], times[-1]))
    return found


def were_refused(system: System) -> list[str]:
    """The actions that AWS refused, or did without an answer, the last time that it did."""
    log = system.lab.path("run", "refusals.log")
    return [line.split(" ", 1)[1] for line in log.read_text().splitlines()] if log.exists() else []


@contextmanager
def held(system: System, *actions: str, body: str = "") -> Iterator[None]:
    """AWS does these meanwhile, and its answers never come."""
    with refused(system, *actions, body=body, reason=faults.HOLD):
        yield


@contextmanager
def refused(
    system: System, *actions: str, region: str = "", body: str = "", reason: str = "AccessDenied"
) -> Iterator[None]:
    """AWS refuses actions meanwhile."""
    file = system.lab.path("run", "refusals.json")
    file.with_suffix(".log").unlink(missing_ok=True)
    entries = [{"action": action, "region": region, "body": body, "reason": reason} for action in actions]
    part = file.with_suffix(".part")
    part.write_text(json.dumps(entries))
    part.rename(file)
    try:
        yield
    finally:
        file.unlink()
