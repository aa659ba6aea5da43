"""Since when names are remembered for as short as they are now. AWS does not say; the stack's own updates do."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from catalogue.stack import PROJECT, Stack
from infra.pulumi import attempt

KEY = f"{PROJECT}:recordTtl"
REPOSITORY = "aws:ecr/repository:Repository"


UNKNOWN = 86400  # seconds: the longest that a resolver was to remember a record here


@dataclass(frozen=True)
class LoweredTtl:
    """Records could be kept for `before` seconds (None: they were made by hand) until the update that ended
    at `at`; a resolver that asked just before has one until `over`."""

    before: int | None
    at: datetime

    @property
    def over(self) -> datetime:
        return self.at + timedelta(seconds=UNKNOWN if self.before is None else self.before)


def of_stack(stack: Stack) -> LoweredTtl | None:
    """None where it was never longer, or where there is no history to ask."""
    done = attempt("stack", "history", "--json", "--full-dates", "--stack", stack.name)
    return (
        None
        if done.returncode
        else find_lowering(json.loads(done.stdout or "[]"), Stack.model_fields["recordTtl"].default)
    )


def repositories(stack: Stack, region: str) -> set[str]:
    """The repositories of a region that the stack has by its own state: none where there is none to ask."""
    done = attempt("stack", "export", "--stack", stack.name)
    if done.returncode:
        return set()
    deployment: dict[str, Any] = json.loads(done.stdout)["deployment"] or {}
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    ours = [entry for entry in resources if entry["type"] == REPOSITORY and region in entry["urn"].rsplit("::", 1)[-1]]
    return {entry["id"] for entry in ours if "id" in entry}


def find_lowering(updates: Iterable[dict[str, Any]], default: int) -> LoweredTtl | None:
    """Out of a stack's updates, the newest first: when the TTL became what it is now, if it was longer before.

    A failed update may have written the record, or not: it ends no longer TTL, and it may have begun one.
    """
    now: int | None = None
    since: datetime | None = None
    for update in updates:
        if update["kind"] == "resource-import":
            return LoweredTtl(None, since) if since else None
        if update["kind"] != "update":
            continue
        config: dict[str, dict[str, Any]] = update.get("config") or {}
        ttl = int(config.get(KEY, {}).get("value") or default)
        now = ttl if now is None else now
        if ttl > now:
            return LoweredTtl(ttl, since) if since else None
        if update["result"] == "succeeded":
            since = datetime.fromisoformat(update["endTime"])
    return None
