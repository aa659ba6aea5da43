"""A unit's text as the catalogue has it."""

import re

from catalogue.systemd.directives import Sections, Value


def sections(text: str) -> Sections:
    """Sections and their directives; one that stands several times is a list. Comments are none."""
    found: Sections = {}
    section = ""
    for line in re.sub(r"\\\n[ \t]*", " ", text).splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and line[0] not in "#;" and "=" in line and section:
            name, given = (part.strip() for part in line.split("=", 1))
            block = found.setdefault(section, {})
            value, before = _value(given), block.get(name)
            if before is None:
                block[name] = value
            else:
                block[name] = [*(before if isinstance(before, list) else [before]), value]
    return found


def _value(text: str) -> Value:
    """As somebody would write it in YAML: rendered, it is the same text again."""
    if text in ("yes", "no"):
        return text == "yes"
    return int(text) if re.fullmatch(r"0|-?[1-9]\d*", text) else text
