"""Recorded terminal sessions: what came when, and what a page shows of it."""

import json
import re
from xml.etree import ElementTree

import pytest

from benchmarks.cast import COLUMNS, PAUSE, ROWS, Event, asciicast, picture, rows_of, without_pauses

PROGRESS = [
    Event(0.0, "$ pulumi up"),
    Event(1.0, " ~  command:local:Command release updating (1s) pulling"),
    Event(9.0, " ~  command:local:Command release updating (9s) waiting"),
    Event(10.0, "    applied on watchme"),
    Event(12.0, " ~  command:local:Command release updated (12s)"),
]
SVG = "{http://www.w3.org/2000/svg}"


def test_a_line_of_progress_takes_the_place_of_the_one_before():
    rows = rows_of(PROGRESS)
    assert [(row.number, row.since, row.until) for row in rows] == [
        (0, 0.0, None), (1, 1.0, 9.0), (1, 9.0, 12.0), (2, 10.0, None), (1, 12.0, None),
    ]  # fmt: skip


def test_long_line_of_progress_is_cut_and_others_are_wrapped():
    long = f" ~  command:local:Command release updating (1s) {'pulling ' * 40}"
    rows = rows_of([Event(0, long), Event(1, "word " * 60)])
    assert len(rows[0].text) == COLUMNS and rows[0].text.endswith("…")
    assert [row.number for row in rows] == [0, 1, 2, 3] and {row.whole for row in rows[1:]} == {"word " * 60}


def test_pauses_are_shortened_and_the_order_stays():
    times = [event.at for event in without_pauses([Event(0, "a"), Event(100, "b"), Event(100.5, "c")])]
    assert times == [0, PAUSE, PAUSE + 0.5]


def test_a_cast_has_a_header_and_every_line_as_it_came():
    header, *lines = map(json.loads, asciicast(PROGRESS, "a release").splitlines())
    assert (header["version"], header["width"]) == (2, COLUMNS)
    assert [(at, text.rstrip("\r\n")) for at, _, text in lines] == [(event.at, event.text) for event in PROGRESS]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", "\"'", "日本語", "", "two  words", "x" * 400])
def test_picture_is_valid_xml_with_escaped_texts(text):
    root = ElementTree.fromstring(picture([Event(0, text)], "a <title>"))
    lines = [line.text or "" for line in root.iter(f"{SVG}text")]
    assert (
        all(len(line) <= COLUMNS for line in lines) and "".join(line.removeprefix("      ") for line in lines) == text
    )
    assert root.findtext(f"{SVG}title") == "a <title>"


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1, 200])
def test_a_picture_ends_with_its_last_lines(count):
    drawn = picture([Event(number / 10, f"line {number}") for number in range(count)], "many")
    ElementTree.fromstring(drawn)
    moved = int(re.findall(r"translateY\((-?\d+)(?:px)?\)", drawn)[-1])
    assert moved == -18 * max(count - ROWS, 0)


def test_times_of_a_picture_only_rise():
    drawn = picture(PROGRESS * 30, "many")
    for frames in re.findall(r"@keyframes \w+\{(.*?)\}\}", drawn):
        shares = [float(share) for share in re.findall(r"([\d.]+)%", frames)]
        assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 100
