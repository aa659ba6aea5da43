"""What is measured beside time: a host's processor time, the memory of all that an operator's command started, and the
requests of a client that failed meanwhile."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

MARK = "BENCH_PEERS_RUN"  # in the environment of a measured command, and of all that it starts
EVERY = 0.2  # seconds between two looks at memory
PAUSE = 0.05  # seconds between two requests


def host_cpu(container: str) -> float:
    """Seconds of processor time that a host of the lab has used: its control group's, whichever version. The services
    that run on it are part of that."""
    names = (f"docker/{container}/cpuacct.usage", f"system.slice/docker-{container}.scope/cpuacct.usage")
    for name in names:
        path = Path("/sys/fs/cgroup/cpuacct") / name
        if path.exists():
            return int(path.read_text()) / 1e9
    for name in (f"system.slice/docker-{container}.scope", f"docker/{container}"):
        path = Path("/sys/fs/cgroup") / name / "cpu.stat"
        if path.exists():
            return int(path.read_text().split()[1]) / 1e6
    raise LookupError(f"no control group of container {container[:12]} was found under /sys/fs/cgroup")


class Memory:
    """The most memory (PSS, which counts shared pages once) that processes with this mark in their environment had
    together: also those that left their parent, as SSH's masters do."""

    def __init__(self, mark: str) -> None:
        self.wording, self.peak = f"{MARK}={mark}".encode(), 0
        self._own: set[str] = set()
        self._others: set[str] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._others = set(filter(str.isdigit, os.listdir("/proc")))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(10)

    def _watch(self) -> None:
        while not self._is_over.wait(EVERY):
            self.peak = max(self.peak, self._look())

    def _look(self) -> int:
        present = set(filter(str.isdigit, os.listdir("/proc")))
        self._own &= present
        self._others &= present
        for pid in present - self._own - self._others:
            with contextlib.suppress(OSError):
                is_own = self.wording in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                # A process that has not run its program yet is looked at again
                (self._own if is_own else self._others).add(pid)
        total = 0
        for pid in self._own:
            with contextlib.suppress(OSError, IndexError, ValueError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(text.split("\nPss:", 1)[1].split()[0]) * 1024
        return total


class Client:
    """Asks without a pause worth the name, through it all; `ask` returns whether an answer was as it should be."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self.ask, self.requests, self.failed = ask, 0, 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                is_good = self.ask()
            except OSError:
                is_good = False
            self.requests += 1
            self.failed += not is_good
            time.sleep(PAUSE)
