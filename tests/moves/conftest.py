"""A lab of its own for moves: WatchMe on one host, in Sydney; Tokyo is as empty as it was for its owners."""

from collections.abc import Iterator

import pytest

from lab import machine, rehearse, up
from lab.settings import ROOT, Lab
from tests.system.conftest import System, copy_project, must_be_possible, what_is_left

LAB = Lab("moves", 73, ROOT / ".lab-moves")


@pytest.fixture(scope="session")
def sydney() -> Iterator[System]:
    """A stack that serves from Sydney. What an earlier or killed run left goes first, and everything goes at the end."""
    must_be_possible()
    up.clear(LAB, take_over=True)
    up.start(LAB, filled=[rehearse.SYDNEY])
    project = LAB.path("project")
    copy_project(project)
    rehearse.in_sydney(LAB, project)
    made = System(LAB, project)
    try:
        made.must_up()
        yield made
    finally:
        up.clear(LAB)
        left = what_is_left(LAB)
        machine.stop_docker()
    assert not left, f"clearing up leaves behind: {left}"
