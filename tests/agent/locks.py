"""A test that imports this fixture has the agent's locks in a directory of its own."""

import pytest

from agent import lock
from agent.monitor import run


@pytest.fixture(autouse=True)
def locks(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "LOCK", str(tmp_path / "monitor"))
    monkeypatch.setattr(lock, "LOCK", str(tmp_path / "jobs"))
