"""An update for one service alone, as a whole program: what stands by takes no part in it, and may be one behind."""

import json

from components import region
from tests.components.program import run_program


def test_what_stands_by_is_not_held_against_what_it_serves(monkeypatch):
    asked = []

    def only_images(host, services, before, after, served):
        asked.append((host, services, after.manifest["region"]))
        return after

    monkeypatch.setattr(region, "only_images", only_images)
    monkeypatch.setenv("INFRA_DEPLOYING", json.dumps({"host": "watchme", "services": ["web"], "deployed": {}}))
    run_program({"infra:standbyRegions": ["ap-southeast-2"]})
    assert asked == [("watchme", ["web"], "ap-northeast-1")]
