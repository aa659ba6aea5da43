"""What all formats say in the same words."""

import re
from collections.abc import Iterator

from agent.wording import Speaker
from infra.preview.graph import Step
from infra.preview.groups import Copies, GroupChange, SpreadChange
from infra.preview.hosts import HostChange, Room
from infra.preview.report import ENGLISH, WORDS, Cost, Report, StackReport

SOURCES = {
    "mocks": "made without AWS: the programs of both commits ran under mocks. It shows how the commits differ, "
    "but no changes made by hand; digests of images stand for what their tags point to",
    "live": "made from `pulumi preview` and the actual state of the hosts",
}

HOSTS = {
    "new": "a new host", "gone": "the host is removed", "changed": "", "same": "no change",
    "moved": "a new machine beside the old one", "first": "an existing machine, which gets its first release",
}  # fmt: skip
PORT, ADDRESS = "port {key}: {was} → {will}", "address {key}: {was} → {will}"
SPREAD_MEMORY = (
    "memory of the spread services, with the copy that starts before another one ends, of what the hosts have for "
    "them: {before} → {after}"
)
REDUCED_MEMORY = "the same without that copy, while the group's largest host is down: {before} → {after}"
COPIES = ("{count} copy on any of {hosts}", "{count} copies on any of {hosts}")
RUNS = {"container": "a container of the group's first host", "none": "none", "unknown": "not known"}
COMMIT = re.compile(r"[0-9a-f]{40,}")


def heading(report: Report, say: Speaker = ENGLISH) -> str:
    return f"{short(say.of(report.base))} → {say.of(report.head)}"


def short(base: str) -> str:
    """A commit in a few letters; words as they are."""
    return base[:10] if COMMIT.fullmatch(base) else base


def source(stack: StackReport, say: Speaker = ENGLISH) -> str:
    return say.word(SOURCES[stack.source])


def step_line(step: Step, say: Speaker = ENGLISH) -> str:
    """`replaced: machine watchme-…-instance (ami)`."""
    # Nothing that was written down changed: then the old one is not there any more
    because = say(", ").join(say.of(reason) for reason in step.because or step.changed) or say("it no longer exists")
    why = say(" ({because})", because=because) if step.op in ("update", "replace") else ""
    op, kind = say.word(WORDS[step.op]), say.word(step.kind.name)
    return say("{op}: {kind} {name}{why}", op=op, kind=kind, name=step.name, why=why)


def step_note(step: Step, say: Speaker = ENGLISH) -> str:
    unknown = [] if step.kind.is_known else [say("unknown to infra: AWS decides whether it is changed in place")]
    lost = [say.word(step.danger)] if step.danger else []
    return say("; ").join([*lost, *map(say.of, step.notes), *unknown])


def counts(steps: list[Step], say: Speaker = ENGLISH) -> str:
    """`3 created, 1 deleted`, and of what."""
    by_op = {op: sum(step.op == op for step in steps) for op in WORDS}
    return _ways({WORDS[op]: count for op, count in by_op.items() if count}, say) or say("none")


def _ways(counted: dict[str, int], say: Speaker) -> str:
    return say(", ").join(say("{count} {way}", count=count, way=say.word(way)) for way, count in counted.items())


def phase_lines(stack: StackReport, say: Speaker = ENGLISH) -> Iterator[str]:
    for phase in stack.phases:
        step_name = " ".join(part for part in (say.word(phase.title), phase.region) if part)
        yield say("{step}: {what}", step=step_name, what=_ways(phase.ways, say))


def facts_of(host: HostChange, say: Speaker = ENGLISH) -> Iterator[str]:
    """Memory, what services are asked for, what is on a host already, public paths, ports and addresses, where they
    change."""
    before, after = host.memory
    if before != after:
        sides = {"before": room(before, say), "after": room(after, say)}
        yield say("total memory limit of the services: {before} → {after}", **sides)
    for service, (was, will) in host.health.items():
        yield say("health check of {service}: {was} → {will} (200 is healthy)", service=service, was=was, will=will)
    yield from map(say.of, host.data)
    yield from (say.of(thing.line) for thing in host.existing or [])
    if host.how != "new":
        yield from (say("no longer public: {paths}", paths=path) for path in host.lost)
        yield from (say("now open to every client: {path}", path=path) for path in host.opened)
        yield from (say("now public: {path}", path=path) for path in host.gained)
    free = say("free")
    for form, swapped in ((PORT, host.ports), (ADDRESS, host.addresses)):
        for key, (was, will) in swapped.items():
            yield say(form, key=key, was=was or free, will=will or free)


def group_line(group: GroupChange, say: Speaker = ENGLISH) -> str:
    """The hosts of a group, before and after."""
    before, after = (say(", ").join(side) for side in group.hosts)
    return after if before == after else f"{before or say('none')} → {after or say('none')}"


def facts_of_group(group: GroupChange, say: Speaker = ENGLISH) -> Iterator[str]:
    """Hosts that come and go, spread services, and memory, where they change."""
    was, will = group.hosts
    if joining := [name for name in will if name not in was]:
        yield say("new in the group: {hosts}", hosts=say(", ").join(joining))
    if leaving := [name for name in was if name not in will]:
        yield say("no longer in the group: {hosts}", hosts=say(", ").join(leaving))
    for service in group.services:
        yield _spread_line(service, say)
    for form, (before, after) in ((SPREAD_MEMORY, group.memory), (REDUCED_MEMORY, group.reduced)):
        if before != after:
            yield say(form, before=room(before, say), after=room(after, say))


def _spread_line(change: SpreadChange, say: Speaker) -> str:
    sides = [_copies(side, say) for side in (change.before, change.after)]
    runs = sides[1] if sides[0] == sides[1] else f"{sides[0]} → {sides[1]}"
    images = list(dict.fromkeys(side.image for side in (change.before, change.after) if side.image))
    image = [say("image {names}", names=" → ".join(images))] if images else []
    becomes = say(", ").join(map(say.of, change.becomes))
    return say("{service}: {what}", service=change.service, what=say("; ").join([runs, *image, becomes]))


def _copies(side: Copies, say: Speaker) -> str:
    if side.how != "spread":
        return say.word(RUNS[side.how])
    form = COPIES[side.count != 1]
    return say(form, count=side.count, hosts=say(", ").join(side.hosts) or say("none"))


def room(host_room: Room | None, say: Speaker = ENGLISH) -> str:
    if host_room is None:
        return say("none")
    if host_room.room is None:
        return f"{host_room.limits} MiB"
    return say("{limits} of {room} MiB", limits=host_room.limits, room=host_room.room)


def cost(monthly: Cost, say: Speaker = ENGLISH) -> str:
    """In words; "" where nothing is known, or nothing costs."""
    if monthly.after is None or monthly.before is None:
        return say("cost per month: prices unknown")
    same = "" if monthly.more else say(", unchanged")
    change = f"${monthly.before:.2f} → " if monthly.more else ""
    return say(
        "cost per month: {costs}{same} (machines, disks, addresses; on demand, prices of {as_of})",
        costs=f"{change}${monthly.after:.2f}", same=same, as_of=monthly.as_of,
    )  # fmt: skip


def host_line(host: HostChange, say: Speaker = ENGLISH) -> str:
    untouched = say("no file changes") if host.how == "changed" else ""
    many = say("1 file") if len(host.files) == 1 else say("{count} files", count=len(host.files))
    files = many if host.files else untouched
    what = HOSTS[host.how if host.existing is None else "first"]
    return say(", ").join(part for part in (say.word(what), files) if part)
