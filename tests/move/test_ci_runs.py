"""Locks of updates in GitHub Actions: when their run has certainly ended."""

import json
import shutil
import socket
import sys
from dataclasses import asdict, replace

import pytest

from infra import ci_runs, unlocking
from infra.ci_runs import Record, Run
from infra.errors import InfraError
from infra.state_files import StateFolder
from infra.unlocking import Lock
from tests.github import TOKEN
from tests.move.ci import LOCK, PAGE, RECORD, RUNNER, answers, job, put_lock
from tests.move.programs import pulumi_that
from tests.support import execute


def test_lock_of_a_run_that_has_ended_is_removed_with_its_record(recorded):
    folder, removed = recorded
    outcome = unlocking.unlock("prod")
    assert f"of CI run {PAGE}, which has ended: the lock was removed" in outcome and removed == ["prod"]
    assert not (folder / ".pulumi" / RECORD).exists()


def test_lock_of_an_earlier_attempt_is_removed(recorded, github):
    """GitHub starts a run again only once its last attempt is over."""
    github.answers = answers(3, "in_progress", None)
    assert "the lock was removed" in unlocking.unlock("prod") and recorded[1] == ["prod"]


UNCERTAIN = {
    "it runs": (answers(status="in_progress"), "GitHub says that attempt 2 of the run is in_progress"),
    "it waits": (answers(status="queued"), "attempt 2 of the run is queued"),
    "an answer of another run": (answers(attempt=1), "attempt 1 of the run is completed"),
    "a runner that GitHub lost": (
        answers(conclusion="failure", jobs=[job("completed", RUNNER, "completed", "in_progress", "pending")]),
        "has not reported the end of its job, and the update may still be running there",
    ),
    "a job without steps": (answers(jobs=[{**job(), "steps": []}]), "has not reported the end"),
    "a job that goes on": (answers(jobs=[job(), job("in_progress")]), "has not reported the end"),
    "no job of this runner": (answers(jobs=[job(runner="GitHub Actions 1")]), "GitHub Actions 12 has not reported"),
    "no such run": ({}, "404 Not Found; no such run, or it needs a token in GH_TOKEN with actions: read"),
    "an answer of another shape": (answers(attempt=None), "GitHub's answer about the run cannot be read"),
    "jobs of another shape": (answers(jobs=[7]), "GitHub's answer about the run cannot be read"),
}


@pytest.mark.parametrize(("replies", "reason"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_lock_of_a_run_that_may_go_on_stays(recorded, github, replies, reason):
    github.answers = replies
    with pytest.raises(InfraError) as error:
        unlocking.unlock("prod")
    text = str(error.value)
    assert reason in text and f"Look at {PAGE}; once it has certainly ended: pulumi cancel --stack prod" in text
    assert recorded[1] == [] and (recorded[0] / ".pulumi" / RECORD).exists() and TOKEN not in text


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "is the token in GH_TOKEN"), (403, "needs actions: read"), (500, "500 try later")]
)
def test_github_that_refuses_makes_nothing_certain(recorded, github, status, reason):
    github.failures = [status] * 3
    with pytest.raises(InfraError, match=f"GitHub did not say whether the run has ended .*{reason}"):
        unlocking.unlock("prod")
    assert recorded[1] == []


def test_github_that_does_not_answer_makes_nothing_certain(recorded, monkeypatch, run):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        api = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("GITHUB_API_URL", api)
        monkeypatch.setattr("infra.github_api.TIMEOUT", 0.2)
        ci_runs.keep(StateFolder(recorded[0]), "prod", Record(asdict(LOCK), replace(run, api=api)))
        with pytest.raises(InfraError, match=r"GitHub did not say whether the run has ended .*timed out"):
            unlocking.unlock("prod")
    assert recorded[1] == []


def test_token_goes_to_no_address_of_a_record(recorded, monkeypatch, github):
    """Who may write the record may not have it answered elsewhere."""
    monkeypatch.setenv("GITHUB_API_URL", "https://api.github.com")
    github.failures = [500]
    with pytest.raises(InfraError, match=rf"its GitHub \({github.url}\) was not asked, since GITHUB_API_URL here is"):
        unlocking.unlock("prod")
    assert github.failures == [500] and recorded[1] == []


