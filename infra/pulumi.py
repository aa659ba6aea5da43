"""Pulumi's own command line, for what only it knows."""

import json
import subprocess
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
        raise InfraError(f"pulumi {' '.join(arguments[:2])}: {lines[-1]}")
    return done.stdout.rstrip("\n")


def attempt(*arguments: str, value: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs pulumi, however that ends. Raises InfraError where there is none."""
    command = ["pulumi", *arguments, "--non-interactive"]
    try:
        return subprocess.run(command, input=value, text=True, capture_output=True, cwd=project_root(), check=False)
    except FileNotFoundError:
        raise InfraError(
            "pulumi is not on PATH: install it (https://www.pulumi.com/docs/install/) and run again"
        ) from None


def preview(*arguments: str) -> list[dict[str, Any]]:
    """The steps that `pulumi up` would take. Raises InfraError with what the program says against them."""
    done = attempt("preview", "--json", *arguments)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {}
    if done.returncode or "steps" not in found:
        said = [entry.get("message", "").strip() for entry in found.get("diagnostics", [])]
        raise InfraError("\n".join(line for line in said if line) or done.stderr.strip() or "the preview failed")
    return found["steps"]
