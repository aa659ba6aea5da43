"""Variables as compose files and the files that they name write them."""

import re
from typing import Any

from catalogue.shapes import is_mapping

# As Docker Compose reads a file of variables: a name, = or :, and a value in quotes, which may have lines, or without
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z0-9_][A-Za-z0-9_.\[\]-]*)[ \t]*([=:]?)")
_QUOTED = {'"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL), "'": re.compile(r"'([^']*)'")}
_COMMENT, _EMPTY = re.compile(r"[ \t]#"), re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ESCAPE, _ESCAPED = re.compile(r'\\([nrt"\\$])'), {"n": "\n", "r": "\r", "t": "\t"}


def pairs(value: Any) -> dict[str, object]:
    """`environment` of a service by name; None for a variable of the shell that starts Compose."""
    if is_mapping(value):
        return dict(value)
    lines: list[Any] = value or []
    return dict(_pair(str(item)) for item in lines)


def of_file(text: str, dollar: str = "$$") -> dict[str, str | None]:
    """The variables of a file of `env_file`. `dollar` is written for a $ that begins no variable: in single quotes each
    sign is itself.

    Raises ValueError, with a variable's name or a line's number and never its text, for what is no variable.
    """
    # Python's own lines also end at \x0c, \x85 and \u2028, which a value can have
    text = text.replace("\r\n", "\n")
    variables: dict[str, str | None] = {}
    place = 0
    while place < len(text):
        if empty := _EMPTY.match(text, place):
            place = empty.end() if empty.end() > place else place + 1
            continue
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        assignment = _NAME.match(text, place, end)
        if not assignment or (not assignment[2] and not _EMPTY.match(text, assignment.end())):
            number = text.count("\n", 0, place) + 1
            raise ValueError(f"line {number} is not NAME=VALUE (quote a value of several lines)")
        variables[assignment[1]], place = _value(text, assignment, end, dollar) if assignment[2] else (None, end)
    return variables


def _value(text: str, assignment: re.Match[str], end: int, dollar: str) -> tuple[str, int]:
    """The value after a name, and where the text goes on. Raises ValueError."""
    raw = text[assignment.end() : end]
    begins = end - len(raw.lstrip(" \t"))
    quote = text[begins : begins + 1]
    if quote not in _QUOTED:
        return _COMMENT.split(raw, maxsplit=1)[0].strip(" \t"), end
    quoted = _QUOTED[quote].match(text, begins)
    if not quoted:
        raise ValueError(f"the value of {assignment[1]} begins with a {quote} that is not closed")
    if not _EMPTY.match(text, quoted.end()):
        raise ValueError(f"the value of {assignment[1]} has text after its closing {quote}")
    value = quoted[1].replace("$", dollar) if quote == "'" else _ESCAPE.sub(lambda each: _sign(each, dollar), quoted[1])
    return value, quoted.end()


def _sign(escaped: re.Match[str], dollar: str) -> str:
    return dollar if escaped[1] == "$" else _ESCAPED.get(escaped[1], escaped[1])


def _pair(text: str) -> tuple[str, str | None]:
    name, sign, value = text.partition("=")
    return name, value if sign else None
