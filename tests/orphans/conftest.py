"""Pulumi's command line over a state in memory."""

import pytest

from infra.orphans import command
from tests.orphans.world import Engine


@pytest.fixture
def engine(monkeypatch):
    def begin(kept, fail=""):
        made = Engine(kept, fail)
        monkeypatch.setattr(command, "pulumi", made.pulumi)
        monkeypatch.setattr(command, "attempt", made.attempt)
        return made

    return begin
