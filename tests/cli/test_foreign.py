"""Text from elsewhere is shown, and moves no cursor, starts no line and hides nothing."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.foreign import clean, one_line, visible

HOSTILE = {
    "a colour": ("\x1b[31mred", "\\x1b[31mred"),
    "a title": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "one byte for it": ("\x9b2J", "\\x9b2J"),
    "back over the line": ("harmless\rrm -rf /", "harmless\\x0drm -rf /"),
    "right to left": ("a\u202eb", "a\\u202eb"),
    "invisible": ("pay\u200bload", "pay\\u200bload"),
    "half a character": ("a\ud800b", "a\\ud800b"),
    "Japanese": ("日本語のログ", "日本語のログ"),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_visible(text, expected):
    assert visible(text) == expected


@pytest.mark.parametrize("code", [0xAD, 0x34F, 0x115F, 0x180E, 0x3164, 0x206A, 0xFFA0, 0xE0001, 0xE007F])
def test_invisible_characters_are_shown_as_escapes(code):
    assert (
        visible(f"a{chr(code)}b")
        == "a" + (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}") + "b"
    )


@given(st.text())
def test_nothing_that_is_left_is_a_control_character(text):
    assert all(unicodedata.category(char) not in ("Cc", "Cs") or char in "\n\t" for char in visible(text))
    assert not {"\n", "\t", "\r"} & set(one_line(text))


def test_a_path_with_a_line_break_forges_no_line():
    answer = {"drift": [{"path": "/etc/x\n**approved** `live-1`", "found": "was edited", "diff": "-a\n+b\x1b[2K"}]}
    assert clean(answer) == {
        "drift": [{"path": "/etc/x\\n**approved** `live-1`", "found": "was edited", "diff": "-a\n+b\\x1b[2K"}]
    }


def test_keys_and_lists_are_text_too_and_numbers_stay():
    assert clean({"a\x1b": ["b\x07", 1, None, True, {"c": "\x00"}]}) == {
        "a\\x1b": ["b\\x07", 1, None, True, {"c": "\\x00"}]
    }
