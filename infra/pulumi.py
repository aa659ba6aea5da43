"""Pulumi's own command line, for what only it knows."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from infra.errors import InfraError
from infra.paths import project_root


def pulumi(*arguments: str, value: str | None = None) -> str:
    """Runs pulumi and returns what it printed; a value goes over standard input, where no process list shows it.

    Raises InfraError with the last line of its complaint.
    """
    done = attempt(*arguments, value=value)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InfraError(f"pulumi {' '.join(arguments[:2])}: {lines[-1]}{_remedy(lines[-1])}")
    return done.stdout.rstrip("\n")


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
class Previewed:
    """The steps that `pulumi up` would take, and what the program warns of."""

    steps: list[dict[str, Any]]
    warnings: list[str]


def preview(*arguments: str) -> Previewed:
    """Raises InfraError with what the program says against an update."""
    digest = _digest("preview", "--json", *arguments)
    return Previewed(digest["steps"], _messages(digest, "warning"))


def refresh_preview(*arguments: str) -> list[dict[str, Any]]:
    """The steps of a refresh that changes no state: what AWS has otherwise ("update") or not any more ("delete").
    Raises InfraError."""
    return _digest("refresh", "--preview-only", "--json", *arguments)["steps"]


ENDED = ("an unhandled error occurred", "error: an unhandled error occurred")


def _digest(*arguments: str) -> dict[str, Any]:
    done = attempt(*arguments)
    try:
        digest: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        digest = {}
    if done.returncode or "steps" not in digest:
        # What a reader sees first is why
        messages = dict.fromkeys([*_messages(digest, "error"), *_messages(digest)])
        # Pulumi ends each of the program's refusals with a line of its own
        reasons = [line for line in messages if not line.startswith(ENDED)] or [*messages]
        raise InfraError("\n".join(reasons) or done.stderr.strip() or f"the {arguments[0]} failed")
    return digest


def _messages(digest: dict[str, Any], *severities: str) -> list[str]:
    """What was said, each once; of those severities, or of all."""
    entries = [e for e in digest.get("diagnostics", []) if not severities or e.get("severity") in severities]
    return [line for line in dict.fromkeys(entry.get("message", "").strip() for entry in entries) if line]
