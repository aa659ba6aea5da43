"""From two snapshots to a report. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent import times
from agent.wording import phrase as worded
from catalogue.machines import of_release, region_of
from catalogue.prices import monthly_everywhere, table
from catalogue.shapes import ResourceValues
from catalogue.stack import Stack
from infra.move.phases import phases
from infra.preview import graph, groups, hosts
from infra.preview.documents import Pair, Present, ProblemRecord, Snapshot
from infra.preview.graph import Step
from infra.preview.report import Cost, StackReport
from infra.preview.snapshot import systems_of
from policy import rules
from policy.facts import Facts, Resource
from policy.of_stack import limits

NOTHING: Present = {
    "region": "", "standby": [], "problems": [], "hosts": {}, "systems": {}, "machines": {}, "deployed": {},
}  # fmt: skip


@dataclass(frozen=True)
class HostReports:
    """Lines about hosts: those that a plan binds (`bound`: approved with it), and what is only to be known
    (`unbound`)."""

    bound: Sequence[str] = ()
    unbound: Sequence[str] = ()


def compare_snapshots(pair: Pair) -> StackReport:
    """What becomes of a stack. An invalid base counts as nothing, and is reported."""
    base, head = pair.get("base"), pair["head"]
    if head["error"]:
        return StackReport(head["stack"], error=head["error"], language=_language(head), timezone=_timezone(head))
    if base is None or base["error"]:
        base_errors = _base_error(base["error"]) if base else []
        return build_report(NOTHING, head, graph.steps([], head["resources"]), "mocks", HostReports((), base_errors))
    steps = graph.steps(base["resources"], head["resources"])
    return build_report(_present(base), head, steps, "mocks", HostReports())


def _present(base: Snapshot) -> Present:
    return {
        "region": base["region"], "standby": base["standby"], "problems": base["problems"], "hosts": base["hosts"],
        "systems": systems_of(base["configuration"]), "machines": base["machines"], "deployed": {},
        "groups": base.get("groups", {}),
    }  # fmt: skip


def _base_error(error: str) -> list[str]:
    # A file that the base does not have: the stack is new
    if "there is no stack" in error or "is not there, which PULUMI_OPTION_CONFIG_FILE" in error:
        return []
    why = error.splitlines()[0]
    return [worded("the base is not valid, everything is shown as new: {why}", why=why)]


def _language(head: Snapshot) -> str:
    """The owners', where the program knew what that is and the configuration could be read."""
    return str(head.get("configuration", {}).get("language", "en"))


def _timezone(head: Snapshot) -> str:
    return str(head.get("configuration", {}).get("timezone", times.DEFAULT))


def build_report(
    there: Present, head: Snapshot, steps: list[Step], source: str, host_reports: HostReports
) -> StackReport:
    """The report, by steps that are known already."""
    was, will = there["region"], head["region"]
    moved = (was, will) if was and was != will else None
    replaced = [] if moved else replacing(steps)
    moving = {} if moved else moving_systems(there, head)
    changes = hosts.compare_hosts(there["hosts"], head["hosts"], was, will, replaced)
    free = there.get("groups", {}), head.get("groups", {})
    group_changes = [*groups.compare_groups(there["hosts"], head["hosts"], free)]
    changes = groups.mark_spread(changes, group_changes, there["hosts"], head["hosts"])
    return StackReport(
        head["stack"],
        fingerprint(source, steps, there, head, host_reports.bound),
        steps=steps,
        hosts=hosts.mark_moving_systems(changes, moving),
        groups=group_changes,
        cost=Cost(_monthly(there), _monthly(head), str(table().as_of)),
        findings=rules.findings(replace(facts(head), shrinking=shrinking(steps))),
        problems=[_problem_line(p) for p in head["problems"] if p not in there["problems"]],
        moves=moved,
        replaces=replaced,
        goes=[
            worded("{system} from {giver} to {taker}", system=system, giver=giver, taker=taker)
            for system, (giver, taker) in sorted(moving.items())
        ],
        phases=phases({"op": step.op, "urn": step.urn} for step in steps)
        if moved or replaced or moving or is_gated(steps)
        else [],
        hosts_say=[*host_reports.bound, *host_reports.unbound],
        images=head.get("images", {}),
        language=_language(head),
        timezone=_timezone(head),
        source=source,
    )


def is_gated(steps: Sequence[Step]) -> bool:
    """Does something pass a gate: names or machines change place, or a machine goes that may be remembered."""
    return any(step.op == "create" and "infra:index:Gate$" in step.urn for step in steps)


