"""What all formats say in the same words."""

from collections.abc import Iterator

from infra.preview.graph import Step
from infra.preview.hosts import HostChange, Room
from infra.preview.report import WORDS, Cost, Report, StackReport

SOURCES = {
    "mocks": "made without AWS: both commits' programs ran under mocks. It shows in what the commits differ, and not "
    "what was changed by hand; digests of images stand for what their tags point to",
    "live": "made from `pulumi preview` and from the hosts themselves",
}


def heading(report: Report) -> str:
    return f"{short(report.base)} → {report.head}"


def short(base: str) -> str:
    """A commit in a few letters; words as they are."""
    return base if " " in base else base[:10]


def source(stack: StackReport) -> str:
    return SOURCES[stack.source]


def step_line(step: Step) -> str:
    """`replaced: machine watchme-…-instance (ami)`."""
    # Nothing that was written down changed: then the old one is not there any more
    because = ", ".join(step.because or step.changed) or "it is gone"
    why = f" ({because})" if step.op in ("update", "replace") else ""
    return f"{WORDS[step.op]}: {step.kind.name} {step.name}{why}"


def step_note(step: Step) -> str:
    unknown = [] if step.kind.known else ["not known here: whether it is changed in place is AWS's word"]
    return "; ".join([*([step.danger] if step.danger else []), *step.notes, *unknown])


def counts(steps: list[Step]) -> str:
    """`3 created, 1 deleted`, and of what."""
    by_op = {op: sum(step.op == op for step in steps) for op in WORDS}
    return ", ".join(f"{count} {WORDS[op]}" for op, count in by_op.items() if count) or "none"


def phase_lines(stack: StackReport) -> Iterator[str]:
    for phase in stack.phases:
        yield f"{phase}: {phase.what}"


def facts_of(host: HostChange) -> Iterator[str]:
    """Memory, what services are asked for, public paths, ports and addresses, where they change."""
    before, after = host.memory
    if before != after:
        yield f"memory of the services' limits: {room(before)} → {room(after)}"
    for service, (was, will) in host.health.items():
        yield f"{service} is healthy when {was} answers 200 → when {will} does"
    yield from host.data
    if host.how != "new":
        yield from (f"no longer public: {path}" for path in host.lost)
        yield from (f"open to every client from then on: {path}" for path in host.opened)
        yield from (f"public from now on: {path}" for path in host.gained)
    for what, swapped in (("port", host.ports), ("address", host.addresses)):
        for key, (was, will) in swapped.items():
            yield f"{what} {key}: {was or 'free'} → {will or 'free'}"


def room(found: Room | None) -> str:
    if found is None:
        return "none"
    return f"{found.limits} of {found.room} MiB" if found.room is not None else f"{found.limits} MiB"


def cost(found: Cost) -> str:
    """In words; "" where nothing is known, or nothing costs."""
    if found.after is None or found.before is None:
        return "a month: prices not known"
    same = "" if found.more else ", as before"
    change = f"${found.before:.2f} → " if found.more else ""
    return f"a month: {change}${found.after:.2f}{same} (machines, disks, addresses; on demand, prices of {found.as_of})"


def host_line(host: HostChange) -> str:
    said = {
        "new": "a new host", "gone": "the host goes", "changed": "", "same": "no change",
        "moved": "a new machine beside the old one",
    }[host.how]  # fmt: skip
    files = f"{len(host.files)} file(s)" if host.files else "no file changes" if host.how == "changed" else ""
    return ", ".join(part for part in (said, files) if part)
