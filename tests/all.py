"""`make test`: style, types, every test. Where no lab can run, its tests are skipped with the reason; not in CI."""

import os
import subprocess
import sys

from lab import root

CHECKS = [
    ["ruff", "check", "--quiet", "."],
    ["ruff", "format", "--check", "--quiet", "."],
    ["pyright"],
]


def main() -> int:
    for check in CHECKS:
        print(f"· {' '.join(check)}", flush=True)
        if subprocess.run([sys.executable, "-m", *check]).returncode:
            print(f"✗ {' '.join(check)}")
            return 1
    # In two runs: the pure tests tell first, and the lab's are only worth their minutes when those pass
    print("· tests without a lab", flush=True)
    code = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "not lab", *sys.argv[1:]]).returncode
    if code:
        return code
    print("· tests in the lab", flush=True)
    in_lab = ["tests.labs", *sys.argv[1:]]
    if os.geteuid() != 0 and root.is_possible():
        return root.run_as_root(*in_lab)
    return subprocess.run([sys.executable, "-m", *in_lab]).returncode


if __name__ == "__main__":
    sys.exit(main())
