"""Variables of a compose file: $NAME, ${NAME}, ${NAME:-default} and the rest of the specification's forms."""

import re
from collections.abc import Mapping
from typing import Any

VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:?[-?+])(?P<other>[^{}]*))?\})"
)


def missing(text: str, values: Mapping[str, str]) -> list[str]:
    """The variables of a text that have neither a value nor a default; of one inside another the text from its ${ on,
    since it is not read."""
    names = [name for found in VARIABLE.finditer(text) if (name := _name(found)) and _value(found, values) is None]
    # What is left of a variable that stands inside another one
    rest = VARIABLE.sub("", text).partition("${")[2]
    return names + ([rest[:40]] if rest else [])


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """A value of a file with its variables replaced; `$$` stays as it is, and so does a variable that is missing."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _replaced(found, values), value)
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    return {key: filled(item, values) for key, item in value.items()} if isinstance(value, dict) else value


def _name(found: re.Match[str]) -> str:
    return found["plain"] or found["name"] or ""


def _replaced(found: re.Match[str], values: Mapping[str, str]) -> str:
    value = _value(found, values)
    # A value is text: what looks like a variable in it is none
    return found[0] if value is None or found["escaped"] else value.replace("$", "$$")


def _value(found: re.Match[str], values: Mapping[str, str]) -> str | None:
    given, how, other = values.get(_name(found)), found["how"] or "", found["other"] or ""
    is_there = given is not None and (given != "" or not how.startswith(":"))
    if how.endswith("+"):
        return other if is_there else ""
    if is_there:
        return given
    return other if how.endswith("-") else None
