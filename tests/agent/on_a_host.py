"""What the agent does on a host in memory and with real files, by whichever Python runs this. Standard library, the
agent, and the host in memory only: it goes into the roots of tests/pythons.py.

Standard input has `releases`: name → {id, archive in base64}. Standard output has what happened: scene → result.
"""

from __future__ import annotations

import base64
import importlib
import json
import pkgutil
import sys
import tempfile
from dataclasses import asdict, replace
from typing import Any

import agent
from agent import accounts, contents, drift, namespaces, pressure, singletons, store
from agent.apply import apply, go_back
from agent.archive import members
from agent.job import Job
from agent.monitor import run as monitor
from agent.places import read_file
from agent.recover import recover
from agent.world import CommandResult, World
from tests.agent.docker import Docker
from tests.agent.fake import FakeWorld, Killed

JOB = Job("j1", "apply", "alice@laptop", "watchme")
# These go to a host as a text of their own, and import nothing
TEXTS = ("receive",)


def modules() -> list[str]:
    """Imports every module of the agent; their names."""
    found = [m.name for m in pkgutil.walk_packages(agent.__path__, "agent.") if m.name.split(".")[1] not in TEXTS]
    for name in found:
        importlib.import_module(name)
    return sorted(found)


def run(releases: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Scene → result, equal on every Python."""
    first, second, watched = (
        (releases[name]["id"], members(base64.b64decode(releases[name]["archive"])))
        for name in ("first", "second", "watched")
    )

    def fresh() -> FakeWorld:
        images = {
            image
            for _, files in (first, second, watched)
            for unit in json.loads(files["manifest.json"])["units"]
            for image in unit["images"]
        }
        return FakeWorld(registry=images)

    def serving(world: FakeWorld | None = None) -> FakeWorld:
        world = world or fresh()
        apply(world, JOB, *first, {})
        return world

    def again(world: FakeWorld, release: Any) -> dict[str, Any]:
        return asdict(apply(world, JOB, *release, {}))

    def killed(change: int) -> str:
        """How a release ends whose agent is killed before its so-many-th change of the host."""
        world = serving()
        world.kill_at = world.changes + change
        try:
            return apply(world, JOB, *second, {}).line
        except Killed:
            world.kill_at = None
            found = recover(world, JOB, "the host restarted midway")
            return found[1].line if found else "nothing was touched"

    unhealthy, invalid, both = serving(), serving(), serving()
    unhealthy.web = lambda url: 500 if "8014" in url else 200
    invalid.answers["/usr/bin/docker-compose -f"] = CommandResult(1, "x: no such thing")
    observed = fresh()
    apply(observed, JOB, *watched, {})
    scenes = {
        "first": again(fresh(), first),
        "unchanged": again(serving(), first),
        "another": again(both, second),
        "back": asdict(go_back(both, replace(JOB, kind="rollback"), first[0])),
        "unhealthy": again(unhealthy, second),
        "invalid": again(invalid, second),
        "killed": [killed(change) for change in range(100, 200, 4)],
    }
    return {"modules": modules(), **scenes, **_between_releases(observed), **_files()}


def _between_releases(world: FakeWorld) -> dict[str, Any]:
    """What a host does by itself."""
    release = store.current(world)
    assert release is not None
    world.docker = Docker.of(release.manifest)
    ended = monitor.run(world, fix=False)
    said: list[str] = []
    watch = pressure.Watch(world, [], said.append)
    watch.begin()
    watch.look()
    config = {"check": 60, "address": "192.0.2.1", "singles": [{"name": "a.example", "service": "a", "unit": "a"}]}
    singletons.Watch(world, config, lambda name: ["192.0.2.1"], said.append).look()
    accounts.agree(world, [])
    return {
        "monitor": [[entry["alert"], entry["subject"], entry["met"]] for entry in ended["conditions"]],
        "left": ended["left"],
        "drift": drift.drift(world),
        "contents": sorted(contents.contents(world)),
        "said": said,
    }


def _files() -> dict[str, Any]:
    """The real host's files and processes, as far as any machine has them."""
    world = World()
    with tempfile.TemporaryDirectory() as place:
        world.directory(f"{place}/a", 0o755, "root", "root")
        world.write(f"{place}/a/b", b"text", 0o600, "root", "root")
        world.settle(place)
        world.link(f"{place}/a/c", "b")
        found = [world.listing(f"{place}/a"), world.owner_and_mode(f"{place}/a/b"), world.link_target(f"{place}/a/c")]
        read = (read_file(f"{place}/a/b") or b"").decode()
        world.remove_tree(f"{place}/a")
        gone = not world.exists(f"{place}/a")
    return {
        "files": [found, read, gone],
        "ran": [world.run("sh", "-c", "echo 1; exit 3").code, world.run("no-such-program").code],
        "streamed": list(world.stream("printf", "a\\nb\\n")),
        "query": len(namespaces.query("a.example")),
    }


if __name__ == "__main__":
    print(json.dumps({"version": list(sys.version_info[:3]), "scenes": run(json.load(sys.stdin)["releases"])}))
