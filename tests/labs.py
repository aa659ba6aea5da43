"""`python -m tests.labs`: the tests that need a lab, in labs side by side.

By day they run with the real `command` plugin where there is one, as everybody with a network does; in the night with
the stand-in, which has to behave as the real one does.
"""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass

from lab import plugins, up
from lab.settings import default_lab
from tests.fakes.real import real_folder
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


@dataclass(frozen=True)
class Line:
    """The tests of one pytest process; `lab` is the name and number of the lab that it makes for them."""

    lab: str
    paths: list[str]


# They end at about the same time
LINES = [
    Line("test:72", ["tests", "--ignore=tests/moves", *(f"--ignore={path}" for path in SECOND)]),
    Line("moves:73", ["tests/moves"]),
    Line("more:75", SECOND),
]
NOTHING_FOUND = 5
LIMIT = 5000  # seconds of a line


def main(arguments: list[str]) -> int:
    if reason_why_not() is None:
        # Once for all: two labs that build the same thing would be in each other's way
        up.ready(default_lab())
    codes: list[int] = []
    threads = [threading.Thread(target=lambda line=line: codes.append(_run(line, arguments))) for line in LINES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [code for code in codes if code != NOTHING_FOUND]
    return max(found) if found else NOTHING_FOUND


def _run(line: Line, arguments: list[str]) -> int:
    """What it says comes in one piece when it has ended; until then a line for each test that has."""
    command = [sys.executable, "-m", "pytest", "-v", "--durations=25", "-m", "lab", *line.paths, *arguments]
    env = {**os.environ, "TESTS_LAB": line.lab}
    if (real := real_folder()) and not EVERYTHING:
        env.setdefault(plugins.FOLDER, str(real))
    said: list[str] = []
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        limit = threading.Timer(LIMIT, process.kill)
        limit.daemon = True
        limit.start()
        for text in process.stdout:
            said.append(text)
            if text.rstrip().endswith("%]"):
                print(text, end="", flush=True)
        code = process.wait()
        limit.cancel()
    if code not in (0, NOTHING_FOUND):
        print(f"\n· {' '.join(line.paths)}\n{''.join(said)}", flush=True)
    else:
        print("".join(_slowest(said)))
        print(f"· {line.paths[0]} in lab {line.lab}: {said[-1].strip().strip('= ')}", flush=True)
    return code


def _slowest(said: list[str]) -> list[str]:
    """The part of pytest's report that names the slowest tests."""
    begin = next((number for number, text in enumerate(said) if "slowest" in text and text.startswith("=")), len(said))
    return said[begin:-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
