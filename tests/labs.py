"""`python -m tests.labs`: the tests that need a lab, in labs side by side.

By day they run with the real `command` plugin where there is one, as users with a network do; in the night with
the stand-in, which has to behave as the real one does.
"""

import sys
from functools import partial
from pathlib import Path

from lab import plugins, up
from lab.settings import ROOT, default_lab
from tests.conftest import LAB_MARK
from tests.fakes.real import real_folder
from tests.lines import Line, run_line, side_by_side
from tests.rows import EVERYTHING
from tests.system.cannot import reason_why_not

# In the night a second lab has WatchMe's whole stack too, and these rows; by day one more set-up would cost more than
# what it saves
SECOND = [
    "tests/system/test_faults.py",
    "tests/system/test_holding.py",
    "tests/system/test_preview.py",
    "tests/system/test_recall.py",
    "tests/system/test_rollouts.py",
    "tests/system/test_speech.py",
]
LIMIT = 5000  # seconds of a line


def main(arguments: list[str]) -> int:
    if reason_why_not() is None:
        # Once for all: two labs that build the same thing would block one another
        up.ready(default_lab())
    return side_by_side(*(partial(run_line, line, arguments, LIMIT) for line in lines()))


def lines() -> list[Line]:
    """A line names its modules, since reading all others takes half a minute of CPU."""
    modules = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if LAB_MARK in path.read_text()]
    names = [str(path.relative_to(ROOT)) for path in modules]
    moves = [name for name in names if Path(name).parts[1] == "moves"]
    second = SECOND if EVERYTHING else []
    first = [name for name in names if name not in (*second, *moves)]
    by_lab = {"test:72": first, "moves:73": moves, "more:75": second}
    return [_line(lab, of_lab) for lab, of_lab in by_lab.items() if of_lab]


def _line(lab: str, modules: list[str]) -> Line:
    """Of one lab: TESTS_LAB is the name and number of the one that it makes for its tests."""
    env = {"TESTS_LAB": lab}
    if (folder := real_folder()) and not EVERYTHING:
        env[plugins.FOLDER] = str(folder)
    return Line(f"lab {lab}", ["-v", "-m", "lab", *modules], env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
