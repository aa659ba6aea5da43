"""A soak of a lab: two events in the night, and as many as SOAK_MINUTES lets (tests/soak.py)."""

import os
import time
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest

from tests.soak import MINUTES, SEED, draw, judge
from tests.system import faults, soaking
from tests.system.conftest import System
from tests.system.on import wait_until_well
from tests.system.soaking import EVENTS, Soak

pytestmark = [pytest.mark.lab, pytest.mark.nightly, pytest.mark.timeout(7200)]
FEW = ["connection cut", "unhealthy deploy"]


@pytest.fixture
def watchme(system: System) -> Iterator[System]:
    """The lab with a deadline as short as a soak needs; afterwards as it was, whatever happened."""
    with system.configured(healthDeadline=soaking.DEADLINE):
        yield system
    faults.push(system)
    system.must_up()


def test_whatever_happens_the_host_serves_what_it_may(watchme: System) -> None:
    seed, minutes = os.environ.get(SEED, "1"), float(os.environ.get(MINUTES, "0"))
    soak = Soak(watchme, Random(seed))
    # Where all begins and ends
    soak.builds = soaking.release(soak)
    wait_until_well(watchme)
    files, counted, kept = soaking.files(watchme), soaking.counts(watchme), soaking.kept(watchme)
    names, end = (draw(seed, [*EVENTS]) if minutes else islice(FEW, None)), time.monotonic() + 60 * minutes
    with soak.clients():
        for number, name in enumerate(names):
            if minutes and time.monotonic() > end:
                break
            print(f"{time.strftime('%H:%M:%S')} event {number} of seed {seed}: {name}", flush=True)
            soak.happen(name)
        soak.happen("release")
    complaints = judge(soak.events, soak.answers)
    failed = sum(answer.status != 200 for answer in soak.answers)
    print(f"{len(soak.events)} events, {len(soak.answers)} requests, {failed} failed while the host was away")
    assert complaints == [], "\n".join(complaints)
    assert len(soak.answers) > 20 * len(soak.events)
    wait_until_well(watchme)
    preview = watchme.pulumi("preview", "--expect-no-changes")
    assert preview.code == 0, preview.output
    for command in ("status", "drift"):
        ran = watchme.command("infra", command, "--stack", "lab")
        assert ran.code == 0, ran.output
    # Nothing is left that was not there before
    assert soaking.files(watchme) == files
    assert soaking.counts(watchme) == counted
    releases, images = soaking.kept(watchme)
    keeps = 5
    assert releases <= max(kept[0], keeps + 1) and images <= kept[1] + keeps, (kept, releases, images)
