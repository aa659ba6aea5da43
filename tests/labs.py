"""`python -m tests.labs`: the tests that need a lab, in labs side by side. Most of their time is waiting for hosts."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass

from lab import up
from lab.settings import default_lab
from tests.system.cannot import reason_why_not

FAULTS = "tests/system/test_faults.py"


@dataclass(frozen=True)
class Run:
    """One pytest process after the other runs in a line; `lab` is the name and number that tests/system has in it."""

    lab: str
    paths: list[str]


LINES = [
    [Run("test:72", ["tests", "--ignore=tests/moves", f"--ignore={FAULTS}"])],
    [Run("moves:73", ["tests/moves"]), Run("faults:75", [FAULTS])],
]
NOTHING_FOUND = 5


def main(arguments: list[str]) -> int:
    if reason_why_not() is None:
        # Once for all: two labs that build the same thing would be in each other's way
        up.ready(default_lab())
    codes: list[int] = []
    threads = [threading.Thread(target=lambda line=line: codes.extend(_line(line, arguments))) for line in LINES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [code for code in codes if code != NOTHING_FOUND]
    return max(found) if found else NOTHING_FOUND


def _line(line: list[Run], arguments: list[str]) -> list[int]:
    return [_run(run, arguments) for run in line]


def _run(run: Run, arguments: list[str]) -> int:
    """What it says comes in one piece when it has ended; until then a line for each test that has."""
    command = [sys.executable, "-m", "pytest", "-v", "-m", "lab", *run.paths, *arguments]
    env = {**os.environ, "TESTS_LAB": run.lab}
    said: list[str] = []
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if line.rstrip().endswith("%]"):
                print(line, end="", flush=True)
        code = process.wait()
    if code not in (0, NOTHING_FOUND):
        print(f"\n· {' '.join(run.paths)}\n{''.join(said)}", flush=True)
    else:
        print(f"· {run.paths[0]} in lab {run.lab}: {said[-1].strip().strip('= ')}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
