"""Measures on the running lab, each next to a baseline, interleaved: `make lab && make bench`."""

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from lab import up, workspace
from lab.say import LabError
from lab.settings import ROOT, default_lab

ROUNDS = 5
TEMPLATE = ROOT / "files" / "templates" / "site.conf.j2"


def time_of(env: dict[str, str], *argv: str) -> float:
    start = time.perf_counter()
    process = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=1800)
    if process.returncode:
        raise LabError(f"{' '.join(argv)}: {(process.stdout + process.stderr).strip().splitlines()[-1]}")
    return time.perf_counter() - start


def one_changed_file(env: dict[str, str], number: int) -> float:
    """Seconds of a `pulumi up` that changes the Nginx site alone."""
    text = TEMPLATE.read_text()
    changed = re.sub(r"proxy_connect_timeout \w+;", f"proxy_connect_timeout {5000 + number}ms;", text)
    if changed == text:
        raise LabError(f"{TEMPLATE.relative_to(ROOT)} has no line to change")
    TEMPLATE.write_text(changed)
    try:
        return time_of(env, "pulumi", "up", "--yes", "--skip-preview", "--stack", "lab")
    finally:
        TEMPLATE.write_text(text)


def main() -> int:
    lab = default_lab()
    if not up.is_running(lab):
        raise LabError("no lab is running; start it with make lab")
    env = workspace.full_environment(lab)
    measures = {
        "python that does nothing (baseline)": lambda n: time_of(env, sys.executable, "-c", "pass"),
        "infra check": lambda n: time_of(env, str(Path(sys.executable).with_name("infra")), "check", "--stack", "prod"),
        "pulumi stack output (baseline: the CLI alone)": lambda n: time_of(env, "pulumi", "stack", "output", "region"),
        "pulumi preview, no changes": lambda n: time_of(env, "pulumi", "preview", "--stack", "lab"),
        "pulumi up, one changed file": lambda n: one_changed_file(env, n + 1),
    }
    figures: dict[str, list[float]] = {name: [] for name in measures}
    try:
        for number in range(ROUNDS):
            for name, measure in measures.items():
                figures[name].append(measure(number))
    finally:
        time_of(env, "pulumi", "up", "--yes", "--skip-preview", "--stack", "lab")
    print(f"| {ROUNDS} interleaved rounds | median | least | most |\n|---|---|---|---|")
    for name, seconds in figures.items():
        print(f"| {name} | {statistics.median(seconds):.2f} s | {min(seconds):.2f} s | {max(seconds):.2f} s |")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"bench: {error}")