def moving_systems(there: Present, head: Snapshot) -> dict[str, tuple[str, str]]:
    """System → the host that it leaves and the one that it goes to; those of which both are known."""
    sides = there["systems"], systems_of(head["configuration"])
    before, after = ({system: host for host, names in side.items() for system in names} for side in sides)
    both = {system: (host, after[system]) for system, host in before.items() if system in after}
    return {system: (a, b) for system, (a, b) in both.items() if a != b and a in sides[1]}


def replacing(steps: Sequence[Step]) -> list[str]:
    """The hosts that become another machine where they are: it gets their release, and the one that had it does not
    any more."""
    releases = [(host_and_place, step.op) for step in steps if (host_and_place := of_release(step.name))]
    left_hosts = {(host, region_of(place)) for (host, place), op in releases if op == "delete"}
    return sorted({host for (host, place), op in releases if op == "create" and (host, region_of(place)) in left_hosts})


def fingerprint(source: str, steps: list[Step], there: Present, head: Snapshot, host_reports: Sequence[str]) -> str:
    """What a person approves: the files, the steps, what they start from (the hosts' releases, and hand edits
    since), and the code that does it, each by itself. The same plan has the same on every machine."""
    resources = sorted(head["resources"], key=lambda resource: resource["urn"])
    parts = (
        {name: [host["manifest"], host["files"]] for name, host in head["hosts"].items()},
        [
            [[step.urn, step.op, step.changed, step.because, step.new] for step in steps],
            [[resource["urn"], resource["inputs"]] for resource in resources],
        ],
        [
            {name: [host["manifest"], host["files"]] for name, host in there["hosts"].items()},
            list(host_reports),
        ],
        head["code"],
    )
    return "-".join([source, *(_short(part) for part in parts)])


PARTS = (
    "its source", "the hosts' files", "the steps of the resources", "the hosts' present state",
    "the program",
)  # fmt: skip


def _short(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:10]


def differing(approved: str, now: str) -> list[str]:
    """Which parts of two fingerprints are not the same."""
    before, after = approved.split("-"), now.split("-")
    if len(before) != len(PARTS):
        return ["the fingerprint's format"]
    return [name for name, one, other in zip(PARTS, before, after, strict=True) if one != other]


def facts(snapshot: Snapshot) -> Facts:
    """What the policy looks at."""
    stack = Stack.model_validate(snapshot["configuration"])
    resources = [
        Resource(resource["type"], resource["name"], resource["inputs"])
        for resource in snapshot["resources"]
        if resource["custom"]
    ]
    files = {name: host["files"] for name, host in snapshot["hosts"].items()}
    plain = {
        f"{name}:{item['path']}": sorted(item["values"])
        for name, host in snapshot["hosts"].items()
        for item in host["manifest"]["environment_files"]
    }
    allowed = {
        f"{name}:{place}": reasons
        for name, host in snapshot["hosts"].items()
        for place, reasons in host.get("exceptions", {}).items()
    }
    return Facts(stack.name, resources, files, plain, allowed, {}, limits(stack), _monthly(snapshot))


def shrinking(steps: list[Step]) -> dict[str, tuple[int, int]]:
    """Machine or data disk → GiB before and after, of those that lose some in place."""
    sizes: dict[str, tuple[int, int]] = {}
    for step in steps:
        before, after = _disk_size(step.type, step.old), _disk_size(step.type, step.new)
        if step.op == "update" and before and after and int(after) < int(before):
            sizes[step.name] = (int(before), int(after))
    return sizes


def _disk_size(type: str, inputs: ResourceValues | None) -> Any:
    """Of a machine or a data disk, in GiB as Pulumi writes numbers; None of what has no disk."""
    if type == "aws:ebs/volume:Volume":
        return (inputs or {}).get("size")
    device: ResourceValues = (inputs or {}).get("rootBlockDevice") or {}
    return device.get("volumeSize")


def _monthly(stack: Present | Snapshot) -> float | None:
    """What its machines cost a month; None where that is not known."""
    if not stack["machines"]:
        return None if stack["machines"] is None else 0.0
    return monthly_everywhere(stack["machines"], [stack["region"], *stack["standby"]])


def _problem_line(problem: ProblemRecord) -> str:
    return f"{problem['level']}: {problem['file']}: {problem['where']}: {problem['found']}; {problem['allowed']}"
