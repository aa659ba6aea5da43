"""A lab of its own for moves: WatchMe on one host in Sydney, which somebody made by hand and the program took over. Tokyo is
as empty as it was for its owners."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import handmade, machine, rehearse, up
from lab.settings import ROOT, Lab
from tests.moves.on import SYDNEY
from tests.system.conftest import System, copy_project, must_be_possible, what_is_left

LAB = Lab("moves", 73, ROOT / ".lab-moves")


@dataclass
class Adopted:
    """What was made by hand, what `infra adopt aws` said, the steps that `pulumi preview` then had, and the update."""

    system: System
    made: handmade.HandMade
    said: str
    steps: list[dict[str, Any]]
    up: str


@pytest.fixture(scope="session")
def adopted() -> Iterator[Adopted]:
    """What an earlier or killed run left goes first, and everything goes at the end."""
    must_be_possible()
    up.clear(LAB, take_over=True)
    project = LAB.path("project")
    system = System(LAB, project)
    try:
        up.start(LAB, filled=[SYDNEY])
        copy_project(project)
        rehearse.in_sydney(LAB, project)
        system.set("infra:repairs", "false")
        made = handmade.make(LAB, project, SYDNEY)
        ran = adopt(system, made)
        assert ran.code == 0, ran.output
        preview = system.pulumi("preview", "--json")
        assert preview.code == 0, preview.output
        steps = json.loads(preview.output[preview.output.index("{") :])["steps"]
        yield Adopted(system, made, ran.output, steps, system.must_up())
    finally:
        up.clear(LAB)
        left = what_is_left(LAB)
        machine.stop_docker()
    assert not left, f"clearing up leaves behind: {left}"


def adopt(system: System, made: handmade.HandMade):
    owner = ["--user", "ubuntu", "--identity", str(made.identity)]
    return system.command("infra", "adopt", "aws", "--region", SYDNEY, "--stack", "lab", "--yes", *owner)


@pytest.fixture(scope="session")
def sydney(adopted: Adopted) -> System:
    """A stack that serves from Sydney when the first test begins."""
    return adopted.system
