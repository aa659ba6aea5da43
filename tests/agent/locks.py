"""Locks of a test alone: this machine's own are held by other tests."""

from pathlib import Path

import pytest

from agent import install, lock
from agent.backups import making
from agent.monitor import run


def use_own_locks(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(run, "LOCK", str(folder / "lock-of-the-monitor"))
    monkeypatch.setattr(lock, "LOCK", str(folder / "lock-of-jobs"))
    monkeypatch.setattr(install, "LOCK", str(folder / "lock-of-installations"))
    monkeypatch.setattr(making, "LOCK", str(folder / "lock-of-backups"))
