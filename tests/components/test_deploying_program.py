"""An update for one service alone, as a whole program: what stands by takes no part in it, and may be one behind."""

import json
from contextlib import nullcontext

import pulumi
import pytest

from components import region
from components.alone import refuse_stale
from components.before import Before, LastRelease
from components.configuration import Deploying
from tests.components.program import run_program
from tests.support import stack


def test_standby_is_not_compared_with_its_serving_release(monkeypatch):
    asked = []

    def refuse_more(host, changes, before, after, served):
        asked.append((host, changes, after.manifest["region"]))
        return after

    monkeypatch.setattr(region, "refuse_more", refuse_more)
    monkeypatch.setenv("INFRA_DEPLOYING", json.dumps({"host": "watchme", "services": ["web"], "deployed": {}}))
    run_program({"infra:standbyRegions": ["ap-southeast-2"]})
    assert asked == [("watchme", "images of web", "ap-northeast-1")]


def test_rotation_is_compared_by_the_serving_digests(monkeypatch):
    """What the program renders without the new value is the release that serves."""
    asked = []

    def refuse_more(host, changes, before, after, served):
        asked.append((changes, before, after))
        return after

    monkeypatch.setattr(region, "refuse_more", refuse_more)

    def run(value, versions):
        given = {"host": "watchme", "services": ["web"], "deployed": {}, "versions": versions}
        monkeypatch.setenv("INFRA_DEPLOYING", json.dumps(given))
        run_program({"infra:secrets": {"monitor": {"webhook": f"https://x.example/{value}"}}})
        return asked[-1]

    _, _, serving = run("old", {})
    (version,) = {
        item["versions"][place] for item in serving.manifest["environment_files"] for place in item["versions"] if "webhook" in place
    }  # fmt: skip
    changes, before, after = run("new", {"monitor/webhook": version})
    assert changes == "secrets of web" and before.id == serving.id != after.id


SERVED = {"watchme-ap-northeast-1-release": LastRelease("r1")}


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
def test_deploy_planned_before_another_update_is_refused(said, is_stale):
    """It would take back what that one brought."""
    deploying = Deploying("watchme", ["web"], {}, **said)
    prior = Before(last_releases=SERVED)
    with (
        pytest.raises(pulumi.RunError, match="the stack was updated meanwhile: run the same command again")
        if is_stale
        else nullcontext()
    ):
        refuse_stale(deploying, prior, stack())
