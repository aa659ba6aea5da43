"""`make test`: style, types, every test but the nightly ones; `--everything`, which is `make test-all`: these too.

Other arguments are pytest's. Where no lab can run, its tests are skipped with the reason; not in CI.
"""

import os
import subprocess
import sys

from lab import root
from tests.lines import NOTHING_FOUND, Line, run_line

STYLE = [["ruff", "check", "--quiet", "."], ["ruff", "format", "--check", "--quiet", "."]]
TYPES = ["pyright"]
EVERYTHING = "--everything"
# One more than there are cores, since many wait for a clock; one at its end takes over tests of another
PARALLEL = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "worksteal"]
PURE = Line("tests without a lab", ["-q", "-m", "not lab", *PARALLEL])
LIMIT = 3000  # seconds of one part


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
    types = subprocess.Popen([sys.executable, "-m", *TYPES], stdout=subprocess.PIPE, text=True)
    # In two runs: the labs use every core, and are only worth their minutes when the others pass
    print(f"· {' '.join(TYPES)}, and the tests without a lab", flush=True)
    code = run_line(PURE, arguments, LIMIT)
    complaints = types.communicate(timeout=LIMIT)[0]
    if types.returncode:
        print(f"✗ {' '.join(TYPES)}\n{complaints}", flush=True)
    if code not in (0, NOTHING_FOUND) or types.returncode:
        return code or 1
    print("· tests in the lab", flush=True)
    if os.geteuid() != 0 and root.is_possible():
        return root.run_as_root("tests.labs", *arguments)
    return subprocess.run([sys.executable, "-m", "tests.labs", *arguments], timeout=2 * LIMIT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
