"""What was measured, as medians with their spread, ratios to this program, and a page of Markdown. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# The part of `pulumi up` that peers do too; what others are compared with
OURS, WHOLE = "infra.deliver", "pulumi up"
JOBS = {
    "first": "first push",
    "unchanged": "nothing changed",
    "line": "one Nginx line",
    "unit": "one service",
    "all": "everything",
    "failed": "a line that Nginx refuses",
}


@dataclass(frozen=True)
class Run:
    """One measurement. `round_trip` is the line's, in milliseconds; `loss` in per cent; `cpu` seconds on the host,
    less what it uses while nothing is done; `serves` is what serves after a change that failed, `switched`
    after how many seconds the host served the change, where what ran says so."""

    peer: str
    job: str
    round_trip: int
    loss: float
    number: int
    seconds: float
    connections: int = 0
    round_trips: int = 0
    up: int = 0
    down: int = 0
    cpu: float = 0.0
    memory: int = 0
    requests: int = 0
    failed: int = 0
    is_good: bool = True
    serves: str = ""
    switched: float | None = None

    @property
    def place(self) -> tuple[int, float, str]:
        """What it is compared within."""
        return self.round_trip, self.loss, self.job


def median(runs: Iterable[Run], field: str) -> float:
    return statistics.median(float(getattr(run, field)) for run in runs)


def line_name(round_trip: int, loss: float) -> str:
    return f"{round_trip} ms" + (f", {loss:g} % loss" if loss else "")


def groups(runs: Sequence[Run]) -> dict[tuple[int, float, str], dict[str, list[Run]]]:
    """Round trip, loss and job → peer → its runs that ended as they should."""
    order = list(JOBS)
    ordered = sorted(runs, key=lambda run: (run.round_trip, run.loss, order.index(run.job)))
    grouped: dict[tuple[int, float, str], dict[str, list[Run]]] = {}
    for run in ordered:
        of_job = grouped.setdefault(run.place, {})
        if run.is_good:
            of_job.setdefault(run.peer, []).append(run)
    return grouped


def ratios(of_job: dict[str, list[Run]]) -> dict[str, float]:
    """Peer → how many times as long as this program's part it took."""
    if OURS not in of_job:
        return {}
    base = median(of_job[OURS], "seconds")
    return {peer: median(runs, "seconds") / base for peer, runs in of_job.items() if base > 0}


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def switch_time(runs: Sequence[Run]) -> str:
    """The median of when the host had switched; a dash where what ran does not say so."""
    times = [run.switched for run in runs if run.switched is not None]
    return seconds(statistics.median(times)) if times else "–"


def size(count: float) -> str:
    return f"{count / 1024:.0f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"


def summary(runs: Sequence[Run]) -> str:
    """The table of ratios: a row for each line and job, a column for each peer."""
    grouped = groups(runs)
    peers = [peer for peer in dict.fromkeys(run.peer for run in runs) if peer != OURS]
    lines = [
        f"| line | job | `{OURS}` | {' | '.join(f'`{peer}`' for peer in peers)} |",
        f"|---|---|---|{'---|' * len(peers)}",
    ]
    for (round_trip, loss, job), of_job in grouped.items():
        factors = ratios(of_job)
        own = seconds(median(of_job[OURS], "seconds")) if OURS in of_job else "–"
        cells = [f"{factors[peer]:.2g}×" if peer in factors else "–" for peer in peers]
        lines.append(f"| {line_name(round_trip, loss)} | {JOBS[job]} | {own} | {' | '.join(cells)} |")
    return "\n".join(lines)


def details(runs: Sequence[Run]) -> str:
    """The table of medians: a row for each line, job and peer."""
    lines = [
        "| line | job | with | time | spread | switched after | connections | round trips | "
        "to the host | from it | CPU on the host | memory here | failed requests |",
        "|---|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (round_trip, loss, job), of_job in groups(runs).items():
        for peer, its in of_job.items():
            times = [run.seconds for run in its]
            cells = [
                line_name(round_trip, loss), JOBS[job], f"`{peer}`", seconds(median(its, "seconds")),
                f"{min(times):.2f} to {max(times):.2f}", switch_time(its), f"{median(its, 'connections'):.0f}",
                f"{median(its, 'round_trips'):.0f}", size(median(its, "up")), size(median(its, "down")),
                seconds(max(median(its, "cpu"), 0.0)), size(median(its, "memory")),
                f"{sum(run.failed for run in its)} of {sum(run.requests for run in its)}",
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def after_failure(runs: Sequence[Run]) -> str:
    """What serves after the change that Nginx refuses, by peer."""
    answers = {run.peer: run.serves for run in runs if run.serves}
    return "\n".join(
        ["| with | what serves |", "|---|---|", *(f"| `{peer}` | {answer} |" for peer, answer in answers.items())]
    )


def page(about: dict[str, Any], runs: Sequence[Run]) -> str:
    """The page of results: `about` has the machine, the versions, the date and what was left out."""
    rounds = max(run.number for run in runs)
    wrong = [run for run in runs if not run.is_good]
    parts = [
        "# Measured against peers",
        f"{about['date']}, {about['machine']}; {rounds} interleaved round{'' if rounds == 1 else 's'}, made by "
        f"`make bench-peers`. Load of the machine before: {about['load']}. Versions: "
        + ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        + ".",
        f"{about['work']}",
        "## How many times as long",
        summary(runs),
        "## Medians",
        details(runs),
    ]
    if any(run.serves for run in runs):
        parts += ["## After a change that fails", after_failure(runs)]
    if wrong:
        names = sorted({f"{run.peer}, {JOBS[run.job]}, {line_name(run.round_trip, run.loss)}" for run in wrong})
        parts += ["## Runs that did not end as they should", "\n".join(f"- {name}" for name in names)]
    parts += ["## Not measured", "\n".join(f"- {line}" for line in about["left_out"])]
    return "\n\n".join(parts) + "\n"
