"""The files of results: raw figures as JSON, the page of tables, and the picture for the README."""

import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.peers.bars import bar_chart
from benchmarks.peers.table import JOBS, OURS, WHOLE, Run, groups, line_name, median, page, summary
from infra.writing import put
from lab.run import run
from lab.settings import ROOT

RESULTS = ROOT / "benchmarks" / "results"
SHOWN = ("unchanged", "line")  # jobs of the picture
LEFT_OUT = (
    "Kamal: it is a Ruby gem; neither PyPI, npm, the Go proxy nor Debian has it.",
    "Several hosts: a lab has one with WatchMe's services.",
    "A restart's cost for peers: their units start `sleep`, ours wait until containers are healthy.",
    "Bandwidth and TCP's slow start: the line delays and counts, and limits nothing. Loss is modelled as a wait of one "
    "round trip and 200 ms for a segment that is sent again.",
    "CPU on the host is the whole host's, less what it uses with a client that asks and nothing else.",
)


def versions(venv: Path) -> dict[str, str]:
    """What was measured, by the packages that are installed."""
    paths = [str(path) for path in venv.glob("lib/python3*/site-packages")]
    installed = {one.name: one.version for one in metadata.distributions(path=paths)}
    own = {name: metadata.version(name) for name in ("watchme-infra", "pulumi", "pulumi-command")}
    commit = run("git", "rev-parse", "--short=12", "HEAD", cwd=ROOT).strip()
    peers = {name: installed[name] for name in ("ansible-core", "mitogen", "pyinfra") if name in installed}
    return {**own, "commit": commit, **peers, "Python": platform.python_version()}


def machine() -> str:
    """Cores, memory and processor of this machine."""
    text = Path("/proc/cpuinfo").read_text()
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{os.cpu_count()} cores{f' ({model})' if model else ''}, {memory:.0f} GiB, {platform.machine()}"


def about(files: int, size: int, load: str, of_packages: dict[str, str]) -> dict[str, Any]:
    """What stands above the tables."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "load": load,
        "versions": of_packages,
        "work": f"The work: {files} files ({size / 1024:.0f} KiB) of WatchMe's 13 services on one host, their units, "
        f"and an Nginx site. `{OURS}` is what Pulumi runs for a host: it validates, waits for 13 healthy services, and "
        f"looks from outside; `{WHOLE}` is all that a person waits for. The others do none of that.",
        "left_out": LEFT_OUT,
    }


def picture(runs: list[Run]) -> str:
    """Seconds of the jobs of `SHOWN`, on the slowest and the fastest line."""
    lines = sorted({(run.round_trip, run.loss) for run in runs})
    bars = {}
    for (round_trip, loss, job), of_job in groups(runs).items():
        if job in SHOWN and (round_trip, loss) in (lines[0], lines[-1]):
            medians = {peer: median(its, "seconds") for peer, its in of_job.items()}
            heading = f"{JOBS[job]}, round trip {line_name(round_trip, loss)}"
            bars[heading] = {peer: value for peer, value in medians.items() if value > 0}
    return bar_chart("Seconds until it is done (logarithmic)", bars, "s", frozenset({OURS, WHOLE}))


def with_table(text: str, new: str) -> str:
    """A page with this table in the place of the one that begins alike. Raises ValueError where it has none."""
    head = new.splitlines()[0].partition("`")[0]
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith(head)), None)
    if start is None:
        raise ValueError(f"no table begins with {head!r}")
    end = next((number for number in range(start, len(lines)) if not lines[number].startswith("|")), len(lines))
    return "\n".join([*lines[:start], *new.splitlines(), *lines[end:]]) + "\n"


def write(runs: list[Run], facts: dict[str, Any]) -> None:
    """The results, and the ratios where the README shows them."""
    RESULTS.mkdir(exist_ok=True)
    for name in ("README.md", "README.ja.md"):
        put(ROOT / name, with_table((ROOT / name).read_text(), summary(runs)))
    raw = {**facts, "command": sys.argv[1:], "runs": [asdict(run) for run in runs]}
    put(RESULTS / "peers.json", json.dumps(raw, indent=1, ensure_ascii=False) + "\n")
    put(RESULTS / "peers.md", page(facts, runs))
    put(RESULTS / "peers.svg", picture(runs))
