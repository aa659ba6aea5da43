"""The agent's way in: an archive and its secrets from standard input, progress on stderr, the outcome on stdout."""

import base64
import contextlib
import fcntl
import io
import os
import sys
import tarfile
from typing import Any

from agent.apply import apply
from agent.outcome import Outcome
from agent.world import World

LOCK = "/run/infra/lock"


def main(payload: dict[str, Any]) -> int:
    """Applies `payload` (`release`, `archive` in base64, `secrets`) and returns the exit code."""
    os.makedirs(os.path.dirname(LOCK), mode=0o755, exist_ok=True)
    with open(LOCK, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            line = f"refused: another apply is at work on this host ({lock.read().strip()}). Wait for it and run again"
            return _ended(Outcome("refused", payload["release"], line))
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, release {payload['release'][:12]}")
        lock.flush()
        contents = members(base64.b64decode(payload["archive"]))
        return _ended(apply(World(), payload["release"], contents, payload["secrets"], _say))


def members(archive: bytes) -> dict[str, bytes]:
    """An archive's files by name, in memory: nothing is unpacked where it could be left behind."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        files = ((entry.name, tar.extractfile(entry)) for entry in tar if entry.isfile())
        return {name: file.read() for name, file in files if file}


def _say(line: str) -> None:
    # Whoever listened may have gone; the apply does not end for that
    with contextlib.suppress(BrokenPipeError):
        print(f"infra: {line}", file=sys.stderr, flush=True)


def _ended(outcome: Outcome) -> int:
    print(outcome.to_json(), flush=True)
    _say(outcome.line)
    return outcome.code
