"""What a job does around an apply: the crash it comes back from, the history it writes, what it never says."""

import base64
import json
from dataclasses import replace

import pytest

from agent import jobs, store
from agent.outcome import Failed, Mask, Refused
from agent.world import CommandResult
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import JOB, bigger, images, release, serving, with_echo, world_for
from tests.support import service


def spec(made):
    return {"release": made.id, "kind": "apply"}


def payload(made, secrets=None):
    return {"archive": base64.b64encode(made.archive).decode(), "secrets": secrets or {}}


def done(world: FakeWorld, made, job=JOB, secrets=None):
    world.registry |= images(made)
    return jobs.execute(world, recorded(world, job, secrets), spec(made), payload(made, secrets))


def recorded(world, job=JOB, secrets=None):
    mask = Mask(jobs.secret_values(world, {"secrets": secrets or {}}))
    return jobs.with_history(world, job, world.wall(), mask)


def interrupted(world, made):
    """The job dies while it waits for a word from outside: everything is switched, nothing committed."""

    def power_cut(urls):
        raise Killed

    with pytest.raises(Killed):
        done(world, made, replace(JOB, confirm=power_cut))


def again(world, made, job=JOB):
    """The job's unit, started again by systemd after a crash."""
    return jobs.execute(world, recorded(world, job), spec(made), None)


def test_every_job_is_in_the_history():
    first, second = release(), release(bigger)
    world = world_for(first)
    done(world, first)
    world.time += 60
    done(world, second, replace(JOB, id="j2", who="bob@desk", base=first.id))
    before, last = store.history(world)
    assert (before["outcome"], before["who"], before["job"]) == ("applied", "alice@laptop", "j1")
    assert (last["who"], last["base"], last["release"], last["began"]) == (
        "bob@desk", first.id, second.id, "2027-01-15T08:01:00Z",
    )  # fmt: skip
    assert store.last_update(world) == second.id


def test_restarted_job_reports_the_outcome_of_the_killed_one():
    world, made = serving(release()), release(with_echo)
    world.registry |= images(made)
    interrupted(world, made)
    outcome = again(world, made)
    assert outcome.outcome == "rolled back" and "the agent was ended midway" in outcome.line
    assert store.history(world)[-1]["outcome"] == "rolled back"


def test_job_killed_before_the_switch_has_touched_nothing():
    world, made = serving(release()), release(bigger)
    outcome = again(world, made)
    assert outcome.outcome == "refused" and "ended before the switch; run again" in outcome.line


def test_job_killed_after_the_commit_is_applied():
    made = release()
    world = world_for(made)
    done(world, made)
    outcome = again(world, made)
    assert outcome.outcome == "applied" and len(store.history(world)) == 1


def test_job_killed_before_repairing_the_current_release_is_refused():
    made = release()
    world = world_for(made)
    done(world, made)
    outcome = again(world, made, replace(JOB, id="j2"))
    assert outcome.outcome == "refused" and "ended before the switch" in outcome.line


def test_job_killed_between_commit_and_history_is_applied(monkeypatch):
    made = release()
    world = world_for(made)

    def power_cut(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store, "record", power_cut)
        with pytest.raises(Killed):
            done(world, made)
    assert again(world, made).outcome == "applied" and store.history(world)[-1]["outcome"] == "applied"


def test_job_killed_after_its_rollback_reports_the_rollback(monkeypatch):
    world, made = serving(release()), release(with_echo)
    world.web = lambda url: 503 if ":8020" in url else 200
    assert done(world, made).outcome == "rolled back"
    assert again(world, made).outcome == "rolled back" and len(store.history(world)) == 1


def test_next_job_first_settles_an_interrupted_one():
    world, made = serving(release()), release(with_echo)
    interrupted(world, made)
    said = []
    outcome = done(world, release(bigger), replace(JOB, id="j2", say=said.append))
    assert outcome.outcome == "applied" and any("before anything else: rolled back on watchme" in line for line in said)
    assert [entry["outcome"] for entry in store.history(world)] == ["rolled back", "applied"]


