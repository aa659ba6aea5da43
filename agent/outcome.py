"""How an apply ends, in words that a person and a program can read."""

import json
from dataclasses import asdict, dataclass, field

OUTCOMES = {"applied": 0, "unchanged": 0, "refused": 3, "failed": 4}


class Refused(Exception):
    """Raised before anything that serves was touched."""


class Failed(Exception):
    """Raised after the switch: the host may be between two releases, and the next apply goes on."""


@dataclass
class Outcome:
    """`line` is the one line for people: what, where, why, what now."""

    outcome: str
    release: str
    line: str
    changed: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    services: dict[str, int] = field(default_factory=dict)

    @property
    def code(self) -> int:
        return OUTCOMES[self.outcome]

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)
