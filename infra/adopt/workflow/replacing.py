"""A workflow whose steps that build, push and deploy became one call; every other line of it stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from infra.adopt.workflow.reading import Extent, Job, JobFields, Step, Workflow
from infra.adopt.workflow.steps import is_still_needed, kind_of
from infra.errors import InfraError


@dataclass(frozen=True)
class Part:
    """A job that builds or deploys: its steps that go, and those that stay, before or after these."""

    job: Job
    removed_steps: list[Step]
    staying: list[Step]
    is_before: bool

    @property
    def is_whole(self) -> bool:
        """Does nothing of the job stay."""
        return not self.staying


@dataclass(frozen=True)
class Plan:
    """`parts` of a workflow that a call of the id `call` replaces; `kept_jobs` are ids of its other jobs."""

    workflow: Workflow
    parts: list[Part]
    call: str
    kept_jobs: list[str] = field(default_factory=list[str])

    @property
    def gone_jobs(self) -> set[str]:
        return {part.job.id for part in self.parts if part.is_whole}

    @property
    def removed_steps(self) -> list[Step]:
        return [step for part in self.parts for step in part.removed_steps]

    @property
    def needs(self) -> list[str]:
        """What the call waits for: what the jobs in its place waited for, and those of which steps before it stay."""
        before = [part.job.id for part in self.parts if not part.is_whole and part.is_before]
        others = [name for part in self.parts for name in part.job.prerequisites]
        mine = {part.job.id for part in self.parts}
        return list(dict.fromkeys([*(name for name in others if name not in mine), *before]))


def plan_parts(workflow: Workflow, service: str) -> Plan:
    """Raises InfraError where nothing is to be replaced, or steps of a job stand on both sides of it."""
    parts = [part for job in workflow.jobs if (part := _part(workflow.file, job))]
    if not any(kind_of(step, part.job) == "build" for part in parts for step in part.removed_steps):
        raise InfraError(
            f"{workflow.file}: no step builds and pushes an image (docker build with --push or docker push, or "
            "docker/build-push-action with push: true): nothing to replace"
        )
    for part in parts:
        if "strategy" in part.job.value:
            raise InfraError(f"{workflow.file}: job {part.job.id} runs as a matrix: write a job for each image first")
    whole = [part for part in parts if part.is_whole]
    ids = {job.id for job in workflow.jobs}
    free = [name for name in ("deploy", f"deploy-{service}", f"deploy-{service}-by-infra") if name not in ids]
    call = whole[0].job.id if whole else free[0]
    return Plan(workflow, parts, call, [job.id for job in workflow.jobs if job.id not in {p.job.id for p in parts}])


def _part(file: str, job: Job) -> Part | None:
    kinds = [kind_of(step, job) for step in job.steps]
    core = [number for number, kind in enumerate(kinds) if kind in ("build", "remote")]
    if not core:
        return None
    others = [number for number, kind in enumerate(kinds) if kind == "other"]
    before, after = [n for n in others if n < core[0]], [n for n in others if n > core[0]]
    if before and after:
        names = "; ".join(job.steps[number].title for number in after)
        raise InfraError(
            f"{file}: job {job.id} has steps of its own before and after those that are replaced: move these to a job "
            f"that needs {job.id}, and run again: {names}"
        )
    own = [job.steps[number] for number in others]
    prepares = [number for number, kind in enumerate(kinds) if kind in ("support", "words")]
    helping = [number for number in prepares if is_still_needed(job.steps[number], own)]
    stays = sorted({*others, *helping})
    removed_steps = [step for number, step in enumerate(job.steps) if number not in stays]
    return Part(job, removed_steps, [job.steps[number] for number in stays], not after)


def replace_parts(plan: Plan, call: Mapping[str, Any]) -> str:
    """The file's new text. Raises InfraError where its lines cannot be changed so that the rest means the same."""
    workflow = plan.workflow
    lines: list[str | None] = list(workflow.lines)
    ending = "\r" if workflow.lines[0].endswith("\r") else ""
    indent = " " * workflow.column
    call_block = [f"{indent}{plan.call}:", *(f"{indent}  {line}" for line in call_lines(call))]
    inserted: dict[int, list[str]] = {}
    for part in plan.parts:
        extent = part.job.extent
        if part.is_whole:
            first = part.job.id == plan.call
            _blank(lines, Extent(extent.own if first else extent.start, extent.own, _next(workflow, extent)))
            if first:
                tail = [""] if workflow.lines[extent.end : extent.end + 1] == [ending] else []
                inserted.setdefault(extent.own, []).extend([*call_block, *tail])
        else:
            for step in part.removed_steps:
                _blank(lines, Extent(step.extent.start, step.extent.own, _after(workflow, step.extent, extent)))
    if not plan.gone_jobs:
        end = plan.parts[0].job.extent.end
        inserted.setdefault(end, []).extend(["", *call_block])
    for job in workflow.jobs:
        if job.id not in plan.gone_jobs and (prerequisites := _needs_of(plan, job)) != job.prerequisites:
            needs = prerequisites[0] if len(prerequisites) == 1 else f"[{', '.join(prerequisites)}]"
            line = f"{' ' * job.column}needs: {needs}"
            place = job.needs[0] if job.needs else Extent(job.extent.own + 1, job.extent.own + 1, job.extent.own + 1)
            _blank(lines, place)
            inserted.setdefault(place.own, []).append(line)
    new_lines: list[str] = []
    for number in range(len(lines) + 1):
        new_lines += [f"{line}{ending}" for line in inserted.get(number, [])]
        if number < len(lines) and (line := lines[number]) is not None:
            new_lines.append(line)
    while len(new_lines) > 1 and not new_lines[-1].strip() and not new_lines[-2].strip():
        new_lines.pop()
    text = "\n".join(new_lines)
    _ensure_same(plan, call, text)
    return text


