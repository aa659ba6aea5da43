"""Whether a killed update may have left resources in AWS that Pulumi's state lacks: checked before anything is
created."""

import contextlib
import json
import subprocess
import sys
import time
from typing import Any

import pulumi
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor

from catalogue.problems import printable
from components.state import Deployment, ExportedState

LIMIT = 60  # seconds
TRIES, PAUSE = 3, 0.5  # seconds between them
UNKNOWN = "it is unknown whether the last update was killed while creating a resource"


def ask() -> "subprocess.Popen[str] | None":
    """Starts `pulumi stack export`, which runs while the program does its lookups; None if there is no engine."""
    if isinstance(get_monitor(), MockMonitor):
        return None
    try:
        return subprocess.Popen(
            ["pulumi", "stack", "export", "--stack", _stack(), "--non-interactive"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError:
        # The engine was started by its path
        pulumi.log.warn(f"{UNKNOWN}: pulumi is not on PATH")
        return None


def _stack() -> str:
    """The stack's name for the CLI: with its organization and project if it is of an organization in Pulumi Cloud."""
    organization = pulumi.get_organization()
    # The name that backends without organizations report
    own = organization == "organization"
    return pulumi.get_stack() if own else f"{organization}/{pulumi.get_project()}/{pulumi.get_stack()}"


def note_engine() -> None:
    """Records the engine process of this update, so that `infra unlock` can safely remove the update's lock if it is
    killed. A preview has no lock."""
    if isinstance(get_monitor(), MockMonitor) or pulumi.runtime.is_dry_run():
        return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = [sys.executable, "-m", "infra.locks", pulumi.get_stack()]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)


def refuse(query: "subprocess.Popen[str] | None", tries: int = TRIES) -> None:
    """Raises pulumi.RunError if the last update was killed while creating resources, which this one would create again,
    or if that is unknown; a preview only warns. Interrupted commands are repeated by design."""
    if query is None:
        return
    try:
        output, complaint = query.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        query.kill()
        _object(f"{UNKNOWN}: pulumi stack export did not end within {LIMIT} s. Run again")
        return
    try:
        urns = creations(json.loads(output))
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError):
        if tries > 1:
            # This update's own engine may be writing the state just now
            time.sleep(PAUSE)
            if again := ask():
                return refuse(again, tries - 1)
        why = printable((complaint.strip().splitlines() or ["no readable output"])[-1][:200])
        _object(f"{UNKNOWN}: pulumi stack export: {why}. Run again")
        return
    names = [name for name, type in urns if type.startswith("aws:")]
    first = f"uv run infra orphans --adopt --stack {pulumi.get_stack()}"
    if not names:
        if urns:
            pulumi.log.warn(f"Pulumi's pending operations are commands, which run again; {first} removes this warning")
        return
    others = f" and {len(names) - 3} more" if len(names) > 3 else ""
    line = (
        f"an update was killed while creating {', '.join(names[:3])}{others}: AWS may have made it, and creating it "
        f"again would leave that behind. First: {first}"
    )
    _object(line)


def _object(line: str) -> None:
    """A preview warns. Raises pulumi.RunError in an update."""
    if not pulumi.runtime.is_dry_run():
        raise pulumi.RunError(f"nothing was touched: {line}")
    pulumi.log.warn(line)


def creations(state: ExportedState) -> list[tuple[str, str]]:
    """Name and type of the resources whose creation did not finish. Pure."""
    deployment: Deployment = state.get("deployment") or {}
    operations = deployment.get("pending_operations") or []
    # Of what another program wrote nothing is certain
    resources: list[Any] = [entry.get("resource") for entry in operations if entry.get("type") == "creating"]
    type_of: dict[Any, Any] = {resource["urn"]: resource["type"] for resource in resources}
    if not all(isinstance(text, str) for text in (*type_of, *type_of.values())):
        raise TypeError("a resource without a name or a kind")
    return [(urn.rsplit("::", 1)[-1], type) for urn, type in type_of.items()]
