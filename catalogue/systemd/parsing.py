"""A unit's text as systemd reads it."""

import re
from collections.abc import Iterator

from catalogue.systemd.directives import Sections, Value


def assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """(section, directive, value) of every assignment, in order. Comments, and lines before a section, are none; a line
    that ends in a backslash goes on, over comments too."""
    section, continued = "", ""
    # What ends a line for systemd, and not what else Python takes for an end
    for raw in re.split(r"[\n\r\0]", text):
        line = raw.strip()
        if line[:1] in ("#", ";") or (not line and not continued):
            continue
        line = f"{continued} {line}" if continued else line
        if line.endswith("\\"):
            continued = line[:-1].rstrip() or " "
            continue
        continued, line = "", line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line and section:
            name, value = (part.strip() for part in line.split("=", 1))
            yield section, name, value


def sections(text: str) -> Sections:
    """Sections and their directives as the catalogue has them; one that is given several times is a list."""
    blocks: Sections = {}
    for section, name, text_of_value in assignments(text):
        block = blocks.setdefault(section, {})
        value, before = _value(text_of_value), block.get(name)
        if before is None:
            block[name] = value
        else:
            block[name] = [*(before if isinstance(before, list) else [before]), value]
    return blocks


def _value(text: str) -> Value:
    """As a person would write it in YAML: rendered, it is the same text again."""
    if text in ("yes", "no"):
        return text == "yes"
    return int(text) if re.fullmatch(r"0|-?[1-9]\d*", text) else text
