"""`python -m infra.move.step NAME`: what `pulumi up` runs for a step of a region move. The request is JSON on standard
input; progress goes to standard error, the result of a success to standard output."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import InfraError
from infra.move.steps import data, drain, gate, images, verify
from infra.supervision import FAILED, Say, Work, WorkOutcome, run

STEPS: dict[str, Callable[[Any, Say], Mapping[str, object]]] = {
    "images": images.run, "gate": gate.run, "data": data.run, "verify": verify.run, "drain": drain.run,
}  # fmt: skip


@dataclass
class Step(Work):
    """A step only looks, or copies what is missing: interrupted, it ends at once and loses nothing. But while data is
    handed over it comes to its end first."""

    name: str
    label: str = ""

    def do(self, say: Say) -> WorkOutcome:
        request = json.load(sys.stdin)
        self.label = request["label"]
        try:
            result = STEPS[self.name](request, lambda line: say(f"{self.label}: {line}"))
        except InfraError as error:
            return WorkOutcome(FAILED, f"{self.label}: failed: {error}")
        return WorkOutcome(0, "", result)

    def on_interrupt(self) -> str:
        is_between = data.handing_over.is_set()
        return f"{self.label}: interrupted: waiting until the data is handed over" if is_between else ""

    def after_interrupt(self, outcome: WorkOutcome) -> str:
        return outcome.line or f"{self.label}: interrupted after the data was handed over. Run again to continue"

    def interruption_line(self) -> str:
        if data.handing_over.is_set():
            return (
                f"{self.label}: failed: ended during the handover of data; the old host starts its services again "
                "within a minute unless it has handed the data over. Run again to continue"
            )
        return f"{self.label or self.name}: failed: interrupted; nothing that serves was changed. Run again to continue"


if __name__ == "__main__":
    run(Step(sys.argv[1]))
