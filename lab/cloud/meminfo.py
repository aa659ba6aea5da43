"""What a lab host sees of memory: /proc/meminfo by what its container may use and uses, as lxcfs does. Test equipment.

A container's limit is its instance type's memory; `docker update` makes a host a small one.
"""

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PAUSE = 0.2


def write(file: Path, size: int, used: int, cache: int) -> None:
    """Writes in place, since the file itself is mounted. Numbers keep their width: no reader sees a part of one."""
    free = max(0, size - used)
    values = {"MemTotal": size, "MemFree": free, "MemAvailable": free + cache, "Buffers": 0, "Cached": cache}
    text = "".join(f"{name + ':':<16}{value // 1024:>12} kB\n" for name, value in values.items())
    text += "".join(f"{name + ':':<16}{0:>12} kB\n" for name in ("SwapCached", "SwapTotal", "SwapFree"))
    file.parent.mkdir(parents=True, exist_ok=True)
    # In place, since a host has this very file mounted
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb", buffering=0) as opened:
        opened.write(text.encode())


def keep(file: Path, container: str) -> None:
    """Keeps a running container's file true until it ends."""
    command = ["docker", "inspect", "-f", "{{.State.Pid}}", container]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    try:
        group = memory_group(Path(f"/proc/{ran.stdout.strip()}/cgroup").read_text())
    except OSError:
        return
    if group is not None:
        threading.Thread(target=_follow, args=(file, group), daemon=True).start()


@dataclass(frozen=True)
class MemoryGroup:
    """A control group of either version: its directory, and what its files are called."""

    place: Path
    limit: str
    usage: str
    cache: tuple[str, ...]

    def read(self) -> tuple[int, int, int]:
        """Bytes: the limit (of a group without one, the machine's memory), what is used, and what of it is cache."""
        limit, used = (self.place / self.limit).read_text().strip(), int((self.place / self.usage).read_text())
        stat = dict(line.split() for line in (self.place / "memory.stat").read_text().splitlines())
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if limit == "max" else int(limit)
        return size, used, sum(int(stat.get(name, 0)) for name in self.cache)


def memory_group(cgroups: str, root: Path = ROOT) -> MemoryGroup | None:
    """The group of a container, from the text of its first process's /proc/PID/cgroup. The part below it is its
    systemd's own."""
    places: dict[str, str] = {}
    for line in cgroups.splitlines():
        _, controllers, place = line.split(":", 2)
        places[controllers] = place.removesuffix("/init.scope").lstrip("/")
    if "memory" in places:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
        return MemoryGroup(root / "memory" / places["memory"], *names)
    if "" in places:
        return MemoryGroup(root / places[""], "memory.max", "memory.current", ("inactive_file", "active_file"))
    return None


def _follow(file: Path, group: MemoryGroup) -> None:
    while True:
        try:
            write(file, *group.read())
        except OSError:
            # The container has ended, or the lab's files have gone
            return
        time.sleep(PAUSE)
