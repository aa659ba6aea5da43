"""Plots of a month: where lines run, where they are interrupted, what the axes say."""

import re
from datetime import UTC

import pytest

from infra.dashboard.plots import BOTTOM, GAP, HOUR, LEFT, PERIOD, RIGHT, TOP, Line, Plot, draw, round_top

NOW = 1_795_000_000.0


def paths(*points: tuple[float, float], top: float = 100) -> list[str]:
    return re.findall(r'class="line use" d="([^"]*)"', draw(Plot("t", [Line("use", points)], NOW, top), UTC))


@pytest.mark.parametrize(
    ("value", "top"), [(0, 2), (1, 2), (3, 5), (5, 5), (51, 100), (100, 100), (100.5, 200), (1e9, 1e9), (2**52, 5e15)]
)
def test_an_axis_ends_at_a_round_number_that_is_enough(value, top):
    assert round_top(value) == top


def test_a_value_is_where_its_time_and_size_are():
    assert paths((NOW - PERIOD, 0), (NOW - PERIOD + HOUR, 100)) == [
        f"M{LEFT}.0 {BOTTOM}.0h0L{LEFT + (RIGHT - LEFT) / 720:.1f} {TOP}.0"
    ]
    assert paths((NOW, 50)) == [f"M{RIGHT}.0 {(TOP + BOTTOM) / 2}h0"]


def test_what_is_missing_is_a_gap_and_what_is_outside_is_not_drawn():
    (path,) = paths(
        (NOW - PERIOD - 1, 5), (NOW - 9 * HOUR, 5), (NOW - 8 * HOUR, 5), (NOW - 8 * HOUR + GAP + 1, 5), (NOW + 60, 5)
    )
    assert (path.count("M"), path.count("L")) == (2, 1)
    assert paths() == [] and paths((NOW + 1, 5)) == []


@pytest.mark.parametrize(("value", "y"), [(-5, BOTTOM), (1e300, TOP)])
def test_no_value_leaves_the_plot(value, y):
    assert f" {y}.0h0" in paths((NOW, value))[0]


def test_axes_and_title_are_text_of_the_drawing():
    drawn = draw(Plot("<memory>", [], NOW, 100, " %"), UTC)
    assert "<title>&lt;memory&gt;</title>" in drawn
    assert re.findall(r">([^<>]+)</text>", drawn) == ["0 %", "50 %", "100 %", "10-19", "10-29", "11-08", "11-18"]
