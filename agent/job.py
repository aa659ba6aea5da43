"""What one job on a host is to do, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from agent.outcome import Outcome


def nothing(*_: Any) -> None:
    pass


@dataclass(frozen=True)
class Job:
    """`kind` is apply, rollback, restart, recover or watch. `base` is the release that an update was planned from, None
    when it does not know. `confirm` returns once these public URLs were found healthy from outside, and raises Failed
    when they are not. `only` are the services that it may change, or restarts; all where none is named. `history` takes
    a note of how it ended, once that is certain and before it is forgotten that it began."""

    id: str
    kind: str
    who: str
    host: str
    base: str | None = None
    only: tuple[str, ...] = ()
    say: Callable[[str], None] = nothing
    confirm: Callable[[list[str]], None] = nothing
    history: Callable[[Job, Outcome], None] = nothing

    @property
    def restarts(self) -> bool:
        return self.kind == "restart"

    def record(self, outcome: Outcome) -> None:
        self.history(self, outcome)

    def instead_of(self, id: str, kind: str, who: str, host: str) -> Job:
        """This job, finishing what another one began."""
        return replace(self, id=id, kind=kind, who=who, host=host)
