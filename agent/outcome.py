"""How a job on a host ends, in words that a person and a program can read."""

import json
from dataclasses import asdict, dataclass, field

OUTCOMES = {"applied": 0, "unchanged": 0, "refused": 3, "rolled back": 4, "rollback failed": 5}


class Refused(Exception):
    """Raised before anything that serves was touched."""


class Failed(Exception):
    """Raised after the switch: the host is to go back to what it was."""


@dataclass
class Outcome:
    """`line` is the one line for people: what, where, why, what now. `edited` maps a file that somebody had
    changed by hand to where that version is kept."""

    outcome: str
    release: str
    line: str
    changed: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    services: dict[str, int] = field(default_factory=dict)
    edited: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        return OUTCOMES[self.outcome]

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def masked(text: str, secrets: dict[str, dict[str, str]]) -> str:
    """The text without any secret's value: what a program complains about may quote it."""
    for value in (value for values in secrets.values() for value in values.values() if value):
        text = text.replace(value, "[secret]")
    return text
