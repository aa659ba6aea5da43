"""A program that Pulumi runs, ended in every way: by its parent's death, by signals, by pipes that are not read."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

PROGRAM = """
import sys, time
from infra.errors import InfraError
from infra.supervision import WorkOutcome, Work, run

class Steps(Work):
    step = 0
    def do(self, say):
        while self.step < {steps}:
            self.step += 1
            say(f"step {{self.step}}")
            time.sleep({pause})
        {end}
    def on_interrupt(self): return {on_interrupt!r}
    def after_interrupt(self, ended): return f"{{ended.line}}, although interrupted"
    def interruption_line(self): return f"left after step {{self.step}}"

run(Steps())
"""


class Program:
    """Run as the plugin runs it; `read` gets all that it writes until its pipes are closed by all who hold them."""

    def __init__(
        self, steps: int = 400, end: str = "return WorkOutcome(0, 'done', {'a': 1})", finishes: str = ""
    ) -> None:
        text = PROGRAM.format(steps=steps, pause=0.05, end=end, on_interrupt=finishes)
        command = f"exec {sys.executable} -c '{text.replace(chr(39), chr(39) + chr(34) + chr(39) + chr(34) + chr(39))}'"
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def after_two_steps(self) -> "Program":
        assert self.process.stderr
        while self.process.stderr.readline() != "step 2\n":
            pass
        return self

    @property
    def child(self) -> int:
        (found,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(found)

    def read(self) -> tuple[str, list[str]]:
        assert self.process.stdout and self.process.stderr
        out, error = self.process.communicate(timeout=60)
        return out, error.splitlines()


def gone(pid: int) -> bool:
    """Is the process gone, or only waiting to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_successful_program_prints_its_result():
    program = Program(steps=1)
    assert program.read() == ('{"a": 1}\n', ["step 1", "done"]) and program.process.returncode == 0


@pytest.mark.parametrize(
    ("end", "code", "line"),
    [
        ("return WorkOutcome(4, 'rolled back: why', {'a': 1})", 4, "rolled back: why"),
        ("raise InfraError('the host does not answer')", 1, "failed: the host does not answer"),
        ("raise KeyError('x')", 1, "failed: internal error: KeyError: 'x' (<string>:13)"),
        (
            "return WorkOutcome(0, '', {'a': 'x' * 70000})",
            1,
            "failed: internal error: ValueError: a result of 70009 bytes",
        ),
    ],
)
def test_failed_program_ends_with_its_reason_on_standard_error(end, code, line):
    program = Program(steps=1, end=end)
    out, lines = program.read()
    assert (out, program.process.returncode, len(lines)) == ("", code, 2) and lines[-1].startswith(line)


def test_work_finishes_when_the_plugin_kills_its_parent():
    """The first Ctrl-C: SIGKILL for the process that the plugin knows, which then waits for the pipes."""
    program = Program(steps=20, finishes="interrupted: it comes to its end").after_two_steps()
    program.process.kill()
    out, lines = program.read()
    assert out == "" and lines[-2:] == ["step 20", "done, although interrupted"]
    assert "interrupted: it comes to its end" in lines


def test_stoppable_work_ends_when_its_parent_is_killed():
    program = Program().after_two_steps()
    child = program.child
    program.process.kill()
    out, lines = program.read()
    assert out == "" and lines[-1].startswith("left after step ") and len(lines) < 300
    wait_until(lambda: gone(child))


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda word: word.name)
@pytest.mark.parametrize("to_all", [False, True], ids=["to what the plugin started", "to its whole group"])
def test_signal_ends_the_program_with_a_last_line(word, to_all):
    program = Program(finishes="only an interruption of the plugin's").after_two_steps()
    (os.killpg if to_all else os.kill)(program.process.pid, word)
    out, lines = program.read()
    assert out == "" and lines[-1].startswith("left after step ") and program.process.returncode == 130
    assert not any("Traceback" in line for line in lines)


def test_second_interrupt_ends_the_work_at_once():
    program = Program(finishes="it comes to its end").after_two_steps()
    child = program.child
    program.process.kill()
    assert program.process.stderr
    while program.process.stderr.readline() != "it comes to its end\n":
        pass
    os.kill(child, signal.SIGINT)
    assert program.read()[1][-1].startswith("left after step ")


def test_killed_work_is_reported_by_its_parent():
    program = Program().after_two_steps()
    os.kill(program.child, signal.SIGKILL)
    out, lines = program.read()
    assert out == "" and program.process.returncode == 1
    assert lines[-1].startswith("failed: the process that ran this step was killed (SIGKILL)")


@pytest.mark.parametrize("finishes", ["", "it comes to its end"])
def test_closed_output_ends_the_work(finishes):
    """The plugin was killed: its ends of the pipes are closed."""
    program = Program(finishes=finishes).after_two_steps()
    child = program.child
    assert program.process.stdout and program.process.stderr
    program.process.stdout.close()
    program.process.stderr.close()
    wait_until(lambda: gone(child))
    assert program.process.wait(30) == 130
