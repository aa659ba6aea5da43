"""The runbook's commands, in its order, as a person would run them: they cannot rot. Both languages have the same."""

import re
import shlex

import pytest

from lab.settings import ROOT
from tests.moves.on import SYDNEY, TOKYO, answers, goes_to, of_region, points_to
from tests.system.conftest import System

pytestmark = pytest.mark.lab
FOLDER = ROOT / "docs" / "runbooks"


def commands(name: str) -> list[str]:
    """The lines of a page's shell blocks, without what they say to people."""
    blocks = re.findall(r"```sh\n(.*?)```", (FOLDER / name).read_text(), re.DOTALL)
    lines = [line.partition(" #")[0].rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def typed(command: str) -> list[str]:
    """A command as a person on stack lab types it, who says yes to everything."""
    command = command.replace("--stack prod", "--stack lab").replace("NEW-REGION", SYDNEY)
    words = shlex.split(command.removeprefix("uv run "))
    if words[:2] == ["infra", "move"] and "--check" not in words:
        words += ["--yes", "--report", "report.md"]
    if words[:2] == ["pulumi", "up"]:
        words += ["--yes", "--skip-preview"]
    return words


def distances(system: System) -> list[tuple[float, float]]:
    """Milliseconds to an answer before and after, of each name in the last report."""
    rows = re.findall(
        r"^\| [\w.-]+ \| (\d+) ms \| (\d+) ms \|", (system.project / "report.md").read_text(), re.MULTILINE
    )
    return [(float(before), float(after)) for before, after in rows]


@pytest.fixture(scope="module")
def start(sydney: System) -> System:
    if points_to(sydney) != SYDNEY:
        goes_to(sydney, SYDNEY)
        sydney.must_up()
    return sydney


def test_both_languages_have_the_same_commands():
    assert commands("region-move.md") == commands("region-move.ja.md") and len(commands("region-move.md")) == 8


@pytest.mark.nightly
@pytest.mark.parametrize("command", commands("region-move.md"))
def test_commands_of_the_runbook_work(start, command):
    ran = start.command(*typed(command))
    # Who asked for the scheduler before it ran here got 503, and the proxy's alert counts those for five minutes
    asked_early = "infra status" in command and "alert proxy-errors" in ran.output
    assert ran.code == 0 or (asked_early and ran.code == 2), ran.output
    region = re.search(r"(?:move|aws:region) (\S+)", command)
    if "infra move" in command and "--check" not in command and region:
        assert points_to(start) == region[1] and answers(start)
        other = SYDNEY if region[1] == TOKYO else TOKYO
        beside = "" if "--retire" in command else f", {other} stands by"
        assert f"stack lab serves from {region[1]}{beside}; the report: report.md" in ran.output
        assert bool(of_region(start, SYDNEY)) is ("--retire" not in command)
        nearer = [before > 3 * after for before, after in distances(start)]
        # Sydney's hosts answer 60 ms later, each way: what the report says was measured
        assert nearer == [region[1] == TOKYO and "--keep" in command] or "--retire" in command, distances(start)
    if command.startswith("pulumi up"):
        assert points_to(start) == SYDNEY and not of_region(start, TOKYO)


@pytest.mark.nightly
def test_report_of_a_move_is_a_complete_page(start):
    """Of the last `infra move`: it retired Sydney."""
    text = (start.project / "report.md").read_text()
    assert "| drain |" in text and "| retire ap-southeast-2 |" in text
    assert text.count("sha256:") == 13 and "## Latency from here" in text
