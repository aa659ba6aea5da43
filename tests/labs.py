"""`python -m tests.labs`: the tests that need a lab, in labs side by side.

By day they run with the real `command` plugin where there is one, as everybody with a network does; in the night with
the stand-in, which has to behave as the real one does.
"""

import sys
import threading
from pathlib import Path

from lab import plugins, up
from lab.settings import ROOT, default_lab
from tests.conftest import LAB_MARK
from tests.fakes.real import real_folder
from tests.lines import NOTHING_FOUND, Line, run_line
from tests.rows import EVERYTHING
from tests.system.cannot import reason_why_not

# The second of the two labs that have WatchMe's whole stack; in the night it has more rows of what it has
SECOND = [
    "tests/system/test_faults.py",
    "tests/system/test_holding.py",
    "tests/system/test_preview.py",
    "tests/system/test_recall.py",
    "tests/system/test_rollouts.py",
    "tests/system/test_speech.py",
]
if not EVERYTHING:
    SECOND += [
        "tests/system/test_refusals.py",
        "tests/system/test_registry.py",
        "tests/system/test_read_off.py",
        "tests/system/test_compose_versions.py",
    ]
LIMIT = 5000  # seconds of a line


def main(arguments: list[str]) -> int:
    if reason_why_not() is None:
        # Once for all: two labs that build the same thing would be in each other's way
        up.ready(default_lab())
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda line=line: codes.append(run_line(line, arguments, LIMIT))) for line in lines()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = [code for code in codes if code != NOTHING_FOUND]
    return max(run) if run else NOTHING_FOUND


def lines() -> list[Line]:
    """They end at about the same time. A line names its modules, since reading all others takes half a minute of CPU."""
    modules = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if LAB_MARK in path.read_text()]
    names = [str(path.relative_to(ROOT)) for path in modules]
    moves = [name for name in names if Path(name).parts[1] == "moves"]
    first = [name for name in names if name not in (*SECOND, *moves)]
    return [_line("test:72", first), _line("moves:73", moves), _line("more:75", SECOND)]


def _line(lab: str, modules: list[str]) -> Line:
    """Of one lab: TESTS_LAB is the name and number of the one that it makes for its tests."""
    env = {"TESTS_LAB": lab}
    if (folder := real_folder()) and not EVERYTHING:
        env[plugins.FOLDER] = str(folder)
    return Line(f"lab {lab}", ["-v", "-m", "lab", *modules], env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
