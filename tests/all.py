"""`make test`: style, types, every test but the nightly ones; `--everything`, which is `make test-all`: these too.

Other arguments are pytest's. Where no lab can run, its tests are skipped with the reason; not in CI.
"""

import os
import subprocess
import sys

from lab import root
from tests.lines import Line, run_line, side_by_side

STYLE = [["ruff", "check", "--quiet", "."], ["ruff", "format", "--check", "--quiet", "."]]
TYPES = "pyright"
EVERYTHING = "--everything"
# One more than there are cores, since many wait for a clock; one at its end takes over tests of another. Labs go first:
# their hosts have deadlines, and these tests only a limit against hanging
PARALLEL = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "worksteal", "-o", "timeout=900"]
PURE = Line("tests without a lab", ["-q", "-m", "not lab", *PARALLEL], before=("nice", "-n", "10"))
LIMIT = 6000  # seconds of one part


def main(arguments: list[str]) -> int:
    if EVERYTHING in arguments:
        # Read by tests/conftest.py
        os.environ["TESTS_EVERYTHING"] = "1"
        arguments = [word for word in arguments if word != EVERYTHING]
    for check in STYLE:
        print(f"· {' '.join(check)}", flush=True)
        if subprocess.run([sys.executable, "-m", *check], timeout=LIMIT).returncode:
            print(f"✗ {' '.join(check)}")
            return 1
    print(f"· {TYPES}, the tests without a lab, and those in labs, side by side", flush=True)
    return side_by_side(_types, lambda: run_line(PURE, arguments, LIMIT), lambda: _labs(arguments))


def _types() -> int:
    ran = subprocess.run([sys.executable, "-m", TYPES], stdout=subprocess.PIPE, text=True, timeout=LIMIT)
    if ran.returncode:
        print(f"✗ {TYPES}\n{ran.stdout}", flush=True)
    return ran.returncode


def _labs(arguments: list[str]) -> int:
    if os.geteuid() != 0 and root.is_possible():
        return root.run_as_root("tests.labs", *arguments)
    return subprocess.run([sys.executable, "-m", "tests.labs", *arguments], timeout=LIMIT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
