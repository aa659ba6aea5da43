"""Rows of a table of faults: one of each kind runs in every `make test`, all of them in `make test-all`."""

from collections.abc import Collection
from typing import Any

import pytest


def rows(table: Collection[str], always: Collection[str]) -> list[Any]:
    """The names of a table's rows, as pytest's parameters: those that are not among `always` run in the night."""
    unknown = set(always) - set(table)
    assert not unknown, f"no row of the table: {', '.join(sorted(unknown))}"
    return [name if name in always else pytest.param(name, marks=pytest.mark.nightly) for name in table]
