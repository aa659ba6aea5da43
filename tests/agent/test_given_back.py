"""Certificates that a release replaced before its switch are in force again where it comes to none, or it is said."""

import copy

import pytest

from agent import certificates, existing, lineages
from agent.outcome import Refused
from agent.recover import recover
from agent.store import Release
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import JOB, applied, bigger, release, serving, world_for
from tests.rows import changes

NAME = "api.hey-watch.me"
RENEWAL = lineages.renewal(NAME)


def with_another_authoritys() -> FakeWorld:
    world = world_for(release())
    world.certify(NAME, "https://other.example/directory")
    return world


def test_certificates_left_by_a_full_disk_are_restored_by_the_next_job():
    start, seen = with_another_authoritys(), 0
    before = start.files[RENEWAL]
    whole = copy.deepcopy(start)
    assert applied(whole, release()).outcome == "applied" and whole.files[RENEWAL] != before
    for number in changes(whole.changes - start.changes - 1):
        world = copy.deepcopy(start)
        world.break_at, world.stays_full = world.changes + number, True
        try:
            outcome = applied(world, release())
        except OSError:
            continue  # within the switch: the job starts again, and recovers
        if outcome.outcome == "refused" and world.files[RENEWAL] != before:
            seen += 1
            assert "nothing touched" not in outcome.line and "until the next pulumi up" in outcome.line, outcome.line
            world.break_at, world.stays_full = None, False
            recover(world, JOB, "the host restarted")
            assert world.files[RENEWAL] == before and not world.exists(certificates.REPLACED)
    assert seen > 3


def test_certificates_that_the_proxy_refuses_are_rolled_back():
    """Nothing changes but a certificate, and the proxy cannot be reloaded."""
    world = serving(release())
    world.certify(NAME, "https://other.example/directory")
    before = world.files[RENEWAL]
    world.answers["systemctl try-reload-or-restart nginx"] = CommandResult(1, "nginx: [emerg] host not found")
    outcome = applied(world, release())
    assert outcome.outcome == "refused" and "nothing touched" in outcome.line and "host not found" in outcome.line
    assert world.commands("certbot certonly") and world.files[RENEWAL] == before
    del world.answers["systemctl try-reload-or-restart nginx"]
    assert applied(world, release()).outcome == "unchanged" and world.files[RENEWAL] != before


@pytest.mark.parametrize("text", [b'[{"path"', b"{}", b"[1]", b"null", b"7", b"[" * 5000, b'[{"path": "/x"}]'])
def test_unreadable_record_of_certificates_is_reported_with_the_remedy(text):
    world = serving(release())
    world.files[certificates.REPLACED] = (text, 0o600, "root", "root")
    with pytest.raises(Refused, match=f"remove {certificates.REPLACED} once they are correct"):
        recover(world, JOB, "the host restarted")
    world.remove(certificates.REPLACED)
    assert applied(world, release(bigger)).outcome == "applied"


def test_permissions_of_certificates_are_restored():
    """The proxy is let read one before the switch, which does not come."""
    world = serving(release())
    for name in ("live", "archive"):
        world.directories[f"{lineages.HOME}/{name}"] = ("root", "ssl-cert", 0o755)
    before = dict(world.directories)
    item = {**release().manifest["certificates"][0], "group": "caddy"}
    target = Release("a" * 64, {"certificates": [item], "trusted_roots": []}, [])
    world.ran.clear()
    replaced = certificates.remember(world, target)
    certificates.obtain(world, target, {}, replaced)
    assert world.directories != before and world.commands("chgrp caddy")
    certificates.give_back(world)
    assert world.directories == before
    key = f"{lineages.HOME}/archive/{NAME}/privkey1.pem"
    assert world.commands("chown")[-1] == f"chown root:root {key}"
    assert world.commands("chmod")[-1] == f"chmod 0600 {key}"
    assert certificates.states_to_restore(replaced) == replaced


def test_docker_that_does_not_answer_holds_up_no_commit():
    world = serving(release())
    entry = {"id": "d" * 64, "name": "cache", "running": True, "restart": "no", "networks": [], "volumes": ["data"]}

    def deaf(path, timeout=10):
        raise OSError("timed out")

    world.docker_has = deaf
    (line,) = existing.remove(world, [entry])
    assert (
        "cache could not be removed: it is stopped, with the name cache.before-dddddddddddd" in line
        and "timed out" in line
    )
