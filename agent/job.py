"""What one job on a host is to do, and who hears of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def nothing(*_: Any) -> None:
    pass


@dataclass(frozen=True)
class Job:
    """`kind` is apply, rollback or recover. `base` is the release that an update was planned from, None when it does
    not know. `confirm` returns once somebody outside has found these public URLs well, and raises Failed when nobody
    does."""

    id: str
    kind: str
    who: str
    host: str
    base: str | None = None
    say: Callable[[str], None] = nothing
    confirm: Callable[[list[str]], None] = nothing
