"""What drift shows, and what it never does."""

from agent.drift import drift
from tests.agent.releases import AVATAR, SITE, applied, release, serving, world_for
from tests.support import service

ENVIRONMENT = "/home/ubuntu/watchme-docker/web.env"


def with_secret():
    made = release(lambda data: service(data, "web").update(environment={"MODE": "prod"}, secrets=["TOKEN"]))
    world = world_for(made)
    assert applied(world, made, {"web": {"TOKEN": "hunter2"}}).outcome == "applied"
    return world


def test_unchanged_host_has_no_drift():
    world = serving(release())
    before, changes = world.seen_by_programs(), world.changes
    assert drift(world) == [] and (world.seen_by_programs(), world.changes) == (before, changes)


def test_an_edited_file_is_a_unified_diff_from_release_to_host():
    world = serving(release())
    content, mode, owner, group = world.files[AVATAR]
    world.files[AVATAR] = (content.replace(b"mem_limit: 200m", b"mem_limit: 400m"), mode, owner, group)
    (found,) = drift(world)
    assert found["path"] == AVATAR and found["found"] == "was edited"
    assert f"--- release{AVATAR}\n+++ host{AVATAR}\n" in found["diff"]
    assert "-    mem_limit: 200m\n+    mem_limit: 400m" in found["diff"]


def test_missing_file_wrong_mode_other_link_stopped_unit():
    world = serving(release())
    del world.files[AVATAR]
    world.files[SITE] = (world.files[SITE][0], 0o666, "ubuntu", "root")
    world.links["/etc/nginx/sites-enabled/api.hey-watch.me"] = "/tmp/other"
    world.active.discard("watchme-admin.service")
    world.enabled.discard("watchme-web-app.service")
    assert {f"{item['path']} {item['found']}" for item in drift(world)} == {
        f"{AVATAR} is missing",
        f"{SITE} is 0666 ubuntu:root, not 0644 root:root",
        f"/etc/nginx/sites-enabled/api.hey-watch.me links to /tmp/other, not to {SITE}",
        "watchme-admin.service is not active",
        "watchme-web-app.service is not enabled",
    }


def test_drift_shows_no_secret():
    world = with_secret()
    edited = b"# password is swordfish\nEXTRA=swordfish\nMODE=debug\nTOKEN=swordfish\nswordfish\n"
    world.files[ENVIRONMENT] = (edited, 0o600, "root", "root")
    (found,) = drift(world)
    assert "hunter2" not in found["diff"] and "swordfish" not in found["diff"]
    assert "-MODE=prod" in found["diff"] and "+MODE=debug" in found["diff"]
    assert "-TOKEN=[not shown]" in found["diff"] and "+TOKEN=[another value, not shown]" in found["diff"]


def test_a_very_large_file_is_compared_and_not_shown():
    """The comparison itself would take minutes."""
    world = serving(release())
    _, mode, owner, group = world.files[AVATAR]
    world.files[AVATAR] = (b"a\nb\n" * 10_000_000, mode, owner, group)
    (found,) = drift(world)
    assert found["found"] == "was edited" and "40000000 bytes here: too large to show]" in found["diff"]
