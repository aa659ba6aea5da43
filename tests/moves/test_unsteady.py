"""A region created and removed while AWS throttles, does not know yet what it has just made, and answers names late."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.moves.on import client, other_region, refused, stays_in
from tests.rows import rows
from tests.system.conftest import System

pytestmark = pytest.mark.lab
SHARE = 0.15  # of all requests


@contextmanager
def a_bad_day(system: System, seed: int) -> Iterator[None]:
    file = system.lab.path("run", "unsteady.json")
    file.with_suffix(".log").unlink(missing_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"seed": seed, "share": SHARE}))
    part.rename(file)
    try:
        yield
    finally:
        file.unlink()


@pytest.mark.nightly
def test_missing_capacity_is_reported_and_another_zone_works(sydney):
    """No update tries another zone by itself: the machines of a region share one, and the stack says which."""
    other = other_region(sydney)
    stays_in(sydney, other)
    with refused(sydney, "RunInstances", reason="InsufficientInstanceCapacity"):
        ran = sydney.up()
    assert ran.code != 0 and "InsufficientInstanceCapacity" in ran.output, ran.output
    sydney.set(f"infra:availabilityZones.{other}", f"{other}c")
    try:
        sydney.must_up()
        subnets = client(sydney, "ec2", other).describe_subnets(Filters=[{"Name": "tag:stack", "Values": ["lab"]}])
        assert {subnet["AvailabilityZone"] for subnet in subnets["Subnets"]} == {f"{other}c"}
        assert sydney.command("infra", "orphans", "--stack", "lab").code == 0
    finally:
        stays_in(sydney)
        sydney.must_up()
        sydney.unset("infra:availabilityZones")
    assert sydney.pulumi("preview", "--expect-no-changes").code == 0


@pytest.mark.parametrize("seed", rows(["1", "2"], always=[]))
def test_region_is_created_and_deleted_with_transient_failures(sydney, seed):
    other = other_region(sydney)
    with a_bad_day(sydney, int(seed)):
        stays_in(sydney, other)
        sydney.must_up()
        log = sydney.lab.path("run", "unsteady.log").read_text()
        listed = sydney.command("infra", "orphans", "--stack", "lab")
        stays_in(sydney)
        sydney.must_up()
    assert len(re.findall("RequestLimitExceeded|Throttling", log)) > 5, log
    assert "NotFound" in log or "NoSuchEntity" in log, log
    assert listed.code == 0, f"{listed.output}\n{log}"
    assert sydney.pulumi("preview", "--expect-no-changes").code == 0
    assert sydney.command("infra", "orphans", "--stack", "lab").code == 0
