"""`make bench-growth`: what many hosts cost a stack where it is worked out: processor time, memory, sizes. No lab, and
no network; each host runs a WatchMe of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.preview import project

SIZES = (1, 10, 50, 100)
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


def main() -> None:
    print("| hosts | services | load | check | render | program | memory | resources | inputs | requests |")
    print("|---:|---:|---|---|---|---|---|---:|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for size in SIZES:
            one = measure(project(Path(temporary) / str(size), size))
            seconds = " | ".join(f"{one[part]:.1f} s" for part in ("load", "check", "render", "program"))
            sizes = " | ".join(f"{one[part] / 1024**2:.2f} MiB" for part in ("inputs", "request"))
            print(
                f"| {size} | {13 * size} | {seconds} | {one['memory']:.0f} MiB | {one['resources']:.0f} | {sizes} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
