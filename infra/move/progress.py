"""What `pulumi up --json` says while it works, as one line for each step of a move, with its time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypedDict

from infra.move.phases import Phase, phase_of
from infra.move.steps.data import IN_USE

Say = Callable[[str], None]
COMMAND, STACK = "command:", "pulumi:pulumi:Stack"


class ResourceMetadata(TypedDict):
    """What an event says of a resource: what is done to which."""

    urn: str
    op: str


class ResourceEvent(TypedDict):
    metadata: ResourceMetadata


class DiagnosticEvent(TypedDict, total=False):
    """A message of the engine, of a provider or of the program; `urn` is that of the resource that it is about."""

    urn: str
    severity: str
    message: str


class EngineEvent(TypedDict, total=False):
    """A line of `pulumi up --json`, as far as it is read here: each has one of these, or none."""

    resourcePreEvent: ResourceEvent
    resOutputsEvent: ResourceEvent
    resOpFailedEvent: ResourceEvent
    diagnosticEvent: DiagnosticEvent


@dataclass
class Timed:
    """A phase that has begun, in seconds of the engine's own clock; `steps` is how many of its resources are done."""

    began_at: float
    ended_at: float = 0.0
    steps: int = 0
    failed: bool = False

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended_at - self.began_at)


@dataclass
class Progress:
    """`times` are the phases that began; `reasons` why something failed, in the words of what failed, a line each;
    `gaps` are what the steps said of each handover of data, and `is_locked` says that it did not begin, since another
    update holds the stack."""

    planned: dict[tuple[str, str], Phase]
    say: Say
    clock: Callable[[], float]
    times: dict[tuple[str, str], Timed] = field(default_factory=dict[tuple[str, str], Timed])
    reasons: list[str] = field(default_factory=list[str])
    gaps: list[str] = field(default_factory=list[str])
    is_locked: bool = False
    _of_resources: int = 0

    def follow(self, events: Iterable[EngineEvent]) -> None:
        for event in events:
            if "resourcePreEvent" in event:
                self._began(event["resourcePreEvent"]["metadata"])
            elif "resOutputsEvent" in event:
                self._end_step(event["resOutputsEvent"]["metadata"])
            elif "resOpFailedEvent" in event:
                self._end_step(event["resOpFailedEvent"]["metadata"], failed=True)
            elif "diagnosticEvent" in event:
                self._report_diagnostic(event["diagnosticEvent"])

    def _began(self, metadata: ResourceMetadata) -> None:
        key = phase_of(metadata["urn"], metadata["op"])
        if key and key not in self.times:
            self.times[key] = Timed(self.clock())
            self.say(f"· {self._step_label(key)} …")

    def _end_step(self, metadata: ResourceMetadata, failed: bool = False) -> None:
        key = phase_of(metadata["urn"], metadata["op"])
        if key is None:
            return
        timed = self.times.setdefault(key, Timed(self.clock()))
        timed.steps, timed.ended_at, timed.failed = timed.steps + 1, self.clock(), timed.failed or failed
        phase = self.planned.get(key)
        if failed:
            self.say(f"✗ {self._step_label(key)} ({timed.seconds:.1f} s)")
        elif phase is None or timed.steps == len(phase.touches):
            what = f": {phase.what}" if phase else ""
            self.say(f"✓ {self._step_label(key)}{what} ({timed.seconds:.1f} s)")

    def _step_label(self, key: tuple[str, str]) -> str:
        return str(self.planned.get(key, Phase(*key)))

    def _report_diagnostic(self, event: DiagnosticEvent) -> None:
        message = event.get("message", "")
        if event.get("severity") in ("info", "info#err"):
            for line in message.strip().splitlines():
                self.say(f"    {line}")
                if IN_USE in line:
                    self.gaps.append(line)
        elif event.get("severity") == "error" and (reason := reason_of(event.get("urn", ""), message)):
            # What the stack reports may only follow from what a resource does
            self._add(reason, first=_type(event.get("urn", "")) not in ("", STACK))

    def _add(self, reason: str, first: bool) -> None:
        if reason not in self.reasons:
            self.reasons.insert(self._of_resources if first else len(self.reasons), reason)
            self._of_resources += first


def reason_of(urn: str, message: str) -> str:
    """The line of an error that says why; "" of one that only says that there was another. Pure.

    A command's error is the command, all that it said, and its reason as the last line; a provider's may be a chain
    of which the entry of its list is the innermost.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines or lines[0] == "update failed":
        return ""
    if _type(urn).startswith(COMMAND):
        return lines[-1]
    return next((line.removeprefix("* ") for line in lines if line.startswith("* ")), lines[0])


def _type(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1] if urn else ""
