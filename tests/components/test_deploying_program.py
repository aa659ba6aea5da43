"""An update for one service alone, as a whole program: what stands by takes no part in it, and may be one behind."""

import json
from contextlib import nullcontext

import pulumi
import pytest

from components import region
from components.alone import refuse_stale
from components.before import Before, Served
from components.configuration import Deploying
from tests.components.program import run_program
from tests.support import stack


def test_what_stands_by_is_not_held_against_what_it_serves(monkeypatch):
    asked = []

    def refuse_more(host, changes, before, after, served):
        asked.append((host, changes, after.manifest["region"]))
        return after

    monkeypatch.setattr(region, "refuse_more", refuse_more)
    monkeypatch.setenv("INFRA_DEPLOYING", json.dumps({"host": "watchme", "services": ["web"], "deployed": {}}))
    run_program({"infra:standbyRegions": ["ap-southeast-2"]})
    assert asked == [("watchme", "images of web", "ap-northeast-1")]


SERVED = {"watchme-ap-northeast-1-release": Served("r1")}


@pytest.mark.parametrize(
    ("said", "is_stale"),
    [
        ({}, False),
        ({"release": "r1", "basis": {}}, False),
        ({"release": "r0", "basis": {}}, True),
        ({"release": "r1", "basis": {"watchme": {"admin": {"watchme-admin:latest": "sha256:1"}}}}, True),
    ],
    ids=["an earlier version's", "as it is", "another release serves by now", "another service was deployed by now"],
)
def test_what_was_worked_out_before_another_update_ended_is_not_done(said, is_stale):
    """It would take back what that one brought."""
    deploying = Deploying("watchme", ["web"], {}, **said)
    prior = Before(served=SERVED)
    with (
        pytest.raises(pulumi.RunError, match="the stack was updated meanwhile: run the same command again")
        if is_stale
        else nullcontext()
    ):
        refuse_stale(deploying, prior, stack())
