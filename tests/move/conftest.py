"""What several tests of moves and locks begin with."""

import json
from dataclasses import asdict

import pytest

from infra import ci_runs, locks, state_files
from infra.ci_runs import Record, Run
from infra.state_files import StateFolder
from tests.github import TOKEN, GitHub, serving
from tests.move.ci import LOCK, RUNNER, answers, put_lock
from tests.support import started


@pytest.fixture
def ended() -> locks.Engine:
    """An engine that was started here, and has ended."""
    with started("sleep", "60") as process:
        engine = locks.identify(process.pid)
        process.kill()
        process.wait()
    return engine


@pytest.fixture
def github(monkeypatch):
    with serving(GitHub(answers=answers())) as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        monkeypatch.setenv("GH_TOKEN", TOKEN)
        monkeypatch.setattr("infra.github_api.time.sleep", lambda seconds: None)
        yield server


@pytest.fixture
def run(github) -> Run:
    return Run("https://github.com", github.url, "team/infra", 4711, 2, RUNNER)


@pytest.fixture
def recorded(tmp_path, monkeypatch, run):
    """Where a lock lies that this run recorded; and the stacks whose locks were removed."""
    removed: list[str] = []
    monkeypatch.setattr(state_files, "pulumi", lambda *_: json.dumps({"url": f"file://{tmp_path}"}))
    monkeypatch.setattr(locks, "remove", lambda stack: removed.append(stack) is None)
    monkeypatch.setattr(locks, "read_engine", lambda _: None)
    put_lock(tmp_path)
    ci_runs.keep(StateFolder(tmp_path), "prod", Record(asdict(LOCK), run))
    return tmp_path, removed
