"""Two hundred services and a thousand files on one host: no command line and no question grows too long."""

import copy
from dataclasses import replace

import pytest

from agent.recover import recover
from catalogue.models import System
from rendering.archive import Release, build
from rendering.host import render
from tests.agent.releases import JOB, applied, world_for
from tests.support import WATCHME, catalogue, service

SERVICES, FILES = 200, 1000
# Of the kernel's limits the one on a single word is the smaller: 128 KiB; all of a command line may have 2 MiB
LONGEST = 128 * 1024


def many(limit: str = "16m") -> Release:
    """Containers with an image each, and a native service with many configuration files."""
    data = copy.deepcopy(WATCHME)
    first = service(data, "admin")
    data["sites"] = []
    data["services"] = [
        {
            **copy.deepcopy(first), "name": f"web{number}", "container": f"web{number}", "port": 9000 + number,
            "unit": f"web{number}.service", "directory": f"/srv/web{number}", "routes": [],
            "image": {"repository": f"web{number}", "tag": "latest"}, "memory": {"limit": limit},
            "address": f"172.27.{number // 200 + 1}.{number % 200 + 2}",
        }
        for number in range(SERVICES)
    ]  # fmt: skip
    for entry in data["services"]:
        entry.pop("port_exception", None)
    data["services"].append(
        {
            "name": "worker", "kind": "unit", "purpose": "x", "unit": "worker.service", "memory": {"limit": "16m"},
            "directives": {"Service": {"ExecStart": "/bin/true"}, "Install": {"WantedBy": "multi-user.target"}},
            "files": [{"path": f"/srv/worker/{n}.conf", "source": f"watchme/{n}.conf"} for n in range(FILES)],
        }
    )  # fmt: skip
    made = catalogue()
    system = System.model_validate(data)
    sources = {f"watchme/{n}.conf": f"{limit} {n}\n".encode() for n in range(FILES)}
    made = replace(made, systems={"watchme": system}, sources=sources)
    digests = {f"web{n}:latest": f"sha256:{n:064x}" for n in range(SERVICES)}
    return build(render(made, "watchme", digests))


@pytest.mark.nightly
def test_release_and_rollback_of_many_services():
    first, second = many(), many("17m")
    world = world_for(first, second)
    assert applied(world, first).outcome == "applied"
    outcome = applied(world, second)
    assert outcome.outcome == "applied" and len(outcome.restarted) > SERVICES
    assert len(outcome.line) < 1000
    assert max(len(command) for command in world.ran) < LONGEST
    assert recover(world, JOB, "a test") is None
    assert applied(world, second).outcome == "unchanged"
