"""How a job on a host ends, in words that a person and a program can read."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from agent import quoting
from agent.documents.jobs import HistoryEntry
from agent.shapes import JsonObject
from agent.wording import Speaker

OUTCOMES = {"applied": 0, "unchanged": 0, "refused": 3, "rolled back": 4, "rollback failed": 5, "unknown": 6}


class EndWithReason(Exception):
    """Ends what is being done, for a reason that people read: one line, bounded."""

    def __init__(self, reason: str) -> None:
        super().__init__(quoting.quote(reason, quoting.REASON))
        self.reason = reason

    def in_words(self, say: Speaker) -> str:
        """The reason in another language."""
        return quoting.quote(say.of(self.reason), quoting.REASON)


class Refused(EndWithReason):
    """Raised before anything that serves was touched. `untouched` says so."""

    untouched = "nothing touched"


class Failed(EndWithReason):
    """Raised after the switch: the host is to go back to what it was."""


def reason_of(error: Exception) -> str:
    """What people read of what ended something: its own line, or that of an unexpected error."""
    return str(error) if isinstance(error, Failed) else quoting.error(error)


@dataclass
class Outcome:
    """`line` is the one line for people: what, where, why, what now. `edited` maps a hand-edited file to
    where that version is kept."""

    outcome: str
    release: str
    line: str
    changed: list[str] = field(default_factory=list[str])
    restarted: list[str] = field(default_factory=list[str])
    services: dict[str, int] = field(default_factory=dict[str, int])
    edited: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, entry: HistoryEntry) -> "Outcome":
        """How a job of the host's history ended."""
        return cls(
            entry["outcome"], entry["release"], entry["line"], entry.get("changed", []), entry.get("restarted", []),
            entry.get("services", {}), entry.get("edited", {}), entry.get("warnings", []),
        )  # fmt: skip

    @property
    def code(self) -> int:
        return OUTCOMES[self.outcome]

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def _lines_within(value: str) -> list[str]:
    return [line for line in value.splitlines() if not line.startswith("-----")] if "\n" in value else []


class Mask:
    """Takes secrets out of what is said: a program's complaint or log may quote one. Values of fewer than four
    characters are no secrets, and stay."""

    def __init__(self, values: Iterable[str]) -> None:
        # A line of a log quotes a line of a text, and not all of it
        parts = [part for value in values for part in (value, *_lines_within(value)) if len(part) >= 4]
        self.values = sorted(parts, key=len, reverse=True)

    def all_of(self, value: Any) -> Any:
        """A JSON value with every text in it masked."""
        if isinstance(value, str):
            for secret in self.values:
                value = value.replace(secret, "[secret]")
            return value
        if isinstance(value, list):
            return [self.all_of(item) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            return {key: self.all_of(item) for key, item in cast("JsonObject", value).items()}
        return value
