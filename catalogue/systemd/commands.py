"""Commands of a unit's [Service]: which programs it starts, with what."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from catalogue.systemd.directives import Sections, texts

NAMES = re.compile(r"Exec(?:Condition|Start|StartPre|StartPost|Reload|Stop|StopPost)")
# What a unit needs before it serves
STARTING = ("ExecCondition", "ExecStartPre", "ExecStart")
# systemd's marks before a program's path; with - it may fail, or not be there
COMMAND = re.compile(r"([-@:+!|]*)\s*(.*)", re.DOTALL)
# Programs whose first argument is a file to be there
INTERPRETER = re.compile(r"(?:.*/)?(?:python|ruby|perl|php|lua)[0-9.]*|(?:.*/)?(?:ba|da|z|k)?sh")


@dataclass(frozen=True)
class Command:
    """A program by its path, its arguments, the directive that has it, and may it fail."""

    program: str
    arguments: list[str]
    directive: str
    may_fail: bool

    @property
    def script(self) -> str:
        """The file that an interpreter is given; "" where it is given none, or another way."""
        first = self.arguments[0] if self.arguments else ""
        return first if INTERPRETER.fullmatch(self.program) and first.startswith("/") else ""


def commands(parts: Iterable[Sections]) -> Iterator[Command]:
    """Those of sets of sections that are read one after another: an empty line forgets the ones before."""
    by_directive: dict[str, list[Command]] = {}
    for sections in parts:
        for name, value in sections.get("Service", {}).items():
            if NAMES.fullmatch(name):
                for line in texts(value):
                    if not line.strip():
                        by_directive[name] = []
                    by_directive.setdefault(name, []).extend(_commands(name, line))
    for each in by_directive.values():
        yield from each


def _commands(name: str, line: str) -> Iterator[Command]:
    """One, or several with a ; of its own between them."""
    for part in re.split(r"\s;\s", line):
        parts = COMMAND.fullmatch(part.strip())
        words = _words(parts[2]) if parts else []
        if parts and words:
            yield Command(words[0], words[1:], name, "-" in parts[1])


def is_certain(path: str) -> bool:
    """Is a path what it says: systemd puts other things in the place of specifiers, variables and escapes."""
    return not any(sign in path for sign in "%$\\")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        # An open quote, which systemd takes for itself
        return line.split()
