"""Text of hosts, registries and people elsewhere, before it is shown: data, and never an order to a terminal."""

import re
from typing import Any

from catalogue.shapes import is_list, is_mapping

# Keys of what a host says whose text has lines
LINES = frozenset({"diff"})
# Control characters but the line's end and the tab; and what turns the direction of text around, or cannot be seen
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """The text with every character that would do something to a terminal written as its number: `\\x1b`, `\\u202e`."""
    return _HIDDEN.sub(lambda match: _number(ord(match[0])), text)


def _number(code: int) -> str:
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """As above, and on one line: a name with a line break in it starts no line of its own."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def clean(value: Any, lines: bool = False) -> Any:
    """A value of JSON with all its text made visible, keys included. Text has one line, except under a key of LINES."""
    if isinstance(value, str):
        return visible(value) if lines else one_line(value)
    if is_mapping(value):
        return {one_line(str(key)): clean(item, key in LINES) for key, item in value.items()}
    if is_list(value):
        return [clean(item, lines) for item in value]
    return value
