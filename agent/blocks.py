"""YAML as rendering/compose.py writes it: blocks, quoted and folded text, anchors. Anything else is refused, since a
compose file that is read wrongly would be compared wrongly. A host has no library for YAML."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from agent.shapes import JsonObject

INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(e[-+][0-9]+)?")
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
ANCHOR = re.compile(r"&(\w+)(?: |$)")
KEY = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"|[^\s'\"&*!|>%@`\[{#?](?:[^:]|:(?=\S))*):(?: |$)")
ENDS = {"'": re.compile(r"'(?:[^']|'')*'"), '"': re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)}
SPECIAL = ("|", ">", "!", "?", "[", "{", "%", "@", "`")
# Escapes of YAML that JSON does not have
ESCAPES = {
    "0": "\0",
    "a": "\a",
    "v": "\v",
    "e": "\x1b",
    " ": " ",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
BREAKS = "\r\x85\u2028\u2029"
ESCAPE = re.compile(r"\\(?:x([0-9A-F]{2})|u([0-9A-F]{4})|U([0-9A-F]{8})|(.))", re.DOTALL)


class _Line(NamedTuple):
    """`indent` is -1 of an empty line, which only a folded text has."""

    indent: int
    text: str


def parse(text: str) -> Any:
    """The document's value. Raises ValueError for what that program does not write."""
    if any(mark in text for mark in BREAKS):
        raise ValueError("a line's end that is none of Unix")
    lines = [
        _Line(len(line) - len(line.lstrip(" ")) if line.strip() else -1, line.strip(" ")) for line in text.split("\n")
    ]
    while lines and (lines[0].indent < 0 or lines[0].text.startswith("#")):
        lines.pop(0)
    while lines and lines[-1].indent < 0:
        lines.pop()
    reader = _Reader(lines)
    value = reader.node(-1)
    if reader.lines:
        raise ValueError(f"not read: {reader.lines[0].text[:40]}")
    return value


class _Reader:
    """`lines` are those that are yet to be read."""

    def __init__(self, lines: list[_Line]) -> None:
        self.lines = lines
        self._anchors: JsonObject = {}

    def node(self, outside: int) -> Any:
        """The value on the next lines, which are further in than `outside`."""
        if not self.lines or self.lines[0].indent <= outside:
            return None
        indent, text = self.lines[0]
        if text == "-" or text.startswith("- "):
            return self._sequence(indent)
        return self._mapping(indent) if KEY.match(text) else self._value(self.lines.pop(0).text, outside)

    def _sequence(self, indent: int) -> list[Any]:
        items: list[Any] = []
        while self.lines and self.lines[0].indent == indent and self.lines[0].text.startswith("-"):
            rest = self.lines.pop(0).text[1:].lstrip(" ")
            if (rest.startswith("- ") or KEY.match(rest)) and not ANCHOR.match(rest):
                self.lines.insert(0, _Line(indent + 2, rest))
                items.append(self.node(indent))
            else:
                items.append(self._value(rest, indent))
        return items

    def _mapping(self, indent: int) -> JsonObject:
        entries: JsonObject = {}
        while self.lines and self.lines[0].indent == indent and (key := KEY.match(self.lines[0].text)):
            rest = self.lines.pop(0).text[key.end() :]
            # A list in a mapping is no further in than its key
            is_list = bool(self.lines) and self.lines[0].indent == indent and self.lines[0].text.startswith("-")
            entries[str(_scalar(key[1]))] = self._value(rest, indent - 1 if is_list else indent)
        return entries

    def _value(self, text: str, outside: int) -> Any:
        anchor = ANCHOR.match(text)
        if anchor:
            text = text[anchor.end() :]
        value = self._anchors[text[1:]] if text.startswith("*") else self._plain_or_quoted(text, outside)
        if anchor:
            self._anchors[anchor[1]] = value
        return value

    def _plain_or_quoted(self, text: str, outside: int) -> Any:
        if not text:
            return self.node(outside)
        if text in ("[]", "{}"):
            return [] if text == "[]" else {}
        if text.startswith(SPECIAL):
            raise ValueError(f"not read: {text[:40]}")
        parts = [text]
        end = ENDS.get(text[0])
        while self.lines and (
            not end.fullmatch("\n".join(parts)) if end else self.lines[0].indent > outside or self.lines[0].indent < 0
        ):
            parts.append(self.lines.pop(0).text)
        if end and not end.fullmatch("\n".join(parts)):
            raise ValueError("a text without an end")
        return _scalar("\n".join(parts))


def _fold(text: str) -> str:
    """A line's end is a blank; each empty line is one."""
    return re.sub(r" *\n( *\n)*", lambda breaks: "\n" * (breaks[0].count("\n") - 1) or " ", text)


def _scalar(text: str) -> Any:
    if text.startswith("'"):
        return _fold(text[1:-1]).replace("''", "'")
    if text.startswith('"'):
        # A break after a \ is none
        return ESCAPE.sub(_unescape, _fold(re.sub(r"\\\n *", "", text[1:-1])))
    text = _fold(text)
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if FLOAT.fullmatch(text) else text


def _unescape(match: re.Match[str]) -> str:
    if number := match[1] or match[2] or match[3]:
        return chr(int(number, 16))
    return ESCAPES[match[4]] if match[4] in ESCAPES else json.loads(f'"\\{match[4]}"')
