"""What went wrong in the steps of a rollback: each is tried, whatever became of the ones before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent import quoting
from agent.outcome import Failed
from agent.world import World


class Complaints:
    """Collects a line for each step that failed, in their order."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.lines: list[str] = []

    def attempt(self, step: Callable[..., object], *arguments: object) -> None:
        """Does a step on the host, and notes down why it could not be done."""
        try:
            step(self._world, *arguments)
        except Failed as failure:
            self.lines.append(str(failure))
        except OSError as error:
            self.lines.append(quoting.error(error))

    def add(self, lines: Iterable[str]) -> None:
        """Notes down what a step reports by itself."""
        self.lines += lines
