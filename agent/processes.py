"""Processes of this host: those that run, by their names, and commands that run to their end."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from agent import quoting

TIMED_OUT = 124  # exit code of a command that was ended for taking too long
MOST = 64 << 20  # bytes of what a command says that are kept
KEPT = 64 << 10  # and of one whose output goes into another one


@dataclass(frozen=True)
class CommandResult:
    """A command that ended: its exit code and what it printed (both streams, secrets never among the arguments)."""

    code: int
    output: str

    def last_lines(self, count: int = 3, limit: int = quoting.PIECE, whole: str = "") -> str:
        """The end of the output in one line, bounded; what is said again and again is said once. `whole` names the
        service whose log has all of it."""
        return quoting.last_lines(self.output, count, limit, whole)


def command_environment(more: dict[str, str]) -> dict[str, str]:
    """The variables of a command: the agent's own, root's home, messages in English, and `more`."""
    return {**os.environ, "HOME": "/root", "LC_ALL": "C.UTF-8", **more}


def arguments_of(program: str, parent: str = "") -> list[list[str]]:
    """See World.arguments_of. A process's name and arguments are whatever its starter chose, also of a set-user-ID
    program's: what counts is the file that runs, for root alone, and beside the host's first process."""
    command_lines: list[list[str]] = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        # One may end meanwhile
        with suppress(OSError):
            if _is_roots(pid, program) and (not parent or _is_roots(_status(pid)["PPid"], parent)):
                command_lines.append(_text(pid, "cmdline").split("\0"))
    return command_lines


def _is_roots(pid: str, program: str) -> bool:
    # One that was replaced by an upgrade still runs
    running = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    status = _status(pid)
    # Real and effective account, and its number in each namespace of processes down to its own
    is_roots, is_beside = status["Uid"].split()[:2] == ["0", "0"], len(status.get("NSpid", pid).split()) == 1
    return os.path.basename(running) == program and is_roots and is_beside


def _status(pid: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in _text(pid, "status").splitlines())
    return {key: value.strip() for key, _, value in pairs}


def _text(pid: str, name: str) -> str:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read().decode(errors="replace")


def run(argv: tuple[str, ...], stdin: bytes, timeout: float, environment: dict[str, str]) -> tuple[int | None, bytes]:
    """Exit code of a command (None: it took too long, and was killed), and the last MOST bytes of what it said: a
    journal of gigabytes fills no memory. Raises OSError where it cannot be started."""
    output, end = bytearray(), time.monotonic() + timeout
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, bufsize=0
    ) as process:
        assert process.stdin and process.stdout
        # It may say much before it has read all
        feeding = threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True)
        feeding.start()
        try:
            while (remaining := end - time.monotonic()) > 0:
                if can_read(process.stdout, remaining):
                    if not (data := os.read(process.stdout.fileno(), 65536)):
                        break
                    output += data
                    del output[:-MOST]
            return process.wait(max(0.0, end - time.monotonic())), bytes(output)
        except subprocess.TimeoutExpired:
            return None, bytes(output)
        finally:
            process.kill()


def can_read(pipe: IO[bytes], seconds: float) -> bool:
    """Is there something to read, or the end, within so many seconds."""
    return _can(pipe, select.POLLIN, seconds)


def _can(pipe: IO[bytes], what: int, seconds: float) -> bool:
    # A process with a thousand open files can ask select nothing
    poller = select.poll()
    poller.register(pipe, what)
    return bool(poller.poll(seconds * 1000))


def _feed(pipe: IO[bytes], data: bytes) -> None:
    # One that ends without reading says itself why
    with suppress(OSError), pipe:
        pipe.write(data)


def pipe(
    source: list[str], sink: list[str], timeout: float, environment: dict[str, str]
) -> tuple[CommandResult, CommandResult, int]:
    """Runs two commands, the second of which reads what the first writes: both, and how many bytes passed. One that was
    ended, since it took too long or the other one had failed, has the code TIMED_OUT. The second one gets the end of
    its input only once the first has ended with 0 and written something; else it is killed. Raises OSError where one
    cannot be started."""
    end, passed = time.monotonic() + timeout, 0
    output, errors = bytearray(), bytearray()
    piped = subprocess.PIPE
    with subprocess.Popen(
        source, stdin=subprocess.DEVNULL, stdout=piped, stderr=piped, env=environment, bufsize=0
    ) as first, _end_with_parent(first), subprocess.Popen(
        sink, stdin=piped, stdout=piped, stderr=subprocess.STDOUT, env=environment, bufsize=0
    ) as second:  # fmt: skip
        listening = [
            threading.Thread(target=_listen, args=pair, daemon=True)
            for pair in ((first.stderr, errors), (second.stdout, output))
        ]
        for thread in listening:
            thread.start()
        try:
            passed = _pump(first, second, end)
            if first.wait(max(0.0, end - time.monotonic())) == 0 and passed and second.stdin:
                second.stdin.close()
                second.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        except BrokenPipeError:
            # It says why once it has ended
            with suppress(subprocess.TimeoutExpired):
                second.wait(5)
        finally:
            codes = [process.poll() for process in (first, second)]
            first.kill()
            second.kill()
            for thread in listening:
                thread.join(1)
    texts = [bytes(text).decode(errors="replace") for text in (errors, output)]
    source_result, sink_result = (
        CommandResult(TIMED_OUT if code is None else code, text) for code, text in zip(codes, texts)
    )
    return source_result, sink_result, passed


@contextmanager
def _end_with_parent(process: subprocess.Popen[bytes]) -> Generator[None]:
    """Where what reads from a process cannot be started, nothing waits for that one."""
    try:
        yield
    finally:
        process.kill()


def _pump(first: subprocess.Popen[bytes], second: subprocess.Popen[bytes], end: float) -> int:
    assert first.stdout and second.stdin
    passed = 0
    while (remaining := end - time.monotonic()) > 0:
        if can_read(first.stdout, remaining):
            if not (data := os.read(first.stdout.fileno(), 65536)):
                return passed
            view = memoryview(data)
            while view:
                # A sink that takes nothing any more is waited for no longer than all of it
                if not _can(second.stdin, select.POLLOUT, max(0.0, end - time.monotonic())):
                    raise subprocess.TimeoutExpired(second.args, 0)
                view = view[os.write(second.stdin.fileno(), view[: select.PIPE_BUF]) :]
            passed += len(data)
    raise subprocess.TimeoutExpired(first.args, 0)


def _listen(pipe: IO[bytes], output: bytearray) -> None:
    with suppress(OSError, ValueError):
        while data := os.read(pipe.fileno(), 65536):
            output += data
            del output[:-KEPT]
