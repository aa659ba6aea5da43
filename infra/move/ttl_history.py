"""Since when names are remembered for as short as they are now. AWS does not say; the stack's own updates do."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from catalogue.stack import PROJECT, Stack
from infra.orphans.state import State, name, resources_of
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
    ran = attempt("stack", "history", "--json", "--full-dates", "--stack", stack.name)
    return (
        None
        if ran.returncode
        else find_lowering(json.loads(ran.stdout or "[]"), Stack.model_fields["recordTtl"].default)
    )


def repositories(stack: Stack, region: str) -> set[str]:
    """The repositories of a region that the stack has by its own state: none where there is none to ask."""
    ran = attempt("stack", "export", "--stack", stack.name)
    if ran.returncode:
        return set()
    state: State = json.loads(ran.stdout)
    ours = [entry for entry in resources_of(state) if entry["type"] == REPOSITORY and region in name(entry)]
    return {entry["id"] for entry in ours if "id" in entry}


class ConfigValue(TypedDict, total=False):
    value: str


class _AnyUpdate(TypedDict):
    kind: str
    result: str
    endTime: str


class PastUpdate(_AnyUpdate, total=False):
    """An entry of `pulumi stack history --json`, as far as it is read here; `kind` is update, refresh and the like."""

    config: dict[str, ConfigValue] | None


def find_lowering(updates: Iterable[PastUpdate], default: int) -> LoweredTtl | None:
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
        config = update.get("config") or {}
        ttl = int(config.get(KEY, ConfigValue()).get("value") or default)
        now = ttl if now is None else now
        if ttl > now:
            return LoweredTtl(ttl, since) if since else None
        if update["result"] == "succeeded":
            since = datetime.fromisoformat(update["endTime"])
    return None
