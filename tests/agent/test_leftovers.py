"""What kills and newer versions leave: no secret stays, no job is stopped for good, and no line says more than is known."""

import json

import pytest

from agent import install, jobs, store, transaction
from agent.lock import lock
from agent.outcome import Refused
from agent.world import TIMED_OUT, CommandResult
from tests.agent.releases import AVATAR_UNIT, JOB, applied, bigger, release, serving, with_echo, world_for

SPEC = {"id": "0123", "kind": "apply", "release": "a" * 64}


def test_handmade_unit_runs_again_after_a_rollback():
    """Its file was another one; the release before did not have it."""
    world = serving(release())
    world.files["/etc/systemd/system/echo.service"] = (b"by hand", 0o644, "root", "root")
    world.active.add("echo.service")
    world.web = lambda url: 500 if ":8020" in url else 200
    outcome = applied(world, release(with_echo))
    assert outcome.outcome == "rolled back", outcome.line
    assert "echo.service" in world.active and world.files["/etc/systemd/system/echo.service"][0] == b"by hand"


def test_unit_that_does_not_start_again_is_reported():
    world = serving(release())
    world.active.add("echo.service")
    world.web = lambda url: 500 if ":8020" in url else 200
    world.answers["systemctl restart echo.service"] = CommandResult(0, "")
    outcome = applied(world, release(with_echo))
    assert outcome.outcome == "rollback failed"
    assert "echo.service ran before and does not now" in outcome.line


def job_left(world, id: str, is_on: bool) -> None:
    world.files[f"{jobs.JOBS}/{id}/payload.json"] = (b"secret", 0o600, "root", "root")
    world.files[f"{jobs.JOBS}/{id}/spec.json"] = (json.dumps({"agent": f"/agent-{id}"}).encode(), 0o600, "root", "root")
    if is_on:
        world.active.add(jobs.unit(id))


def test_secrets_of_an_unstarted_job_are_removed_by_the_next_one():
    world = world_for(release())
    job_left(world, "dead", is_on=False)
    job_left(world, "alive", is_on=True)
    jobs.forget_leftovers(world)
    left = {path.split("/")[4] for path in world.files if path.startswith(jobs.JOBS)}
    assert left == {"alive"}


def test_secrets_of_a_starting_job_are_kept():
    world = world_for(release())
    job_left(world, "new", is_on=False)
    with lock("installing an agent", lambda _: None, install.LOCK):
        jobs.forget_leftovers(world)
    assert f"{jobs.JOBS}/new/payload.json" in world.files


def test_a_systemd_run_without_an_answer_may_have_begun_the_job(monkeypatch, tmp_path):
    world = world_for(release())
    monkeypatch.setattr(jobs, "JOBS", str(tmp_path))
    world.answers["systemd-run"] = CommandResult(TIMED_OUT, "")
    jobs.start(world, SPEC, {"archive": ""}, "/agent")
    assert [path for path in world.files if path.endswith("payload.json")], "what it is to read stays"
    world.answers["systemd-run"] = CommandResult(1, "no such method")
    with pytest.raises(Refused, match="systemd-run: no such method"):
        jobs.start(world, {**SPEC, "id": "4567"}, {"archive": ""}, "/agent")
    assert not [path for path in world.files if "4567" in path]


def begun_on(world) -> dict:
    """A switch that was left, as it stands on the disk."""
    begun = transaction.Transaction(
        "j9", "apply", "me", "watchme", release(bigger).id, release().id, 0.0, [], {}, [], [], []
    )  # fmt: skip
    begun.store(world)
    return json.loads(world.read(transaction.TRANSACTION))


def test_unknown_keys_of_a_newer_agent_are_ignored():
    world = serving(release())
    entry = begun_on(world)
    world.write(transaction.TRANSACTION, json.dumps(entry | {"newer": 1}).encode(), 0o600, "root", "root")
    assert transaction.load_unfinished(world).release == release(bigger).id


@pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b'{"job": 1}', b"null"])
def test_unreadable_transaction_is_reported_with_the_remedy(text):
    world = serving(release())
    world.write(transaction.TRANSACTION, text, 0o600, "root", "root")
    with pytest.raises(Refused, match=f"remove {transaction.TRANSACTION}"):
        transaction.load_unfinished(world)


def test_a_switch_that_was_committed_ends_although_the_kept_copy_cannot_be_read():
    world = serving(release())
    entry = begun_on(world) | {"committed": True, "base": release().id, "release": release().id}
    world.write(transaction.TRANSACTION, json.dumps(entry).encode(), 0o600, "root", "root")
    world.files[f"{store.RELEASES}/{release().id}/manifest.json"] = (b"{", 0o600, "root", "root")
    jobs.recover_first(world, JOB)
    assert transaction.load_unfinished(world) is None


def test_an_entry_of_the_history_without_its_job_is_damaged():
    world = serving(release())
    entry = {"kind": "apply", "release": "a" * 64, "code": 0, "who": "me"}
    world.files[f"{store.HISTORY}/00000099-x.json"] = (json.dumps(entry).encode(), 0o600, "root", "root")
    assert store.damaged_jobs(world) == ["00000099-x.json"]
    assert applied(world, release(bigger)).outcome == "applied" and AVATAR_UNIT in world.active
