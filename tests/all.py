"""`make test`: style, types, every test but the nightly ones; `--everything`, which is `make test-all`: these too.

Other arguments are pytest's. Where no lab can run, its tests are skipped with the reason; not in CI.
"""

import os
import subprocess
import sys
import threading

from lab import root
from tests.lines import Line, run_line

STYLE = [["ruff", "check", "--quiet", "."], ["ruff", "format", "--check", "--quiet", "."]]
TYPES = ["pyright"]
EVERYTHING = "--everything"
# One for each core; one at its end takes over tests of another
PARALLEL = ["-n", str(os.cpu_count() or 1), "--dist", "worksteal"]
PURE = Line("without a lab", ["-q", "-m", "not lab", *PARALLEL])
# A lab's hosts have deadlines, so they come first wherever there are too few cores for all
NICE = 5
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
    print("· types, the tests without a lab and those in labs, side by side", flush=True)
    codes: list[int] = []
    parts = [
        lambda: codes.append(_check_types()),
        lambda: codes.append(run_line(PURE, arguments, LIMIT, NICE)),
        lambda: codes.append(_run_in_labs(arguments)),
    ]
    threads = [threading.Thread(target=part) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(codes)


def _check_types() -> int:
    checked = subprocess.run([sys.executable, "-m", *TYPES], stdout=subprocess.PIPE, text=True, timeout=LIMIT)
    print(f"✗ types\n{checked.stdout}" if checked.returncode else "· types: in order", flush=True)
    return checked.returncode


def _run_in_labs(arguments: list[str]) -> int:
    if os.geteuid() != 0 and root.is_possible():
        return root.run_as_root("tests.labs", *arguments)
    return subprocess.run([sys.executable, "-m", "tests.labs", *arguments], timeout=LIMIT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
