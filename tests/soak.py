"""A soak: what people do and what breaks, at random from a seed, while clients ask all the time. Here is what is drawn,
and a model of what may serve; tests/system/soaking.py has the events.

`python -m tests.soak` runs one, for SOAK_MINUTES (30), with SOAK_SEED (a new one, which it prints)."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lab.settings import ROOT

TEST = "tests/system/test_soak.py"
MINUTES, SEED = "SOAK_MINUTES", "SOAK_SEED"
SHOWN = 5


@dataclass(frozen=True)
class Answer:
    """Of one request: when it began and ended (`time.monotonic()`), its status (0 for none), and the build that gave
    it ("" for none)."""

    began: float
    ended: float
    status: int
    build: str


@dataclass(frozen=True)
class Event:
    """What happened from `began` to `ended`: which builds served until then (`before`) and may since (`after`). Where
    `is_away` the host did not serve in between; then, and only then, requests may fail."""

    name: str
    began: float
    ended: float
    before: frozenset[str]
    after: frozenset[str]
    is_away: bool = False


def draw(seed: str, names: Sequence[str]) -> Iterator[str]:
    """The events of a seed, without end: all of them in some order, then all of them in another one."""
    chance = random.Random(seed)
    while True:
        yield from chance.sample(names, len(names))


def judge(events: Sequence[Event], answers: Sequence[Answer]) -> list[str]:
    """What was not as the model has it: requests that failed though the host served, and builds that answered when
    they were not to."""
    complaints: list[str] = []
    for event in events:
        during = [answer for answer in answers if answer.ended > event.began and answer.began < event.ended]
        failed = [answer for answer in during if answer.status != 200]
        if failed and not event.is_away:
            statuses = sorted({answer.status for answer in failed})
            complaints.append(f"{event.name}: {len(failed)} of {len(during)} requests failed ({statuses})")
        complaints += _wrong_builds(event.name, during, event.before | event.after)
    for event, later in zip(events, [*events[1:], None], strict=True):
        until = later.began if later else float("inf")
        between = [answer for answer in answers if answer.began > event.ended and answer.ended < until]
        failed = [answer for answer in between if answer.status != 200]
        if failed:
            complaints.append(f"after {event.name}: {len(failed)} of {len(between)} requests failed")
        complaints += _wrong_builds(f"after {event.name}", between, event.after)
    return complaints


def _wrong_builds(when: str, answers: Sequence[Answer], allowed: Collection[str]) -> list[str]:
    wrong = sorted({answer.build for answer in answers if answer.status == 200 and answer.build not in allowed})
    expected = ", ".join(sorted(allowed))
    return [f"{when}: build {', '.join(wrong[:SHOWN])} answered, expected {expected}"] if wrong else []


def main() -> int:
    seed = os.environ.get(SEED) or str(time.time_ns())
    minutes = os.environ.get(MINUTES) or "30"
    print(f"soaking for {minutes} minutes; the same again: {SEED}={seed} {MINUTES}={minutes} make soak", flush=True)
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:randomly", "-m", "lab", TEST]
    env = {**os.environ, SEED: seed, MINUTES: minutes, "TESTS_EVERYTHING": "1"}
    # What the last event takes, the set-up and the end come on top
    return subprocess.run(command, cwd=ROOT, env=env, check=False, timeout=60 * float(minutes) + 3600).returncode


if __name__ == "__main__":
    sys.exit(main())
