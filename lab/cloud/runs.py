"""The one log of all regions: every run of a service of which only one may run, and on which machine it was."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from infra.writing import open_for_append


class Runs:
    """A WSGI app that appends `seconds service instance` to a file for each POST."""

    def __init__(self, file: Path, instance_at: Callable[[str], str | None]) -> None:
        self.file, self.instance_at, self.lock = file, instance_at, threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        instance = self.instance_at(environ["REMOTE_ADDR"]) or environ["REMOTE_ADDR"]
        line = f"{time.time():.3f} {environ['PATH_INFO'].strip('/')} {instance}\n"
        with self.lock, open_for_append(self.file) as log:
            log.write(line.encode())
        start("204 No Content", [])
        return []
