"""What a move was, for those who were not there. Pure: Markdown out of values."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Latency:
    """Milliseconds from this machine: until an answer over a connection that is open, and over a new one."""

    open: float
    new: float


@dataclass(frozen=True)
class Report:
    """`steps` are (step, what it did, seconds), `images` names → digests, `total` the seconds of `pulumi up`. Where no
    region changes it has a `title`, and may have something `remaining` to do. `gaps` are a line for each handover of
    data: for how long it was stopped, and how many requests failed."""

    stack: str
    old: str
    new: str
    began: str
    total: float
    steps: list[tuple[str, str, float]]
    images: dict[str, str]
    before: dict[str, Latency] = field(default_factory=dict[str, Latency])
    after: dict[str, Latency] = field(default_factory=dict[str, Latency])
    standby: list[str] = field(default_factory=list[str])
    title: str = ""
    remaining: str = ""
    gaps: list[str] = field(default_factory=list[str])


OTHERS = ("boot", "images", "newest images", "release", "gate", "data", "verify", "drain")


def markdown(report: Report) -> str:
    waited = sum(seconds for step, _, seconds in report.steps if step.rsplit(" ", 1)[0] in OTHERS)
    lines = [
        f"# Stack {report.stack}: {report.title or _regions(report)}",
        "",
        f"{report.began}, {report.total:.0f} s.",
        "",
        "| step | did | seconds |",
        "|---|---|---:|",
        *(f"| {step} | {what} | {seconds:.1f} |" for step, what, seconds in report.steps),
        f"| Pulumi, program and AWS | the remaining time | {max(0, report.total - waited):.1f} |",
        "",
        "Steps of different hosts run at the same time.",
        "",
        *(["## Data", "", *(f"- {line}" for line in report.gaps), ""] if report.gaps else []),
        "## Latency from here",
        "",
        "| name | answer before | answer after | new connection before | new connection after |",
        "|---|---:|---:|---:|---:|",
        *(_latency(name, report.before.get(name), after) for name, after in sorted(report.after.items())),
        "",
        f"## Images ({len(report.images)}, same digests)",
        "",
        *(f"- `{name}` {digest}" for name, digest in sorted(report.images.items())),
        "",
        "## Still to do",
        "",
        *_remaining_work(report),
        "",
    ]
    return "\n".join(lines)


def _regions(report: Report) -> str:
    return report.new if report.old == report.new else f"{report.old} → {report.new}"


def _latency(name: str, before: Latency | None, after: Latency) -> str:
    times = (f"{before.open:.0f} ms", f"{before.new:.0f} ms") if before else ("none", "none")
    return f"| {name} | {times[0]} | {after.open:.0f} ms | {times[1]} | {after.new:.0f} ms |"


def _remaining_work(report: Report) -> list[str]:
    stack = f"--stack {report.stack}"
    retire = [
        f"- {region} is a standby: released, but not serving. Retire it: `uv run infra move {report.new} --retire "
        f"{stack}`;"
        f" go back to it: `uv run infra move {region} --keep {stack}`"
        for region in report.standby
    ]
    scan = (
        f"- Change the region in other repositories: `uv run infra scan-regions --from {report.old} --to {report.new} "
        "PATH…`"
    )
    retired = [step.removeprefix("retire ") for step, _, _ in report.steps if step.startswith("retire ")]
    # Of a region that stays a machine goes
    retirements = [f"- Nothing is left in {region}" for region in retired if not region.startswith("machine ")]
    own = [f"- {report.remaining}"] if report.remaining else []
    return [*own, *retire, *retirements, *([] if report.old == report.new else [scan])] or ["- Nothing"]
