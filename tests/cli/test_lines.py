"""What our programs write for Pulumi: bounded, split, and with a last line that is the last."""

import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as texts

from infra.lines import LINE, PIECES, TOTAL, Writer, one_line, pieces

LONGEST = 16 * 1024


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("one", ["one"]),
        ("one\ntwo\r\nthree\n", ["one", "two", "three"]),
        ("tab\tstays, \x1b[31mcolour\x07 does not", ["tab\tstays,  [31mcolour  does not"]),
        ("a lone surrogate \udc80", ["a lone surrogate ?"]),
    ],
)
def test_a_text_as_lines(text, expected):
    assert list(pieces(text)) == expected


def test_a_long_line_is_split_between_characters_and_loses_nothing():
    text = "日" * 4000
    assert "".join(pieces(text)) == text and len(list(pieces(text))) == 4


def test_oversized_line_is_cut_with_its_length():
    *shown, mark = pieces("x" * 5_000_000)
    assert (
        "".join(shown) == "x" * LINE * PIECES and mark == "… (5000000 bytes in this line; the whole text: infra logs)"
    )


@given(texts.text(alphabet=texts.characters(), max_size=50).map(lambda text: text * 3000))
def test_no_line_is_longer_than_the_engine_takes(text):
    for line in [*pieces(text), one_line(text)]:
        assert len(line.encode()) <= LONGEST and not set(line) & {"\n", "\r", "\0", "\x1b"}


def test_a_reason_is_one_line():
    assert one_line("rolled back: unhealthy\n\n  last words\n") == "rolled back: unhealthy; last words"
    assert one_line("x" * 9000).endswith("x … (the whole text: infra logs)")


class Read:
    """A writer with pipes that are read to their end."""

    def __init__(self) -> None:
        self.ends = [os.pipe(), os.pipe()]
        self.texts = ["", ""]
        self.writer = Writer(*(write for _, write in self.ends))
        self.threads = [threading.Thread(target=self._read, args=(number,)) for number in (0, 1)]
        for thread in self.threads:
            thread.start()

    def _read(self, number: int) -> None:
        with open(self.ends[number][0]) as file:
            self.texts[number] = file.read()

    def closed(self) -> tuple[str, str]:
        for _, write in self.ends:
            os.close(write)
        for thread in self.threads:
            thread.join()
        return self.texts[0], self.texts[1]


def test_lines_after_the_last_line_are_dropped():
    read = Read()
    read.writer.say("progress")
    read.writer.last("the reason", "{}")
    read.writer.say("late")
    read.writer.last("later")
    assert read.closed() == ("{}\n", "progress\nthe reason\n")


def test_all_lines_together_fit_into_the_environment_of_the_next_run():
    """Linux takes 128 KiB for one variable; the last line is always there."""
    read = Read()
    for number in range(5000):
        read.writer.say(f"line {number} {'x' * 100}")
    read.writer.last("applied")
    _, text = read.closed()
    assert len(text) < TOTAL + LINE and text.endswith(
        "… (no more progress is shown; the whole text: infra logs)\napplied\n"
    )


def test_oversized_result_is_refused_before_it_is_written():
    read = Read()
    with pytest.raises(ValueError, match="at most 65536"):
        read.writer.last("", json.dumps({"images": "x" * 70_000}))
    read.writer.last("failed")
    assert read.closed() == ("", "failed\n")


def test_a_closed_output_is_no_error():
    ends = os.pipe()
    os.close(ends[0])
    Writer(ends[1], ends[1]).say("is one there")
    os.close(ends[1])
