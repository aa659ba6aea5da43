"""Plots of benchmarks: documents of their own, with every point inside."""

from xml.etree import ElementTree

import pytest

from benchmarks.plot import HEIGHT, WIDTH, line_chart, round_up

SVG = "{http://www.w3.org/2000/svg}"


def test_chart_has_a_line_for_each_series_with_all_its_points():
    text = line_chart({"a < b": [(13, 1.5), (1300, 12)], "other": [(0, 0)]}, "A & B", "services", "s")
    lines = ElementTree.fromstring(text).findall(f"{SVG}polyline")
    points = [[pair.split(",") for pair in line.attrib["points"].split()] for line in lines]
    assert [len(line) for line in points] == [2, 1]
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for line in points for x, y in line)


def test_chart_of_nothing_is_a_document():
    assert ElementTree.fromstring(line_chart({})).tag == f"{SVG}svg"


@pytest.mark.parametrize(
    ("value", "end"), [(0, 1), (0.03, 0.05), (1, 1), (1.1, 2), (21, 25), (26, 50), (704, 1000), (1300, 2000)]
)
def test_axis_ends_at_a_round_number_that_is_not_below(value, end):
    assert round_up(value) == pytest.approx(end)
