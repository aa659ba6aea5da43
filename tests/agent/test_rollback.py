"""The way back, on a host in memory: from every failure, and from a death at every single change."""

import copy
from dataclasses import replace

import pytest

from agent import edits, prune, store, transaction
from agent.recover import recover
from agent.world import CommandResult
from tests.agent.fake import Killed
from tests.agent.releases import (
    AVATAR,
    AVATAR_UNIT,
    JOB,
    SITE,
    applied,
    bigger,
    gone_back,
    images,
    longer,
    release,
    serving,
    with_echo,
    world_for,
)
from tests.agent.stored import all_of
from tests.rows import changes, every_change, rows


def much(data):
    """A release that writes, removes, links, stops, starts and reloads."""
    bigger(data)
    with_echo(data)
    data["services"] = [entry for entry in data["services"] if entry["name"] != "admin"]


def unhealthy(port: int):
    return lambda url: 503 if f":{port}" in url else 200


def test_unhealthy_service_rolls_back_with_its_reason():
    world = serving(release())
    before = world.seen_by_programs()
    world.web = unhealthy(8020)
    world.answers["journalctl OBJECT_SYSTEMD_UNIT=echo.service"] = CommandResult(0, "echo: no database")
    world.answers["journalctl _SYSTEMD_UNIT=echo.service"] = CommandResult(0, " Container echo  Started")
    world.answers["journalctl UNIT=echo.service"] = CommandResult(0, "echo.service: Scheduled restart job")
    outcome = applied(world, release(much))
    assert (outcome.outcome, outcome.code) == ("rolled back", 4)
    assert (
        "echo answered 503 at http://127.0.0.1:8020/health within 180 s; its log ends: echo: no database"
        in outcome.line
    )
    assert f"Release {release().id[:12]} serves again" in outcome.line
    assert world.seen_by_programs() == before and store.current_id(world) == release().id


def test_crashing_foreign_unit_does_not_block_a_release():
    """It crashes by itself, as before: a release of something else is no business of its, nor the way back."""
    world = serving(release())
    world.answers["systemctl is-active"] = CommandResult(3, "active")
    asked = world.run

    def run(*argv, **options):
        ran = asked(*argv, **options)
        if argv[:2] == ("systemctl", "is-active"):
            names = argv[2:]
            lines = ["activating" if name == "watchme-admin.service" else "active" for name in names]
            return CommandResult(3, "\n".join(lines))
        return ran

    world.run = run
    world.web = lambda url: 0 if ":9000" in url or "/admin/" in url else 200
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "applied" and outcome.restarted == [AVATAR_UNIT]
    assert "admin was unhealthy before and still is" in outcome.line
    assert not world.commands("systemctl stop watchme-admin")


def test_changed_network_restarts_its_containers():
    world = serving(release())
    outcome = applied(world, release(lambda data: data["network"].update(gateway="172.27.255.254")))
    assert outcome.outcome == "applied" and len(outcome.restarted) == 14


def test_stopped_proxy_does_not_exempt_services_from_health_checks():
    world = serving(release())
    world.web = lambda url: 0 if url.startswith("https") and b"max_body_size 20M" not in world.files[SITE][0] else 200
    outcome = applied(world, release(longer))
    assert outcome.outcome == "applied" and len(outcome.services) == 13 and not outcome.warnings


def test_damaged_copy_of_the_current_release_does_not_block_a_release():
    made = release()
    world = serving(made)
    del world.files[f"/var/lib/infra/releases/{made.id}/files{SITE}"]
    assert applied(world, made).outcome == "unchanged"
    assert applied(world, release(bigger)).outcome == "applied"


def test_failed_first_release_leaves_the_host_unchanged():
    made = release()
    world = world_for(made)
    before = world.seen_by_programs()
    world.web = unhealthy(8015)
    outcome = applied(world, made)
    assert outcome.outcome == "rolled back" and "The host is as before" in outcome.line
    assert world.seen_by_programs() == before and store.current_id(world) is None
    world.web = lambda url: 200
    assert applied(world, made).outcome == "applied"


def test_rollback_restarts_only_changed_services():
    world = serving(release())
    world.web = lambda url: 503 if ":8014" in url and b"300m" in world.files[AVATAR][0] else 200
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "rolled back"
    assert world.commands("systemctl restart") == [f"systemctl restart {AVATAR_UNIT}"] * 2


