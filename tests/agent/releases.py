"""Releases of WatchMe, and hosts in memory that serve them."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from agent.apply import apply, go_back
from agent.archive import members
from agent.job import Job
from agent.outcome import Outcome
from agent.recover import recover
from rendering.archive import Release, build
from rendering.host import render
from tests.agent.fake import FakeWorld, Killed
from tests.rows import every_change
from tests.support import Change, catalogue, digests, service, unchanged

AVATAR = "/home/ubuntu/watchme-avatar-uploader/docker-compose.prod.yml"
AVATAR_UNIT = "watchme-avatar-uploader.service"
SITE = "/etc/nginx/sites-available/api.hey-watch.me"
JOB = Job("j1", "apply", "alice@laptop", "watchme")


@cache
def release(system: Change = unchanged, config: Change = unchanged, version: int = 1) -> Release:
    return build(render(catalogue(system, config), "watchme", digests(system, version)))


def bigger(data: Any) -> None:
    """One service with another memory limit: one compose file changes."""
    service(data, "avatar-uploader")["memory"].update(limit="300m")


def longer(data: Any) -> None:
    """One route with a larger body: the Nginx site changes."""
    service(data, "avatar-uploader")["routes"][0].update(max_body="20M")


def blue_green(data: Any) -> None:
    """One service has two slots."""
    service(data, "vault-api").update(rollout="blue-green", spare_port=8090, spare_address="172.27.0.90")


def blue_green_changed(data: Any) -> None:
    blue_green(data)
    service(data, "vault-api")["memory"].update(limit="300m")


def with_echo(data: Any) -> None:
    entry = dict(service(data, "web"))
    entry.update(
        name="echo", port=8020, port_exception=None, container="echo", address="172.27.0.20", unit="echo.service",
        directory="/srv/echo", routes=[{"public": "/echo/"}],
    )  # fmt: skip
    data["services"].append(entry)


def images(made: Release) -> set[str]:
    return {image for unit in made.manifest["units"] for image in unit["images"]}


def world_for(*made: Release) -> FakeWorld:
    return FakeWorld(registry=set().union(*(images(one) for one in made)))


def _new_process(world: FakeWorld) -> None:
    """A job is a process of its own, and knows nothing of what another one asked."""
    world.ran.clear()
    vars(world).pop("can", None)


_unpacked = cache(members)


def applied(world: FakeWorld, made: Release, secrets: Any = None, job: Job = JOB, **replaced: bytes) -> Outcome:
    _new_process(world)
    world.registry |= images(made)
    return apply(world, job, made.id, {**_unpacked(made.archive), **replaced}, secrets or {})


def killed_at_each_change(start: FakeWorld, made: Release, web: Callable[[FakeWorld], Any]) -> Iterator[FakeWorld]:
    """The host after a kill of the agent at a change of a release (which ones: tests/rows.py), and the next job's recovery.
    `web` is what answers on a host."""
    for number in every_change():
        world = copy.deepcopy(start)
        world.web, world.kill_at = web(world), world.changes + number
        try:
            applied(world, made)
        except Killed:
            world.kill_at = None
            recover(world, JOB, "the agent was ended midway")
            yield world
        else:
            return


def gone_back(world: FakeWorld, id: str) -> Outcome:
    _new_process(world)
    return go_back(world, replace(JOB, kind="rollback"), id)


def serving(*made: Release) -> FakeWorld:
    """A host that these releases were brought to, one after the other."""
    world = world_for(*made)
    for one in made:
        outcome = applied(world, one)
        assert outcome.outcome == "applied", outcome.line
    return world