def test_an_unfinished_rollback_lets_nothing_else_begin(monkeypatch):
    world, made = serving(release()), release(with_echo)
    interrupted(world, made)

    def read_only(path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(world, "remove", read_only)
    said = []
    with pytest.raises(Refused, match="an earlier rollback is not finished"):
        done(world, release(bigger), replace(JOB, id="j2", say=said.append))
    assert "rollback failed on watchme" in said[-1] and "Read-only file system" in said[-1]


def test_a_history_that_cannot_be_written_changes_no_outcome(monkeypatch):
    made = release()
    world = world_for(made)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "record", full)
    said = []
    assert done(world, made, replace(JOB, say=said.append)).outcome == "applied"
    assert "cannot write the history" in said[-1]


def test_a_secret_that_a_service_logs_is_masked_also_by_a_job_that_brings_none():
    made = release(lambda data: service(data, "web").update(secrets=["TOKEN"]))
    world = world_for(made)
    done(world, made, secrets={"web": {"TOKEN": 'hun"ter2'}})
    mask = Mask(jobs.secret_values(world, None))
    said = mask.all_of({"say": 'its log ends: token hun"ter2 is wrong', "code": 4, "list": ['hun"ter2']})
    assert said == {"say": "its log ends: token [secret] is wrong", "code": 4, "list": ["[secret]"]}


def test_short_secrets_are_not_masked_in_messages():
    assert Mask(["60", ""]).all_of({"say": "within 60 s"}) == {"say": "within 60 s"}


def test_a_secret_in_a_programs_complaint_is_masked():
    made = release(lambda data: service(data, "web").update(secrets=["TOKEN"]))
    world = world_for(made)
    world.answers["/usr/bin/docker-compose -f"] = CommandResult(1, "unterminated quoted value hunter2")
    done(world, made, secrets={"web": {"TOKEN": "hunter2"}})
    (entry,) = store.history(world)
    assert "hunter2" not in json.dumps(entry) and "unterminated quoted value [secret]" in entry["line"]


def events(*published):
    text = "".join(json.dumps(event) + "\n" for event in published)
    return {f"{jobs.JOBS}/j1/events": (text.encode(), 0o600, "root", "root")}


def test_returning_client_is_asked_for_the_confirmation_again():
    awaiting = {"awaiting": 60, "look_at": []}
    world = FakeWorld(files=events({"say": "one"}, awaiting), active={jobs.unit("j1")})
    assert list(jobs.follow(world, "j1", 0)) == [{"say": "one"}, awaiting]
    assert list(jobs.follow(world, "j1", 2)) == [{**awaiting, "again": True}]
    world.files |= events({"say": "one"}, awaiting, {"result": {"code": 0}})
    assert list(jobs.follow(world, "j1", 2)) == [{"result": {"code": 0}}]


def test_an_unknown_job_is_gone():
    assert list(jobs.follow(FakeWorld(), "j1", 0))[-1] == {"gone": True}


def test_an_agent_that_was_ended_for_good_is_recovered_from():
    world, made = serving(release()), release(with_echo)
    world.registry |= images(made)
    interrupted(world, made)
    followed = jobs.follow(world, "j1", 0)
    assert next(followed) == {}
    assert "systemctl start --no-block infra-recover.service" in world.ran


def confirm(world, **answer):
    if answer:
        world.files["/run/infra/jobs/j1/answer"] = (json.dumps(answer).encode(), 0o600, "root", "root")
    published = []
    jobs._await_confirmation(
        world, "/run/infra/jobs/j1", {"kind": "apply", "confirm": 60}, ["https://x/health"], published.append
    )
    return published


def test_confirmation_names_urls_and_accepts_a_yes():
    assert confirm(FakeWorld(), well=True) == [{"awaiting": 60, "look_at": ["https://x/health"]}]


def test_refused_confirmation_gives_its_reason():
    with pytest.raises(Failed, match="from outside: https://x answered 502"):
        confirm(FakeWorld(), well=False, reason="https://x answered 502")


def test_confirmation_times_out_by_the_monotonic_clock():
    world = FakeWorld()
    world.time = 0.0
    with pytest.raises(Failed, match="not confirmed from outside within 60 s"):
        confirm(world)
    assert 60 <= world.clock < 61