def test_service_that_fails_before_the_commit_rolls_back():
    world = serving(release())

    def confirm(urls):
        world.web = lambda url: 0 if ":8014" in url and b"300m" in world.files[AVATAR][0] else 200

    outcome = applied(world, release(bigger), job=replace(JOB, confirm=confirm))
    assert outcome.outcome == "rolled back" and "avatar-uploader did not answer" in outcome.line
    assert "after it had been healthy" in outcome.line


def test_flapping_service_is_unhealthy():
    world = serving(release())
    asked = []

    def web(url):
        if ":8014" not in url or b"300m" not in world.files[AVATAR][0]:
            return 200
        asked.append(url)
        return 200 if len(asked) % 3 else 500

    world.web = web
    assert applied(world, release(bigger)).outcome == "rolled back"


def test_unhealthy_rollback_target_is_reported():
    world = serving(release())
    changed = release(bigger)

    def confirm(urls):
        world.web = unhealthy(8014)

    outcome = applied(world, changed, job=replace(JOB, confirm=confirm))
    assert (outcome.outcome, outcome.code) == ("rollback failed", 5)
    assert "the files are restored, but: avatar-uploader answered 503" in outcome.line
    assert b"300m" not in world.files[AVATAR][0]
    world.web = lambda url: 200
    assert applied(world, changed).outcome == "applied"


def test_a_hand_edit_is_kept_named_and_overwritten():
    world = serving(release())
    world.files[SITE] = (b"edited by hand", 0o644, "root", "root")
    outcome = applied(world, release())
    assert outcome.changed == [SITE] and outcome.edited == {SITE: f"/var/lib/infra/edited/j1{SITE}"}
    assert world.files[outcome.edited[SITE]] == (b"edited by hand", 0o600, "root", "root")
    assert f"edited by hand and overwritten: {SITE} is kept at" in outcome.line


def test_rollback_restores_hand_edits():
    """What served before the release was the edited file."""
    world = serving(release())
    world.files[AVATAR] = (b"edited by hand", 0o644, "root", "root")
    before = world.seen_by_programs()
    world.answers["systemctl restart"] = CommandResult(1, "no")
    del world.answers["systemctl restart"]
    world.web = lambda url: 503 if ":8014" in url and b"300m" in world.files[AVATAR][0] else 200
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "rolled back" and world.seen_by_programs() == before
    assert not world.listing(f"{edits.EDITED}/j1")


def test_file_overwritten_by_the_first_release_is_kept():
    made = release()
    world = world_for(made)
    world.files[SITE] = (b"the owner's own", 0o644, "root", "root")
    assert list(applied(world, made).edited) == [SITE]


SCENES = {
    "first release": (lambda: world_for(release()), release),
    "another release": (lambda: serving(release()), lambda: release(much)),
    "another release that is unhealthy": (lambda: serving(release()), lambda: release(much)),
}


def count_of_changes(scene: str) -> int:
    make, target = SCENES[scene]
    world = make()
    start = world.changes
    world.web = web_of(scene)
    applied(world, target())
    return world.changes - start


def web_of(scene: str):
    return unhealthy(8020) if "unhealthy" in scene else lambda url: 200


@pytest.mark.parametrize("scene", rows(SCENES, ["first release", "another release that is unhealthy"]))
def test_killed_switch_ends_at_one_whole_release(scene):
    make, target = SCENES[scene]
    made = target()
    start = make()
    before, base = start.seen_by_programs(), store.current_id(start)
    finished = copy.deepcopy(start)
    applied(finished, made)
    after = finished.seen_by_programs()
    total = count_of_changes(scene)
    assert total > 30
    for number in changes(total):
        world = copy.deepcopy(start)
        world.web = web_of(scene)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            applied(world, made)
        world.kill_at = None
        recover(world, JOB, "the agent was ended midway")
        all_of(world, before, after, base, made.id)
        world.web = lambda url: 200
        assert applied(world, made).outcome in ("applied", "unchanged")
        assert world.seen_by_programs() == after


