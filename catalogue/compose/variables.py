"""Variables of a compose file: $NAME, ${NAME}, ${NAME:-default} and the rest of the specification's forms."""

import re
from collections.abc import Mapping
from typing import Any

from catalogue.shapes import is_list, is_mapping

VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:?[-?+])(?P<other>[^{}]*))?\})"
)


def missing(text: str, values: Mapping[str, str]) -> list[str]:
    """The variables of a text that have neither a value nor a default; of one inside another the text from its ${ on,
    since it is not read."""
    names = [name for match in VARIABLE.finditer(text) if (name := _name(match)) and _value(match, values) is None]
    # What is left of a variable that stands inside another one
    rest = VARIABLE.sub("", text).partition("${")[2]
    return names + ([rest[:40]] if rest else [])


def fill_variables(value: Any, values: Mapping[str, str]) -> Any:
    """A value of a file with its variables replaced; `$$` stays as it is, and so does a variable that is missing."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: _replace_variable(match, values), value)
    if is_list(value):
        return [fill_variables(item, values) for item in value]
    return {key: fill_variables(item, values) for key, item in value.items()} if is_mapping(value) else value


def _name(match: re.Match[str]) -> str:
    return match["plain"] or match["name"] or ""


def _replace_variable(match: re.Match[str], values: Mapping[str, str]) -> str:
    value = _value(match, values)
    # A value is text: what looks like a variable in it is none
    return match[0] if value is None or match["escaped"] else value.replace("$", "$$")


def _value(match: re.Match[str], values: Mapping[str, str]) -> str | None:
    value, how, other = values.get(_name(match)), match["how"] or "", match["other"] or ""
    is_there = value is not None and (value != "" or not how.startswith(":"))
    if how.endswith("+"):
        return other if is_there else ""
    if is_there:
        return value
    return other if how.endswith("-") else None