OTHERS = {
    "another id": replace(LOCK, id="77aa"),
    "another process": replace(LOCK, pid=78),
    "another machine": replace(LOCK, machine="fv-az2"),
    "a later time": replace(LOCK, at=LOCK.at + 60),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_record_of_another_lock_says_nothing(recorded, run, other):
    ci_runs.keep(StateFolder(recorded[0]), "prod", Record(asdict(other), run))
    with pytest.raises(InfraError, match=r"not certain from here, so the lock stays\. If it is a CI run") as error:
        unlocking.unlock("prod")
    assert "4711" not in str(error.value) and recorded[1] == []


def test_second_lock_without_a_record_keeps_both(recorded):
    put_lock(recorded[0], Lock("kim", "laptop", 5, LOCK.at, "9bbb"))
    with pytest.raises(InfraError, match="kim@laptop, process 5"):
        unlocking.unlock("prod")
    assert recorded[1] == []


def test_lock_that_changes_while_github_is_asked_stays(recorded, monkeypatch):
    def answer_late(run: Run) -> ci_runs.Standing:
        put_lock(recorded[0], Lock("kim", "laptop", 5, LOCK.at, "9bbb"))
        return ci_runs.Standing(True, "the run has ended")

    monkeypatch.setattr(ci_runs, "standing", answer_late)
    with pytest.raises(InfraError, match="have changed meanwhile: run infra unlock --stack prod again"):
        unlocking.unlock("prod")
    assert recorded[1] == []


@pytest.mark.parametrize(
    "change",
    [
        "{", "[]", "[" * 5000, {"run": None}, {"lock": 7}, {"run.repository": "../../user"}, {"run.number": "x"},
        {"run.server": "javascript:x"}, {"run.api": "file:///etc/passwd"},
    ],
)  # fmt: skip
def test_unreadable_record_says_nothing(recorded, change):
    path = recorded[0] / ".pulumi" / RECORD
    entry = json.loads(path.read_text())
    if isinstance(change, dict):
        ((name, value),) = change.items()
        place = entry["run"] if "." in name else entry
        place[name.rpartition(".")[2]] = value
        path.write_text(json.dumps(entry))
    else:
        path.write_text(change)
    with pytest.raises(InfraError, match="not certain from here, so the lock stays"):
        unlocking.unlock("prod")
    assert recorded[1] == []


def test_up_says_what_holds_the_stack(recorded, github):
    assert f"of CI run {PAGE}, which has ended: infra unlock --stack prod removes the lock" in unlocking.describe(
        "prod"
    )
    github.answers = answers(status="in_progress")
    assert "attempt 2 of the run is in_progress, so the lock stays" in unlocking.describe("prod")
    shutil.rmtree(recorded[0] / ".pulumi/locks")
    assert unlocking.describe("prod") == "" and recorded[1] == []


UP = (
    "from infra.move import run; ask = lambda question: print('asked:', question);"
    " print('reasons:', run.up('prod', [], lambda line: print(line, flush=True), ask).reasons)"
)
LOCKED = (
    "error: the stack is currently locked by 1 lock(s)\n  x: created by runner@fv-az1 (pid 77) at 2026-11-29T10:00:00Z"
)


@pytest.mark.parametrize("status", ["completed", "in_progress"])
def test_update_passes_the_lock_of_a_run_only_when_it_has_ended(recorded, github, run, status):
    folder, _ = recorded
    github.answers = answers(status=status)
    script = (
        f"""[ $1 = whoami ] && echo '{{"url": "file://{folder}"}}' && exit 0\necho $1 >> $LOG\n[ $1 = cancel ] && exit 0\n"""
        f"grep -q cancel $LOG && exit 0\necho '{LOCKED}' >&2; exit 255"
    )
    env = pulumi_that(folder, script) | {"GITHUB_API_URL": github.url, "GH_TOKEN": TOKEN}
    output = execute(sys.executable, "-c", UP, cwd=folder, env=env).stdout
    words = (folder / "log").read_text().split()
    if status == "completed":
        assert f"removed the lock of CI run {PAGE}: the run has ended (cancelled)" in output and "reasons: []" in output
        assert words == ["up", "up", "cancel", "up"] and "asked" not in output
        assert not (folder / ".pulumi" / RECORD).exists()
    else:
        assert f"may still be running; CI run {PAGE}: GitHub says that attempt 2 of the run is in_progress" in output
        assert words == ["up"] and "pulumi cancel --stack prod" in output
