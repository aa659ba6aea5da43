"""Runs of pytest side by side, each of whose reports comes in one piece."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

NOTHING_FOUND = 5  # pytest's exit code where no test was selected


@dataclass(frozen=True)
class Line:
    """One run of pytest: its arguments, what its environment has besides, and the words `before` its command."""

    name: str
    arguments: list[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    before: tuple[str, ...] = ()


def run_line(line: Line, arguments: list[str], limit: float) -> int:
    """The exit code of pytest. What it reports is printed when it has ended; until then its lines of progress.

    It is ended after `limit` seconds."""
    command = [*line.before, sys.executable, "-m", "pytest", "--durations=25", *line.arguments, *arguments]
    output: list[str] = []
    with subprocess.Popen(
        command, env={**os.environ, **line.env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:  # fmt: skip
        assert process.stdout
        timer = threading.Timer(limit, process.kill)
        timer.daemon = True
        timer.start()
        for text in process.stdout:
            output.append(text)
            if text.rstrip().endswith("%]"):
                print(text, end="", flush=True)
        code = process.wait()
        timer.cancel()
    if code not in (0, NOTHING_FOUND):
        print(f"\n· {line.name}\n{''.join(output)}", flush=True)
    else:
        print("".join(_slowest(output)))
        print(f"· {line.name}\n{output[-1].strip()}", flush=True)
    return code


def side_by_side(*parts: Callable[[], int]) -> int:
    """Runs all of them to their ends, and gives the exit code of the whole: of one that failed if any did, and
    NOTHING_FOUND where none had a test to run. A part that raises has failed."""
    codes: dict[int, int] = dict.fromkeys(range(len(parts)), 1)

    def run(number: int, part: Callable[[], int]) -> None:
        codes[number] = part()

    threads = [threading.Thread(target=run, args=entry) for entry in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Of one that a signal ended it is negative
    failed = [code for code in codes.values() if code not in (0, NOTHING_FOUND)]
    return failed[0] if failed else min(codes.values(), default=NOTHING_FOUND)


def _slowest(output: list[str]) -> list[str]:
    """The part of pytest's report that names the slowest tests."""
    begins = [number for number, text in enumerate(output) if "slowest" in text and text.startswith("=")]
    return output[begins[0] : -1] if begins else []
