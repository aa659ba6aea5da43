"""The fields of an entry of the journal, as `journalctl -o json` gives them."""

from __future__ import annotations

from typing import cast

from agent import quoting


def text_of(value: object) -> str | None:
    """A field of the journal: what is no text, or has a terminal's codes, comes as its bytes, and a field that is there
    several times as a list. The codes go: amid a secret they would hide it from the mask."""
    if not isinstance(value, list):
        return quoting.ESCAPES.sub("", value) if isinstance(value, str) else None
    parts = cast("list[object]", value)
    numbers = [part for part in parts if isinstance(part, int) and 0 <= part < 256]
    if parts and len(numbers) == len(parts):
        return quoting.ESCAPES.sub("", bytes(numbers).decode(errors="replace"))
    return " ".join(filter(None, map(text_of, parts)))
