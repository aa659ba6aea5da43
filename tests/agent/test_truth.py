"""What the agent reports is so: a commit, a health, a stop, an end; on a host in memory, killed at any change."""

import contextlib
import copy
import json
import sys
from dataclasses import replace

import pytest

from agent import aws, credentials, edits, jobs, main, store
from agent.desired_state import DesiredFile
from agent.outcome import Failed, Refused
from agent.recover import recover
from agent.world import CommandResult
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import (
    AVATAR,
    AVATAR_UNIT,
    JOB,
    SITE,
    applied,
    bigger,
    images,
    longer,
    release,
    serving,
    with_echo,
)
from tests.rows import changes

EDITED = (b"edited by hand", 0o644, "root", "root")


def deaths(start: FakeWorld, made):
    """The host after a kill at each change of an update, and the recovery from it."""
    finished = copy.deepcopy(start)
    applied(finished, made)
    for number in changes(finished.changes - start.changes):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            applied(world, made)
        world.kill_at = None
        recovered = recover(world, JOB, "power cut")
        yield number, world, recovered[1] if recovered else None


def test_killed_repair_leaves_the_current_release_whole_or_unchanged():
    start = serving(release())
    start.files |= {AVATAR: EDITED, SITE: EDITED}
    before = start.seen_by_programs()
    finished = copy.deepcopy(start)
    applied(finished, release())
    after = finished.seen_by_programs()
    ends = {"applied": after, "rolled back": before}
    seen = set()
    for number, world, outcome in deaths(start, release()):
        expected = [ends[outcome.outcome]] if outcome else [before, after]
        assert world.seen_by_programs() in expected, (number, outcome)
        seen |= {outcome.outcome} if outcome else set()
    assert seen == {*ends}


def test_a_release_that_was_never_current_is_never_gone_back_to():
    start = serving(release(longer), release())
    for number, world, _ in deaths(start, release(bigger)):
        if store.current_id(world) == release().id:
            assert main._choose_release(world, None) == release(longer).id, number
        else:
            assert main._choose_release(world, None) == release().id, number


def test_every_listed_release_can_be_rolled_back_to(monkeypatch, capsys):
    """A release that was rolled back is stored, and is none of them."""
    world = serving(release(longer), release())
    world.web = lambda url: 503
    assert applied(world, release(bigger)).outcome == "rolled back"
    monkeypatch.setattr(main, "World", lambda: world)
    main.releases({})
    kept = json.loads(capsys.readouterr().out)["kept"]
    assert kept == [release().id, release(longer).id] and release(bigger).id in store.kept_ids(world)
    assert [main._choose_release(world, id[:8]) for id in kept] == kept
    with pytest.raises(Refused, match=r"no kept release that has served begins with '.{8}'; kept: "):
        main._choose_release(world, release(bigger).id[:8])


def test_full_disk_at_the_commit_leaves_one_current_release():
    start = serving(release(longer), release())
    finished = copy.deepcopy(start)
    applied(finished, release(bigger))
    for number in changes(finished.changes - start.changes):
        world = copy.deepcopy(start)
        world.break_at = world.changes + number
        outcome = applied(world, release(bigger))
        committed = store.current_id(world) == release(bigger).id
        assert committed == (outcome.outcome == "applied"), (number, outcome.line)


def test_answer_at_the_port_of_a_stopped_unit_is_not_health():
    world = serving(release())
    world.skipped.add(AVATAR_UNIT)
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "rollback failed"
    assert (
        f"({AVATAR_UNIT}) was skipped, since a condition of its unit is not met; another program answers at"
        in outcome.line
    )


def test_service_stopped_for_memory_during_a_release_is_unhealthy():
    barred = next(unit for unit in release().manifest["units"] if unit.get("bar"))
    name = barred["bar"].rsplit("/", 1)[1]
    made = release(lambda data: next(s for s in data["services"] if s["name"] == name)["memory"].update(limit="900m"))
    world = serving(release())

    def confirm(urls):
        if barred["bar"] not in world.there:
            world.there.add(barred["bar"])
            world.active.discard(barred["name"])

    outcome = applied(world, made, job=replace(JOB, confirm=confirm))
    assert outcome.outcome != "applied" and f"{name} was stopped to free memory during the release" in outcome.line


def test_a_removed_service_that_does_not_stop_stays_in_the_next_plan():
    world = serving(release())

    def without_admin(data):
        data["services"] = [entry for entry in data["services"] if entry["name"] != "admin"]

    asked = world.run

    def run(*argv, **options):
        if argv[:2] == ("systemctl", "stop") and "watchme-admin.service" in argv:
            asked(*(word for word in argv if word != "watchme-admin.service"), **options)
            return CommandResult(124, "no end after 300 s")
        return asked(*argv, **options)

    world.run = run
    outcome = applied(world, release(without_admin))
    assert outcome.outcome == "rolled back"
    assert "watchme-admin.service is to be removed and does not stop" in outcome.line
    assert "watchme-admin.service" in world.active and store.current_id(world) == release().id
    world.run = asked
    assert applied(world, release(without_admin)).outcome == "applied" and "watchme-admin.service" not in world.active


def test_unit_restarting_during_planning_runs_after_the_rollback():
    world, unit = serving(release()), "watchme-admin.service"
    asked, restarting = world.run, [unit]

    def run(*argv, **options):
        ran = asked(*argv, **options)
        if argv[:2] == ("systemctl", "is-active") and restarting and unit in argv:
            lines = ran.output.split("\n")
            lines[argv[2:].index(unit)] = "deactivating"
            return CommandResult(3, "\n".join(lines))
        if argv[:2] == ("systemctl", "restart"):
            restarting.clear()
        return ran

    world.run = run
    world.web = lambda url: 503 if ":8014" in url and b"300m" in world.files[AVATAR][0] else 200
    assert applied(world, release(bigger)).outcome == "rolled back"
    assert unit in world.active