def test_killed_recovery_ends_at_one_whole_release():
    start, made = serving(release()), release(much)
    before = start.seen_by_programs()

    def power_cut(urls):
        raise Killed

    with pytest.raises(Killed):
        applied(start, made, job=replace(JOB, confirm=power_cut))
    number = 0
    for number in every_change():
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        try:
            recover(world, JOB, "power cut")
        except Killed:
            world.kill_at = None
            recover(world, JOB, "power cut")
            assert world.seen_by_programs() == before and transaction.load_unfinished(world) is None
        else:
            break
    assert number > 12


@pytest.mark.parametrize("stays", [False, True])
def test_a_disk_that_fills_up_at_any_change_is_an_outcome(stays):
    start, made = serving(release()), release(much)
    before = start.seen_by_programs()
    finished = copy.deepcopy(start)
    applied(finished, made)
    after = finished.seen_by_programs()
    outcomes = set()
    for number in changes(count_of_changes("another release")):
        world = copy.deepcopy(start)
        world.break_at, world.stays_full = world.changes + number, stays
        outcome = applied(world, made)
        outcomes.add(outcome.outcome)
        world.break_at, world.stays_full = None, False
        recover(world, JOB, "the next job")
        expected = after if store.current_id(world) == made.id else before
        assert world.seen_by_programs() == expected, (number, outcome.line)
        assert (outcome.code == 0) == (store.current_id(world) == made.id), outcome.line
    assert {"applied", "refused", "rolled back"} <= outcomes


def test_going_back_needs_no_network_and_brings_files_and_images():
    first, second = release(), release(bigger, version=2)
    world = serving(first, second)
    world.registry.clear()
    outcome = gone_back(world, first.id)
    assert outcome.outcome == "applied" and store.current_id(world) == first.id
    assert b"300m" not in world.files[AVATAR][0] and not world.commands("docker --config")
    assert not world.commands("certbot")


def test_going_back_restores_the_secrets_of_that_release():
    def of(value):
        def web(data):
            next(entry for entry in data["services"] if entry["name"] == "web")["secrets"] = ["TOKEN"]

        return release(web, lambda config: config.update({"infra:secrets": {"web": {"TOKEN": value}}}))

    world = world_for(of("old"))
    for value in ("old", "new"):
        assert applied(world, of(value), {"web": {"TOKEN": value}}).outcome == "applied"
    assert gone_back(world, of("old").id).restarted == ["watchme-web-app.service"]
    assert world.read("/home/ubuntu/watchme-docker/web.env") == b"TOKEN=old\n"


def test_rollback_to_an_unkept_release_is_refused():
    world = serving(release())
    outcome = gone_back(world, "f" * 64)
    assert outcome.outcome == "refused" and f"is not kept here; kept: {release().id[:12]}" in outcome.line


def test_damaged_kept_release_is_refused_for_rollback():
    first = release()
    world = serving(first, release(bigger))
    world.files[f"/var/lib/infra/releases/{first.id}/files{SITE}"] = (b"rotten", 0o600, "root", "root")
    assert "is damaged: /etc/nginx" in gone_back(world, first.id).line


def test_old_releases_are_pruned_with_their_images():
    def numbered(number):
        return release(version=number, config=lambda config: config.update({"infra:keepReleases": 2}))

    made = [numbered(number) for number in range(1, 5)]
    world = serving(*made)
    assert set(store.kept_ids(world)) == {made[2].id, made[3].id}
    assert world.images == images(made[2]) | images(made[3])


def test_the_images_that_kept_releases_need_are_known():
    made = [release(version=number) for number in (1, 2)]
    world = serving(*made)
    assert prune.needed_images(world) == sorted({image for one in made for image in images(one)})


def test_failed_pruning_does_not_fail_a_healthy_release():
    made = [release(version=n, config=lambda config: config.update({"infra:keepReleases": 2})) for n in range(1, 4)]
    world = serving(*made[:2])
    world.answers["docker image rm"] = CommandResult(1, "image is being used")
    outcome = applied(world, made[2])
    assert outcome.outcome == "applied" and "could not remove the image" in outcome.line


def test_a_clock_that_jumps_changes_no_order():
    first, second, third = release(), release(bigger), release(version=2)
    world = world_for(first)
    for made, time in ((first, 2e9), (second, 1e9), (third, 3e9)):
        world.time = time
        assert applied(world, made).outcome == "applied"
    assert store.kept_ids(world) == [third.id, second.id, first.id]
