"""A preview as JSON."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from infra.preview.report import Report, StackReport


def digest(value: Any) -> str:
    """A value that differs with inputs, without showing them."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:10]


def text(report: Report) -> str:
    """Every stack with its verdict, and everything that the other formats show."""
    document = {"base": report.base, "head": report.head, "refused": bool(report.code)}
    return json.dumps({**document, "stacks": [_stack(stack) for stack in report.stacks]}, indent=1, ensure_ascii=False)


def _stack(stack: StackReport) -> dict[str, object]:
    steps = [
        {
            "op": step.op, "type": step.type, "name": step.name, "changed": step.changed, "because": step.because,
            "danger": step.danger, "notes": step.notes, "asked": digest(step.new),
        }
        for step in stack.steps
    ]  # fmt: skip
    hosts = [
        {**asdict(host), "effects": [{**asdict(effect), "gap": effect.gap} for effect in host.effects]}
        for host in stack.hosts
    ]
    groups = [asdict(group) for group in stack.groups]
    return {
        "stack": stack.stack, "source": stack.source, "verdict": stack.verdict, "fingerprint": stack.fingerprint,
        "error": stack.error,
        "moves": stack.moves, "replaces": stack.replaces, "goes": stack.goes,
        "phases": [{"step": str(phase), "touches": phase.touches} for phase in stack.phases],
        "steps": steps, "hosts": hosts, **({"groups": groups} if groups else {}), "cost": asdict(stack.cost),
        "findings": [asdict(finding) for finding in stack.findings], "problems": stack.problems,
        "hosts_say": stack.hosts_say,
    }  # fmt: skip
