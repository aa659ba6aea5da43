"""`pulumi-resource-command`: `local.Command`, with what the real plugin does to the programs that it runs.

A cancelled command's shell is killed and nothing else, its pipes are waited for, a logged line of 64 KiB hangs it:
`tests/fakes/test_behaviours.py` holds both plugins to one table. Of `remote.Command` it only forgets those that a
stack still has.
"""

import contextlib
import errno
import json
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from typing import IO, Any

from lab.fakes.plugin import Call, Kind, Plugin, PluginError, Values, serve

LONGEST = 64 * 1024  # bytes of a line, its end included
WORDS = {signal.SIGKILL: "killed", signal.SIGTERM: "terminated", signal.SIGINT: "interrupt", signal.SIGHUP: "hangup"}


class Lines:
    """The lines of all logged streams, as they come. The real plugin stops reading at a line that is too long: its
    writer then waits for ever."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._lock, self._rest = say, threading.Lock(), b""

    def write(self, data: bytes) -> None:
        with self._lock:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._say_or_hang(line)
            if len(self._rest) >= LONGEST:
                _hang()

    def close(self) -> None:
        if self._rest:
            self._say_or_hang(self._rest)

    def _say_or_hang(self, line: bytes) -> None:
        if len(line) >= LONGEST:
            _hang()
        self._say(line.removesuffix(b"\r").decode(errors="replace"))


def _hang() -> None:
    threading.Event().wait()


def _run(call: Call, values: Values, command: str, previous: Values | None = None) -> Values:
    """stdout and stderr of a command on this machine. Raises PluginError with its text, as the real plugin does."""
    end = f"running {json.dumps(command, ensure_ascii=False)}:\n"
    if call.stop.is_set():
        raise PluginError(f"context canceled: {end}")
    process = _start(values, command, previous, end)
    assert process.stdout and process.stderr
    texts = {"stdout": b"", "stderr": b"", "both": b""}
    # Of a command that was cancelled the real plugin shows nothing any more
    lines, lock = Lines(lambda line: None if call.stop.is_set() else call.status(line)), threading.Lock()
    logging = values.get("logging", "stdoutAndStderr")

    def read(name: str, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), 32 * 1024):
            with lock:
                texts[name] += data
                texts["both"] += data
            if logging in (name, "stdoutAndStderr"):
                lines.write(data)

    def feed(stdin: IO[bytes], data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError), stdin:
            stdin.write(data)

    threads = [
        threading.Thread(target=read, args=("stdout", process.stdout), daemon=True),
        threading.Thread(target=read, args=("stderr", process.stderr), daemon=True),
    ]
    if process.stdin:
        stdin = values["stdin"].encode()
        threads.append(threading.Thread(target=feed, args=(process.stdin, stdin), daemon=True))
    for thread in threads:
        thread.start()
    code = _wait_for_end(call, process)
    for thread in threads:
        # A process that holds the pipes is waited for, though nothing of it was ended
        thread.join()
    lines.close()
    if code:
        how = f"exit status {code}" if code > 0 else f"signal: {WORDS.get(signal.Signals(-code), str(-code))}"
        raise PluginError(f"{how}: {end}{texts['both'].decode(errors='replace')}")
    return {name: texts[name].decode(errors="replace").removesuffix("\n") for name in ("stdout", "stderr")}


def _start(values: Values, command: str, previous: Values | None, end: str) -> subprocess.Popen[bytes]:
    # The stand-in's own path is none of the command's business
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | values.get("environment", {})
    if previous and values.get("addPreviousOutputInEnv", True):
        env |= {f"PULUMI_COMMAND_{name.upper()}": previous[name] for name in ("stdout", "stderr") if previous.get(name)}
    program = values.get("interpreter", ["/bin/sh", "-c"])
    folder = values.get("dir")
    if folder and not os.path.isdir(folder):
        raise PluginError(f"chdir {folder}: no such file or directory: {end}")
    try:
        return subprocess.Popen(
            [*program, command], stdin=subprocess.PIPE if values.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=folder,
        )  # fmt: skip
    except FileNotFoundError:
        raise PluginError(f'exec: "{program[0]}": executable file not found in $PATH: {end}') from None
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        raise PluginError(f"fork/exec {program[0]}: argument list too long: {end}") from None


def _wait_for_end(call: Call, process: subprocess.Popen[bytes]) -> int:
    """How the process that was started ended, by itself or killed: by Ctrl-C, or at the end of its time."""
    limit = time.monotonic() + call.timeout if call.timeout else None
    while True:
        try:
            return process.wait(0.05)
        except subprocess.TimeoutExpired:
            if call.stop.is_set() or (limit and time.monotonic() > limit):
                process.kill()
                return process.wait()


def _create(call: Call, values: Values) -> tuple[str, Values]:
    outputs = _run(call, values, values["create"]) if values.get("create") else {"stdout": "", "stderr": ""}
    return f"{call.name}{uuid.uuid4().hex[:8]}", outputs


def _update(call: Call, id: str, old: Values, new: Values) -> Values:
    command = new.get("update") or new.get("create")
    return _run(call, new, command, old) if command else {}


def _delete(call: Call, id: str, state: Values) -> None:
    if state.get("delete"):
        _run(call, state, state["delete"], state)


def _refuse(call: Call, *_: Any) -> Any:
    raise PluginError("the stand-in runs nothing on other machines: use local.Command, or the real plugin")


def _forget(call: Call, id: str, state: Values) -> None:
    if state.get("delete"):
        _refuse(call)


COMMON = {
    "create": "update", "update": "update", "delete": "update", "stdin": "update", "environment": "update",
    "logging": "update", "addPreviousOutputInEnv": "update", "triggers": "elements",
}  # fmt: skip
OUTPUTS = ["stdout", "stderr"]
KINDS = {
    "command:local:Command": Kind(
        {**COMMON, "interpreter": "update", "dir": "update"}, set(), OUTPUTS, _create, _update, _delete, infers=True
    ),
    "command:remote:Command": Kind(
        {**COMMON, "connection": "update"}, {"connection"}, OUTPUTS, _refuse, _refuse, _forget, infers=True
    ),
}

if __name__ == "__main__":
    serve(Plugin(KINDS, connect=lambda config: None), "1.2.1")
