"""Text that others wrote (programs, services, Docker, registries) as a part of what the agent says: its secrets masked,
its control characters visible, its length bounded. Every reason passes through here, and every line of a job.

A line that is too long is worse than one that is cut: Pulumi's command plugin stops for ever at one of 64 KiB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from agent.shapes import JsonObject

# All in bytes of JSON text, in which a letter that is not ASCII takes six
PIECE = 1024  # one piece of foreign text
REASON = 3072  # why something was refused or failed
LINE = 4096  # one text of an event: what people read
EVENT = 32768  # a whole event, the lists of a result included
CUT = "… (cut)"
# Of what a program says: so many times what is shown, and its end, in characters
MUCH, LATEST = 16, 1 << 20
MORE = "… and {} more"

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_masks: list[Callable[[str], str]] = []


@contextmanager
def hiding(mask: Callable[[str], str]) -> Generator[None]:
    """Masks secrets in what is quoted meanwhile: before it is cut, since half a secret could not be found any more."""
    _masks.append(mask)
    try:
        yield
    finally:
        _masks.remove(mask)


def mask_secrets(text: str) -> str:
    for mask in _masks:
        text = mask(text)
    return text


def visible(text: str) -> str:
    """One line: terminal sequences go, line breaks and tabs become spaces, other control characters become escapes."""
    line = re.sub(r"\s+", " ", ESCAPES.sub("", text)).strip()
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def size(text: str) -> int:
    return len(json.dumps(text)) - 2


def cut(text: str, limit: int = PIECE, whole: str = "") -> str:
    """At most `limit` bytes of a text; `whole` names the service whose log has the rest."""
    if size(text) <= limit:
        return text
    mark = f"… (cut; the whole: infra logs {whole})" if whole else CUT
    remaining = limit - size(mark)
    if remaining < 0:
        mark, remaining = "…", limit - size("…")
    for end, char in enumerate(text):
        remaining -= size(char)
        if remaining < 0:
            return text[:end] + mark
    return text


def quote(text: str, limit: int = PIECE, whole: str = "") -> str:
    """Foreign text as a part of a line."""
    return cut(_clean(text, limit), limit, whole)


def _clean(text: str, limit: int) -> str:
    """Of a text without an end only as much as could be shown is gone through, once its secrets are out of it: those
    amid which a terminal's codes are too."""
    return visible(mask_secrets(ESCAPES.sub("", text))[: MUCH * limit])


def join(texts: list[str], separator: str, limit: int, whole: str = "") -> str:
    """Several foreign texts in one; where they are too long together, each has the same share."""
    texts = [_clean(text, limit) for text in texts]
    if size(separator.join(texts)) <= limit:
        return separator.join(texts)
    share = max(16, (limit - size(separator) * (len(texts) - 1)) // len(texts))
    return cut(separator.join(cut(text, share) for text in texts[:-1]) + separator + texts[-1], limit, whole)


def last_lines(output: str, count: int, limit: int = PIECE, whole: str = "") -> str:
    """The end of a program's output in one line; what it says again and again is said once."""
    lines = [line.strip() for line in mask_secrets(output)[-LATEST:].splitlines() if line.strip()]
    latest = list(dict.fromkeys(reversed(lines)))[:count]
    return join(latest[::-1], " | ", limit, whole)


def error(problem: BaseException) -> str:
    """An unexpected error."""
    return quote(f"{type(problem).__name__}: {problem}")


def event_line(event: Mapping[str, Any]) -> str:
    """An event as its JSON line, EVENT bytes at most. Lists and mappings of a result that are too long end with how
    many entries are not shown; the history on the host has all of them."""
    if "awaiting" in event:
        # Names of the release, each of which is asked for
        return json.dumps(event)
    for entries, limit in ((None, LINE), (64, 256), (16, 128), (4, 64), (1, 32)):
        line = json.dumps({name: _shorten(value, entries, limit) for name, value in event.items()})
        if len(line) <= EVENT:
            return line
    return json.dumps({"say": CUT})


def _shorten(value: Any, entries: int | None, limit: int, name: str = "line") -> Any:
    if isinstance(value, str):
        return cut(visible(value), LINE if name == "line" else limit)
    if isinstance(value, list):
        items = cast("list[object]", value)
        shortened_items = [_shorten(item, entries, limit, "") for item in items[:entries]]
        return shortened_items + (
            [MORE.format(len(items) - len(shortened_items))] if len(shortened_items) < len(items) else []
        )
    if isinstance(value, dict):
        mapping = cast("JsonObject", value)
        # Of a result itself no field goes
        kept_names = list(mapping)[: None if "line" in mapping else entries]
        short = {
            cut(visible(key), limit): _shorten(mapping[key], entries, limit, key if key == "line" else "")
            for key in kept_names
        }
        omitted = len(mapping) - len(kept_names)
        return {**short, MORE.format(omitted): 0} if omitted else short
    return value


def count(number: int, noun: str) -> str:
    """`1 unit`, `2 units`: of nouns that take an s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
