"""A plan that binds: what was approved is done, or nothing."""

import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import TypedDict

from catalogue.files import read_json
from catalogue.problems import CatalogueError
from catalogue.updates import APPROVED_IMAGES, OF_ONE_UPDATE
from infra import notes, unlocking
from infra.errors import InfraError
from infra.orphans import command as orphans
from infra.paths import project_root
from infra.preview import command, compare
from infra.preview.formats import as_json
from infra.preview.report import Report

FOLDER = Path(".infra/plans")


def keep(report: Report) -> None:
    """Keeps each stack's report under its fingerprint, so that a later refusal can say what changed since."""
    for stack in json.loads(as_json.text(report))["stacks"]:
        if stack["fingerprint"]:
            notes.keep(FOLDER / f"{stack['fingerprint']}.json", stack)


def up(stack: str, approved: str, base: str) -> int:
    """`pulumi up`, if it would do exactly what was approved. Its exit code. Raises InfraError."""
    source = approved.split("-")[0]
    if approved.count("-") != len(compare.PARTS) - 1 or source not in ("live", "mocks"):
        raise InfraError(
            f"--plan {approved} is not a fingerprint; infra preview prints one for each stack, such as live-3f…"
        )
    if lock := unlocking.describe(stack):
        raise InfraError(f"nothing was touched: {lock}")
    orphans.settle(stack, print)
    report = command.build_report(base, [stack], mocks=source == "mocks")
    (now,) = report.stacks
    if now.error:
        raise InfraError(f"nothing was touched: {now.error}")
    if now.source != source:
        raise InfraError(
            f"nothing was touched: plan {approved} is a live one, but stack {stack} is not reachable from here"
        )
    if now.fingerprint != approved:
        keep(report)
        parts = compare.differing(approved, now.fingerprint)
        lines = [
            f"nothing was touched: pulumi up would no longer do what plan {approved} says: {', '.join(parts)} changed "
            "since"
        ]
        lines += [f"  {line}" for line in since(approved, json.loads(as_json.text(report))["stacks"][0])]
        how = f"--mocks --base {base} " if source == "mocks" else ""
        raise InfraError(
            "\n".join([*lines, f"review it (infra preview {how}--stack {stack}), and approve {now.fingerprint}"])
        )
    if now.is_refused:
        raise InfraError(f"nothing was touched: {now.verdict}")
    try:
        words = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack]
        # What is pushed from here on was not approved
        others = {name: text for name, text in os.environ.items() if name not in OF_ONE_UPDATE}
        bound = {**others, APPROVED_IMAGES: json.dumps(now.images)}
        return subprocess.run(words, cwd=project_root(), env=bound, check=False).returncode
    except FileNotFoundError:
        raise InfraError("nothing was touched: pulumi is not on PATH (https://www.pulumi.com/docs/install/)") from None


class PlanStep(TypedDict):
    """What is done to a resource; `asked` differs with what it is asked for."""

    op: str
    type: str
    name: str
    changed: list[str]
    asked: str


class PlanFile(TypedDict):
    path: str
    diff: str


class PlanHost(TypedDict):
    host: str
    files: list[PlanFile]


class Plan(TypedDict):
    """A stack in a preview as JSON (formats/as_json.py), as far as plans are compared."""

    steps: list[PlanStep]
    hosts: list[PlanHost]
    hosts_say: list[str]


def since(approved: str, now: Plan) -> list[str]:
    """What changed since a plan was kept; nothing where it was made elsewhere."""
    path = project_root() / FOLDER / f"{approved}.json"
    if not path.exists():
        return [f"(no details: the plan is not in {FOLDER}, as it was made elsewhere)"]
    try:
        return changes(read_json(path, f"{FOLDER}/{path.name}"), now)
    except CatalogueError as error:
        return [f"(no details: the plan cannot be compared: {error.problems[0].message})"]
    except (KeyError, TypeError, AttributeError):
        return [f"(no details: the plan cannot be compared: {FOLDER}/{path.name} is not in the form of a plan)"]


def changes(before: Plan, now: Plan) -> list[str]:
    """Two kept reports of a stack, in lines. Pure."""
    was, will = ({(step["type"], step["name"]): step for step in plan["steps"]} for plan in (before, now))
    lines = [
        f"{key[1]}: {_step_summary(was.get(key))} → {_step_summary(will.get(key))}"
        for key in sorted({*was, *will})
        if _asks(was.get(key)) != _asks(will.get(key))
    ]
    one, other = (
        {f"{h['host']}:{f['path']}": f["diff"] for h in plan["hosts"] for f in h["files"]} for plan in (before, now)
    )
    lines += [
        f"{path}: {_file(path, one, other)}" for path in sorted({*one, *other}) if one.get(path) != other.get(path)
    ]
    return lines + [line for line in now["hosts_say"] if line not in before["hosts_say"]]


def _asks(step: PlanStep | None) -> tuple[str, list[str], str] | None:
    return step and (step["op"], step["changed"], step["asked"])


def _step_summary(step: PlanStep | None) -> str:
    if step is None:
        return "nothing"
    changed = f" ({', '.join(step['changed'])})" if step["changed"] else ""
    return f"{step['op']}{changed} [{step['asked']}]"


def _file(path: str, before: Collection[str], now: Collection[str]) -> str:
    return "now changes" if path not in before else "no longer changes" if path not in now else "changes differently"
