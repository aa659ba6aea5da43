"""A release that may change one service and nothing else."""

from dataclasses import replace
from functools import cache

import pytest

from rendering.archive import build
from rendering.host import render
from tests.agent.releases import AVATAR, JOB, applied, blue_green, release, serving, world_for
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


def test_new_image_of_one_service_is_applied():
    world = serving(release())
    ended = applied(world, with_image(NAME), job=ALONE)
    assert ended.outcome == "applied" and ended.changed == [AVATAR], ended.line


NETWORK = "/etc/systemd/system/watchme-infrastructure.service"
OTHERS = {
    "the network of all": NETWORK,
    "another service's compose file": "/home/ubuntu/api_ast/docker-compose.prod.yml",
    "the site": "/etc/nginx/sites-available/api.hey-watch.me",
}


@pytest.mark.parametrize("path", OTHERS.values(), ids=OTHERS)
def test_hand_edits_of_other_services_stay(path):
    """It is drift, and another update's: nothing restarts for it."""
    world = serving(release())
    edited = world.files[path][0] + b"# by hand\n"
    world.files[path] = (edited, *world.files[path][1:])
    before = world.commands("systemctl")
    ended = applied(world, with_image(NAME), job=ALONE)
    assert ended.outcome == "applied" and ended.changed == [AVATAR], ended.line
    assert world.files[path][0] == edited
    done = world.commands("systemctl")[len(before) :]
    assert not [one for one in done if "ast-api" in one and one.split()[1] in ("start", "stop", "restart")], done


def test_directory_of_another_service_stays_unchanged():
    world = serving(release())
    place = "/home/ubuntu/api_ast"
    world.directories[place] = ("alice", "alice", 0o700)
    assert applied(world, with_image(NAME), job=ALONE).outcome == "applied"
    assert world.directories[place] == ("alice", "alice", 0o700)


def test_unchanged_deploy_checks_only_its_own_service():
    world = serving(release())
    assert applied(world, with_image(NAME), job=ALONE).outcome == "applied"
    world.web = lambda url: 503 if ":9000" in url else 200
    assert applied(world, with_image(NAME), job=ALONE).outcome == "unchanged"
    assert applied(world, with_image(NAME)).outcome == "refused"


def test_stopped_service_stays_stopped_when_another_is_deployed():
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
    assert ended.outcome == "refused" and "no release yet, so avatar-uploader cannot be deployed alone" in ended.line


def test_changed_secret_restarts_only_the_services_that_use_it():
    """As `infra secret rotate` brings it: the release differs in one digest."""

    def change(data):
        service(data, "web").update(environment={"MODE": "prod"}, secrets=["TOKEN"])

    def with_value(value):
        given = {"infra:secrets": {"web": {"TOKEN": value}}, "infra:sshPrivateKey": "k"}
        return build(render(catalogue(change, lambda config: config.update(given)), "watchme", digests(change)))

    world = world_for(with_value("old"))
    assert applied(world, with_value("old"), {"web": {"TOKEN": "old"}}).outcome == "applied"
    ended = applied(world, with_value("new"), {"web": {"TOKEN": "new"}}, job=replace(JOB, only=("web",)))
    path = "/home/ubuntu/watchme-docker/web.env"
    assert ended.outcome == "applied" and ended.changed == [path], ended.line
    assert b"TOKEN='new'" in world.files[path][0] or b"TOKEN=new" in world.files[path][0]
    done = [line.split() for line in world.commands("systemctl")]
    restarted = [words[2:] for words in done if words[1] in ("restart", "start", "stop")]
    assert restarted and all(names == ["watchme-web-app.service"] for names in restarted), done