@contextlib.contextmanager
def held(*_, **__):
    raise Refused("Another job is running on this host: rollback by bob")
    yield


def run_job(world: FakeWorld, made, has_payload: bool, capsys) -> dict:
    spec = {
        "id": JOB.id,
        "kind": "apply",
        "who": "a",
        "host": "watchme",
        "release": made.id,
        "base": None,
        "confirm": 1,
    }
    world.files[f"{jobs.JOBS}/{JOB.id}/spec.json"] = (json.dumps(spec).encode(), 0o600, "root", "root")
    if has_payload:
        world.files[f"{jobs.JOBS}/{JOB.id}/payload.json"] = (b'{"secrets": {}}', 0o600, "root", "root")
    assert jobs.run(world, JOB.id) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])["result"]


def test_killed_job_without_the_lock_has_an_unknown_outcome(monkeypatch, capsys):
    made = release(with_echo)
    world = serving(release())
    world.registry |= images(made)

    def power_cut(urls):
        raise Killed

    with pytest.raises(Killed):
        applied(world, made, job=replace(JOB, confirm=power_cut))
    world.kill_at = None
    monkeypatch.setattr(jobs, "lock", held)
    result = run_job(world, made, False, capsys)
    assert (result["outcome"], result["code"]) == ("unknown", 6) and "nothing touched" not in result["line"]


def test_job_without_the_lock_has_touched_nothing(monkeypatch, capsys):
    world = serving(release())
    monkeypatch.setattr(jobs, "lock", held)
    result = run_job(world, release(with_echo), True, capsys)
    assert result["outcome"] == "refused" and "nothing touched" in result["line"]


@pytest.mark.parametrize(
    "problem", [OSError(28, "No space left on device"), Failed("systemctl enable: Read-only file system")]
)
def test_failed_agent_installation_is_refused_with_its_reason(monkeypatch, capsys, problem):
    def install():
        raise problem

    monkeypatch.setattr(main.lock, "lock", lambda *arguments, **options: contextlib.nullcontext())
    spec = {"id": "j1", "release": "a" * 64, "host": "here"}
    assert main._start(serving(release()), spec, {}, install) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert result["outcome"] == "refused" and "the agent cannot be installed: " in result["line"]
    assert ("No space left" in result["line"]) or ("Read-only file system" in result["line"])


def test_recovery_without_the_lock_fails_its_unit(monkeypatch):
    monkeypatch.setattr(main.lock, "lock", held)
    monkeypatch.setattr(main, "World", FakeWorld)
    monkeypatch.setattr(sys, "argv", ["bin", "recover"])
    with pytest.raises(SystemExit) as ended:
        main.command()
    assert "rollback by bob" in str(ended.value.code)


def test_incompletely_stored_release_is_pruned():
    start = serving(release())
    finished = copy.deepcopy(start)
    applied(finished, release(bigger))
    for number in range(1, finished.changes - start.changes + 1, 3):
        world = copy.deepcopy(start)
        world.break_at = world.changes + number
        applied(world, release(bigger))
        world.break_at = None
        assert applied(world, release(longer)).outcome == "applied"
        assert not store.partial(world), number


def test_edited_files_are_kept_as_long_as_the_history_knows_their_job():
    world = serving(release())
    world.files[SITE] = EDITED
    noted = replace(JOB, history=lambda job, outcome: store.record(world, {**json.loads(outcome.to_json()), "job": job.id, "kind": "apply", "who": "a", "code": 0}))  # fmt: skip
    kept = applied(world, release(), job=noted).edited[SITE]
    applied(world, release(longer), job=replace(noted, id="j2"))
    assert world.read(kept) == EDITED[0]
    for name in world.listing(store.HISTORY):
        if name.endswith("-j1.json"):
            world.remove(f"{store.HISTORY}/{name}")
    applied(world, release(), job=replace(noted, id="j3"))
    assert world.read(kept) is None and not world.listing(f"{edits.EDITED}/j1")


def key(name: str) -> bytes:
    return f"[default]\naws_access_key_id={name}\naws_secret_access_key=s\n".encode()


def of_another_process(world: FakeWorld) -> str:
    """The host's key there: what this process prepares is in its memory alone."""
    own, credentials._Preparation.content = credentials._Preparation.content, None
    try:
        return aws.identity(world).key
    finally:
        credentials._Preparation.content = own


def test_a_key_that_is_only_being_prepared_is_the_preparations_alone():
    world = FakeWorld(files={credentials.CREDENTIALS: (key("SERVES"), 0o600, "root", "root")})
    target = store.Release(
        "r", {"files": []}, [DesiredFile(credentials.CREDENTIALS, key("PREPARED"), 0o600, "root", "root")]
    )
    with pytest.raises(Killed), credentials.aws_environment(world, target):
        assert aws.identity(world).key == "PREPARED"
        assert world.read(credentials.STAGED) and of_another_process(world) == "SERVES"
        world.kill_at = world.changes + 1
        world.run("docker", "pull")
    world.kill_at = None
    assert aws.identity(world).key == "SERVES"
    world.files[credentials.STAGED] = (key("PREPARED"), 0o600, "root", "root")
    credentials.forget_staged(world)
    assert world.read(credentials.STAGED) is None
