"""`make bench-growth`: what many hosts cost a stack where it is worked out: a whole preview under mocks by wall clock
and memory, and its parts by processor time. No lab, and no network; each host runs a WatchMe of its own.

Writes `results/growth.json` and `results/growth.svg`, with the machine, its load and the versions of what was measured.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from benchmarks.plot import line_chart
from benchmarks.preview import project
from lab.run import run
from lab.settings import ROOT

SIZES = (1, 10, 50, 100)
RESULTS = Path(__file__).parent / "results"
SERVICES = 13  # of a WatchMe


class Preview(TypedDict):
    """One `infra preview --mocks`: seconds by wall clock and of processor time, the peak in MiB of its largest process,
    and the machine's load when it began."""

    wall: float
    cpu: float
    memory: float
    load: float


# Runs in a project of its own, so that only its files are read
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from catalogue.checks import check
from catalogue.loading import load
from catalogue.stack import read_stack
from components.release import request
from infra.preview.snapshot import take
from rendering.archive import build
from rendering.host import render

def spent():
    return time.process_time()

root, begun = Path.cwd(), spent()
catalogue = load(root, read_stack(root, "prod"))
loaded = spent()
problems = [problem for problem in check(catalogue) if problem.level == "error" and not problem.unset]
assert not problems, problems[:3]
checked = spent()
built = {host: build(render(catalogue, host)) for host in catalogue.stack.hosts}
rendered = spent()
target = {"host": "h", "address": "192.0.2.1", "port": 22, "user": "u", "host_key": "k", "private_key": "p"}
requests = [len(request(catalogue.stack, one, {**target, "host": host}, {})) for host, one in built.items()]
snapshot = take(root, "prod", root / "Pulumi.prod.yaml")
assert not snapshot["error"], snapshot["error"]
made = spent()
resources = snapshot["resources"]
print(json.dumps({
    "load": loaded - begun, "check": checked - loaded, "render": rendered - checked, "program": made - rendered,
    "archive": max(len(one.archive) for one in built.values()), "request": sum(requests),
    "resources": len(resources), "custom": sum(1 for one in resources if one["custom"]),
    "inputs": len(json.dumps([one["inputs"] for one in resources])),
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def measure(folder: Path) -> dict[str, float]:
    """What the program of a project spent, in seconds of processor time, bytes and MiB."""
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=1800)
    if ran.returncode:
        sys.exit(f"bench: {ran.stdout[-1000:]}{ran.stderr[-2000:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def preview(folder: Path) -> Preview:
    """A preview of one changed port, in processes of its own, both snapshots included."""
    command = [str(Path(sys.executable).with_name("infra")), "preview", "--mocks", "--base", "HEAD", "--stack", "prod"]
    load, start = os.getloadavg()[0], time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        # Of the process and of all that it waited for
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read().decode()
    if process.returncode or "1 service restarts while its requests wait: ast-api" not in text:
        sys.exit(f"bench: {text[-2000:]}")
    return {
        "wall": round(seconds, 2), "cpu": round(usage.ru_utime + usage.ru_stime, 2),
        "memory": round(usage.ru_maxrss / 1024), "load": round(load, 1),
    }  # fmt: skip


def keep_results(previews: dict[int, Preview], parts: dict[int, dict[str, float]]) -> None:
    """The figures as JSON, and as a plot over the number of services: seconds, and memory in units of 100 MiB."""
    machine = {
        "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version(),
        "commit": run("git", "rev-parse", "--short=10", "HEAD", cwd=ROOT).strip(),
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
    }  # fmt: skip
    rows = [
        {"hosts": size, "services": SERVICES * size, "preview": figures, "parts": parts.get(size)}
        for size, figures in previews.items()
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "growth.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    points = [(SERVICES * size, figures) for size, figures in previews.items()]
    lines = {
        "wall (s)": [(services, figures["wall"]) for services, figures in points],
        "CPU (s)": [(services, figures["cpu"]) for services, figures in points],
        "memory (100 MiB)": [(services, figures["memory"] / 100) for services, figures in points],
    }
    (RESULTS / "growth.svg").write_text(line_chart(lines, "infra preview --mocks", "services"))


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [*SIZES]
    previews: dict[int, Preview] = {}
    parts: dict[int, dict[str, float]] = {}
    print("| hosts | services | preview | CPU | largest process | load |\n|---:|---:|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            folder = project(Path(temporary) / str(size), size)
            one = previews[size] = preview(folder)
            cells = f"{one['wall']:.1f} s | {one['cpu']:.1f} s | {one['memory']:.0f} MiB | {one['load']}"
            print(f"| {size} | {SERVICES * size} | {cells} |", flush=True)
            parts[size] = measure(folder)
            keep_results(previews, parts)
    print("\n| hosts | services | load | check | render | program | memory | resources | inputs | requests |")
    print("|---:|---:|---|---|---|---|---|---:|---|---|")
    for size, one in parts.items():
        seconds = " | ".join(f"{one[part]:.1f} s" for part in ("load", "check", "render", "program"))
        amounts = " | ".join(f"{one[part] / 1024**2:.2f} MiB" for part in ("inputs", "request"))
        cells = f"{seconds} | {one['memory']:.0f} MiB | {one['resources']:.0f} | {amounts}"
        print(f"| {size} | {SERVICES * size} | {cells} |")


if __name__ == "__main__":
    main()
