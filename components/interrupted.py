"""Whether a killed update may have left something in AWS: asked of Pulumi's state before anything is made."""

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

LIMIT = 60  # seconds
TRIES, PAUSE = 3, 0.5  # seconds between them
UNKNOWN = "whether the last update was killed while it created something is not known"


def ask() -> "subprocess.Popen[str] | None":
    """Begins to ask; the answer takes as long as the lookups that follow. None where there is no engine to ask."""
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
    """As Pulumi itself names the stack: one of an organization in Pulumi Cloud has it before its name."""
    organization = pulumi.get_organization()
    # What backends without organizations say
    own = organization == "organization"
    return pulumi.get_stack() if own else f"{organization}/{pulumi.get_project()}/{pulumi.get_stack()}"


def note_engine() -> None:
    """Has it kept which engine this update is of, for the day it is killed: its lock can be removed with certainty then
    (infra unlock). A preview has no lock."""
    if isinstance(get_monitor(), MockMonitor) or pulumi.runtime.is_dry_run():
        return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = [sys.executable, "-m", "infra.locks", pulumi.get_stack()]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)


def refuse(asked: "subprocess.Popen[str] | None", tries: int = TRIES) -> None:
    """Raises pulumi.RunError where creations of the last update were interrupted, which another one would repeat, or
    where that is not known; a preview only warns. Interrupted commands are repeated by design."""
    if asked is None:
        return
    try:
        output, complaint = asked.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        asked.kill()
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
        why = printable((complaint.strip().splitlines() or ["nothing that can be read"])[-1][:200])
        _object(f"{UNKNOWN}: pulumi stack export says {why}. Run again")
        return
    names = [name for name, type in urns if type.startswith("aws:")]
    first = f"uv run infra orphans --adopt --stack {pulumi.get_stack()}"
    if not names:
        if urns:
            pulumi.log.warn(f"what Pulumi says of pending operations are commands, which run again; {first} ends that")
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


def creations(state: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and type of the resources whose creation did not come to its end. Pure."""
    deployment: dict[str, Any] = state.get("deployment") or {}
    operations: list[dict[str, Any]] = deployment.get("pending_operations") or []
    resources = [operation["resource"] for operation in operations if operation.get("type") == "creating"]
    type_of: dict[Any, Any] = {resource["urn"]: resource["type"] for resource in resources}
    if not all(isinstance(text, str) for text in (*type_of, *type_of.values())):
        raise TypeError("a resource without a name or a kind")
    return [(urn.rsplit("::", 1)[-1], type) for urn, type in type_of.items()]
