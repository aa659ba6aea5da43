"""`make test`: style, types, every test. Where no lab can run, its tests are skipped with the reason; not in CI."""

import subprocess
import sys

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
    for label, selection in (("tests without a lab", "not lab"), ("tests in the lab", "lab")):
        print(f"· {label}", flush=True)
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", selection, *sys.argv[1:]]).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
