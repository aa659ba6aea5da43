"""A release that may change one service and nothing else."""

from dataclasses import replace
from functools import cache

import pytest

from rendering.archive import build
from rendering.host import render
from tests.agent.releases import AVATAR, JOB, applied, blue_green, longer, release, serving
from tests.support import catalogue, digests, service, unchanged

ALONE = replace(JOB, only=("avatar-uploader",))


@cache
def with_image(name: str, change=unchanged, config=unchanged, number: int = 9):
    """The release with another image under this name."""
    return build(render(catalogue(change, config), "watchme", {**digests(change), name: f"sha256:{number:064x}"}))


def image_of(name: str, change=unchanged) -> str:
    made = catalogue(change).systems["watchme"]
    return next(own.image.name for own in made.compose_services if own.name == name)


NAME = image_of("avatar-uploader")


def test_another_image_of_it_is_brought():
    world = serving(release())
    ended = applied(world, with_image(NAME), job=ALONE)
    assert ended.outcome == "applied" and ended.changed == [AVATAR], ended.line


def smaller(data):
    service(data, "web")["memory"].update(limit="111m")


def renamed(data):
    service(data, "web").update(health="/up")


OTHERS = {
    "another service's limit": (smaller, unchanged, "docker-compose.prod.yml"),
    "another service's health": (renamed, unchanged, "more than avatar-uploader differs"),
    "a site": (longer, unchanged, "/etc/nginx/sites-available/api.hey-watch.me"),
    "a service that leaves": (lambda data: data["services"].remove(service(data, "admin")), unchanged, "watchme-admin"),
    "what no file has": (unchanged, lambda config: config.update({"infra:healthDeadline": 77}), "this host: health"),
}


@pytest.mark.parametrize(("change", "config", "named"), OTHERS.values(), ids=OTHERS)
def test_whatever_else_differs_is_refused_and_named(change, config, named):
    world = serving(release())
    before = dict(world.files)
    ended = applied(world, with_image(NAME, change, config), job=ALONE)
    assert ended.outcome == "refused" and "nothing touched: more than avatar-uploader differs" in ended.line
    assert named in ended.line and "Run pulumi up for all of it" in ended.line, ended.line
    assert {path: world.files.get(path) for path in before} == before
    # The same without that limit is a whole update
    assert applied(world, with_image(NAME, change, config)).outcome == "applied"


def test_another_service_that_is_stopped_stays_stopped():
    """It is not this deploy's affair, and would hold up its health."""
    world = serving(release())
    world.active.discard("watchme-admin.service")
    world.web = lambda url: 503 if ":9000" in url else 200
    ended = applied(world, with_image(NAME), job=ALONE)
    assert ended.outcome == "applied", ended.line
    assert "watchme-admin.service" not in world.active


def test_a_service_with_two_slots_changes_its_slot():
    world = serving(release(blue_green))
    before = dict(world.links)
    made = with_image(image_of("vault-api", blue_green), blue_green)
    ended = applied(world, made, job=replace(JOB, only=("vault-api",)))
    assert ended.outcome == "applied", ended.line
    assert len({path for path in world.links if world.links[path] != before.get(path)}) >= 1


def test_a_first_release_is_whole():
    ended = applied(serving(), with_image(NAME), job=ALONE)
    assert ended.outcome == "refused" and "no release yet, and avatar-uploader alone is none" in ended.line