def call_lines(call: Mapping[str, Any]) -> list[str]:
    text = yaml.safe_dump(dict(call), sort_keys=False, default_flow_style=False, width=1000, allow_unicode=True)
    return text.rstrip("\n").split("\n")


def _needs_of(plan: Plan, job: Job) -> list[str]:
    prerequisites = [plan.call if name in plan.gone_jobs else name for name in job.prerequisites]
    is_after = any(part.job.id == job.id and not part.is_before for part in plan.parts)
    return list(dict.fromkeys([*prerequisites, plan.call] if is_after else prerequisites))


def _blank(lines: list[str | None], extent: Extent) -> None:
    for number in range(extent.start, extent.end):
        lines[number] = None


def _next(workflow: Workflow, extent: Extent) -> int:
    """Where what follows a job begins, with the empty lines before it."""
    end = extent.end
    while end < len(workflow.lines) - 1 and not workflow.lines[end].strip():
        end += 1
    return end


def _after(workflow: Workflow, extent: Extent, job: Extent) -> int:
    end = extent.end
    while end < job.end and not workflow.lines[end].strip():
        end += 1
    return end


def _ensure_same(plan: Plan, call: Mapping[str, Any], text: str) -> None:
    """What stays means what it meant, by YAML itself. Raises InfraError."""
    jobs: dict[str, JobFields] = {}
    for job in plan.workflow.jobs:
        part = next((part for part in plan.parts if part.job.id == job.id), None)
        if part and part.is_whole:
            continue
        needs = _needs_of(plan, job)
        own = {name: value for name, value in job.value.items() if name != "needs"}
        own |= {"steps": [step.value for step in part.staying]} if part else {}
        jobs[job.id] = own | ({"needs": needs} if needs else {})
    expected = {**plan.workflow.value, "jobs": {**jobs, plan.call: call}}
    try:
        actual = yaml.safe_load(text)
        for job in actual["jobs"].values():
            if isinstance(job.get("needs"), str) and job is not actual["jobs"][plan.call]:
                job["needs"] = [job["needs"]]
        is_same = actual == expected
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        is_same = False
    if not is_same:
        raise InfraError(
            f"{plan.workflow.file}: its lines cannot be replaced without changing others (anchors, several keys on a "
            "line): write it plainly, or take the call out of docs/deploying.md by hand"
        )
