"""Commands of a unit's [Service]: which programs it starts, with what."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from catalogue.systemd.directives import Sections, texts

NAMES = re.compile(r"Exec(?:Condition|Start|StartPre|StartPost|Reload|Stop|StopPost)")
# systemd's marks before a program's path; with - it may fail, or not be there
COMMAND = re.compile(r"([-@:+!|]*)\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A program by its path, its arguments, and may it fail."""

    program: str
    arguments: list[str]
    may_fail: bool


def commands(parts: Iterable[Sections]) -> Iterator[Command]:
    """Those of several sets of sections."""
    for sections in parts:
        for name, value in sections.get("Service", {}).items():
            if NAMES.fullmatch(name):
                for line in texts(value):
                    found = COMMAND.fullmatch(line)
                    words = _words(found[2]) if found else []
                    if found and words:
                        yield Command(words[0], words[1:], "-" in found[1])


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        # An open quote, which systemd takes for itself
        return line.split()
