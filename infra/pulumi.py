"""Pulumi's own command line, for what only it knows."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from catalogue.shapes import ResourceValues
from infra.errors import InfraError
from infra.paths import project_root


class ResourceState(TypedDict, total=False):
    """A resource before or after a step."""

    id: str
    inputs: ResourceValues
    outputs: ResourceValues


class UrnStep(TypedDict):
    """What is done to which resource."""

    op: str
    urn: str


class PreviewStep(UrnStep, total=False):
    """A step of `pulumi preview --json`: the paths that differ are in `detailedDiff`, or in `diffReasons`; those that
    make it a replacement in `replaceReasons`."""

    oldState: ResourceState | None
    newState: ResourceState | None
    detailedDiff: Mapping[str, object] | None
    diffReasons: list[str] | None
    replaceReasons: list[str] | None


class Diagnostic(TypedDict, total=False):
    severity: str
    message: str


class Digest(TypedDict, total=False):
    """What a preview or a refresh prints as JSON; without `steps` it failed."""

    steps: list[PreviewStep]
    diagnostics: list[Diagnostic]


def pulumi(*arguments: str, value: str | None = None) -> str:
    """Runs pulumi and returns what it printed; a value goes over standard input, where no process list shows it.

    Raises InfraError with the last line of its complaint.
    """
    ran = attempt(*arguments, value=value)
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
        raise InfraError(f"pulumi {' '.join(arguments[:2])}: {lines[-1]}{_remedy(lines[-1])}")
    return ran.stdout.rstrip("\n")


def _remedy(complaint: str) -> str:
    """What to do about what Pulumi says without a remedy."""
    if "failed to load checkpoint" in complaint:
        return (
            ". The stack's state cannot be read: Pulumi was killed while it wrote it. Beside it is its last copy "
            "(.pulumi/stacks/PROJECT/STACK.json.bak): copy that over it, then run infra orphans"
        )
    return ""


def attempt(*arguments: str, value: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs pulumi, however that ends. Raises InfraError where there is none."""
    command = ["pulumi", *arguments, "--non-interactive"]
    try:
        return subprocess.run(command, input=value, text=True, capture_output=True, cwd=project_root(), check=False)
    except FileNotFoundError:
        raise InfraError(
            "pulumi is not on PATH: install it (https://www.pulumi.com/docs/install/) and run again"
        ) from None


@dataclass(frozen=True)
class PreviewResult:
    """The steps that `pulumi up` would take, and what the program warns of."""

    steps: list[PreviewStep]
    warnings: list[str]


def preview(*arguments: str) -> PreviewResult:
    """Raises InfraError with what the program says against an update."""
    digest = _digest("preview", "--json", *arguments)
    return PreviewResult(digest.get("steps", []), _messages(digest, "warning"))


def refresh_preview(*arguments: str) -> list[PreviewStep]:
    """The steps of a refresh that changes no state: what AWS has otherwise ("update") or not any more ("delete").
    Raises InfraError."""
    return _digest("refresh", "--preview-only", "--json", *arguments).get("steps", [])


ENDED = ("an unhandled error occurred", "error: an unhandled error occurred")


def _digest(*arguments: str) -> Digest:
    ran = attempt(*arguments)
    try:
        digest: Digest = json.loads(ran.stdout)
    except ValueError:
        digest = {}
    if ran.returncode or "steps" not in digest:
        # What a reader sees first is why
        messages = dict.fromkeys([*_messages(digest, "error"), *_messages(digest)])
        # Pulumi ends each of the program's refusals with a line of its own
        reasons = [line for line in messages if not line.startswith(ENDED)] or [*messages]
        raise InfraError("\n".join(reasons) or ran.stderr.strip() or f"the {arguments[0]} failed")
    return digest


def _messages(digest: Digest, *severities: str) -> list[str]:
    """What was said, each once; of those severities, or of all."""
    entries = [e for e in digest.get("diagnostics", []) if not severities or e.get("severity") in severities]
    return [line for line in dict.fromkeys(entry.get("message", "").strip() for entry in entries) if line]
