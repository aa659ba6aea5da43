"""What is wrong with a catalogue, said so that a person can fix it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One finding. `level` "error" stops every command; "warning" is only shown.

    `where` names the file's part (a service, a configuration key), `found` what stands there,
    `allowed` what may stand there. `unset` is the secret (GROUP.NAME) that has no value yet: an update needs it, and
    what only looks at the catalogue does not.
    """

    file: str
    where: str
    found: str
    allowed: str
    level: Level = "error"
    unset: str = ""

    @property
    def message(self) -> str:
        """Without its level, where that is shown another way."""
        file, where, fault, allowed = map(printable, (self.file, self.where, self.found, self.allowed))
        return f"{file}: {where}: {fault}; {allowed}"

    def __str__(self) -> str:
        return f"{self.level}: {self.message}"


def printable(text: str) -> str:
    """On one line, and without what would order a terminal about: names in a file are whatever its writer made them."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class CatalogueError(Exception):
    """Raised with every problem found when at least one of them is an error."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(name: str, candidates: Iterable[str], what: str) -> str:
    """`did you mean 'x'?`, or all that there is, in its order: `systems: a, b`."""
    names = list(candidates)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"{what}: {', '.join(names) or 'none'}"


def before_values(problems: Iterable[Problem]) -> list[Problem]:
    """As they are where no secret's value is needed: that one has none yet is a warning then, errors first."""
    softened = [replace(problem, level="warning") if problem.unset else problem for problem in problems]
    return sorted(softened, key=lambda problem: problem.level)


def errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.level == "error"]
