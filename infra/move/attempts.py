"""What an `infra move` that was stopped leaves for the one that goes on: the report is of both."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra import notes
from infra.move.report import Latency

FOLDER = Path(".infra/moves")
LATEST = 10**11  # seconds since 1970 that are still a date


@dataclass(frozen=True)
class Attempts:
    """`began` in seconds since 1970, `before` how far the names were from here then; `steps` that were done since
    (step, what it did, seconds), and the seconds that were `spent`."""

    began: float
    before: dict[str, Latency] = field(default_factory=dict[str, Latency])
    steps: list[tuple[str, str, float]] = field(default_factory=list[tuple[str, str, float]])
    spent: float = 0.0
    gaps: list[str] = field(default_factory=list[str])

    def and_then(self, steps: list[tuple[str, str, float]], seconds: float, gaps: Sequence[str] = ()) -> "Attempts":
        """With what one more attempt did; of a step that it repeated, that. `gaps` are what it said of handovers of
        data, none of which is repeated."""
        again = {step for step, _, _ in steps}
        remaining = [entry for entry in self.steps if entry[0] not in again]
        return Attempts(self.began, self.before, [*remaining, *steps], self.spent + seconds, [*self.gaps, *gaps])


def _place(stack: str, region: str) -> Path:
    return FOLDER / f"{stack}-{region}.json"


def read_attempts(stack: str, region: str) -> Attempts | None:
    """Of a move to a region that has not come to its end; None where there is none, or another checkout began it."""
    try:
        note = notes.read(_place(stack, region))
        before = {name: Latency(**entry) for name, entry in note["before"].items()}
        attempts = Attempts(
            note["began"], before, [(a, b, c) for a, b, c in note["steps"]], note["spent"], list(note.get("gaps", []))
        )
        texts: list[object] = [*(text for step, did, _ in attempts.steps for text in (step, did)), *attempts.gaps]
        numbers = [attempts.began, attempts.spent, *(seconds for _, _, seconds in attempts.steps)]
        numbers += [number for entry in before.values() for number in (entry.open, entry.new)]
        # Another form is another program's, or torn
        are_all = all(isinstance(text, str) for text in texts) and all(map(_is_number, numbers))
        return attempts if are_all else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST


def keep(stack: str, region: str, attempts: Attempts) -> None:
    notes.keep(_place(stack, region), asdict(attempts))


def forget(stack: str, region: str) -> None:
    notes.forget(_place(stack, region))
