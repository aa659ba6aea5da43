"""Rows of a table of faults: one of each kind runs in every `make test`, all of them in `make test-all`."""

import itertools
import os
from collections.abc import Collection, Iterator
from typing import Any

import pytest

EVERYTHING = os.environ.get("TESTS_EVERYTHING") == "1"
STEP = 8  # by day a host is killed at every eighth change
LAST = 4  # and at each of these, which come after the commit


def changes(total: int) -> list[int]:
    """The changes of a job, counted from 1, at which a host is killed: all in the night, and by day every eighth and the
    last four, which are after the commit."""
    by_day = {*range(1, total + 1, STEP), *range(max(1, total - LAST + 1), total + 1)}
    return list(range(1, total + 1)) if EVERYTHING else sorted(by_day)


def every_change() -> Iterator[int]:
    """The same where it is not known how many there are."""
    return itertools.count(1, 1 if EVERYTHING else STEP)


def rows(table: Collection[str], always: Collection[str]) -> list[Any]:
    """The names of a table's rows, as pytest's parameters: those that are not among `always` run in the night."""
    unknown = set(always) - set(table)
    assert not unknown, f"no row of the table: {', '.join(sorted(unknown))}"
    return [name if name in always else pytest.param(name, marks=pytest.mark.nightly) for name in table]
