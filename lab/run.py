"""Runs commands of the lab to their end, and starts, identifies and stops its daemons by process id."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from infra.writing import open_for_append, put
from lab.say import LabError

LONGEST = 1800.0  # seconds of any command: a build, or packages over a slow line
ANSWER = 30.0  # seconds of a question


def environment(env: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: ours, with the administrator's directories that a user's PATH lacks on Debian."""
    variables = {**os.environ, **(env or {})}
    return {**variables, "PATH": f"{variables['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"}


def find_program(program: str) -> str | None:
    """Where a program is, the administrator's directories included."""
    return shutil.which(program, path=environment()["PATH"])


def run(
    *argv: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    quiet: bool = True,
    stdin: str = "",
    timeout: float = LONGEST,
) -> str:
    """A command's stdout. Raises LabError with the end of its output when it fails, or takes longer than `timeout`
    seconds."""
    try:
        result = subprocess.run(
            argv, cwd=cwd, env=environment(env), text=True, check=False, input=stdin, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: did not end within {timeout:.0f} s, and was killed") from None
    if result.returncode:
        output = " | ".join(f"{result.stdout}\n{result.stderr or ''}".strip().splitlines()[-4:])
        raise LabError(f"{' '.join(argv)}: exit code {result.returncode}: {output}")
    return result.stdout


def succeeds(*argv: str) -> bool:
    """Whether a command exits with 0; False too if there is no such program, or it does not end in time."""
    try:
        result = subprocess.run(
            argv, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=ANSWER
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


class Daemon:
    """A background process known by its id and start time, so that a reused id is never ended."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.record = directory / f"{name}.pid"
        self.log = directory / f"{name}.log"

    @property
    def alive(self) -> bool:
        return self._recorded_pid() is not None

    def start(self, *argv: str, env: dict[str, str] | None = None) -> None:
        self.record.parent.mkdir(parents=True, exist_ok=True)
        with open_for_append(self.log) as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(env),
                start_new_session=True,
            )
        put(self.record, f"{process.pid} {_start_time(process.pid)}")

    def stop(self, patience: float = 20) -> None:
        """SIGTERM, then SIGKILL after `patience` seconds."""
        pid = self._recorded_pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + patience
            while self.alive and time.monotonic() < end:
                time.sleep(0.05)
            if self.alive:
                os.kill(pid, signal.SIGKILL)
        self.record.unlink(missing_ok=True)

    def last_words(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-4:]) if self.log.exists() else ""

    def _recorded_pid(self) -> int | None:
        try:
            pid, started = self.record.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _start_time(int(pid)) == started else None


def _start_time(pid: int) -> str | None:
    """A process's start in clock ticks; None when it is gone (a zombie is gone)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def wait_until(what: str, ready, daemon: Daemon | None = None, seconds: float = 60) -> None:
    """Raises LabError when `ready()` stays false, at once when the daemon has died."""
    end = time.monotonic() + seconds
    while not ready():
        if daemon is not None and not daemon.alive:
            raise LabError(f"{what}: the process ended: {daemon.last_words()} (log: {daemon.log})")
        if time.monotonic() > end:
            raise LabError(f"{what}: not ready after {seconds:.0f} s (log: {daemon.log if daemon else 'none'})")
        time.sleep(0.1)
