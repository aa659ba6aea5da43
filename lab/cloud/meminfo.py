"""What a lab host sees of memory: /proc/meminfo by what its container may use and uses, as lxcfs does. Test equipment.

A container's limit is its instance type's memory; `docker update` makes a host a small one.
"""

import subprocess
import threading
import time
from pathlib import Path

MEMORY = Path("/sys/fs/cgroup/memory")
PAUSE = 0.2
CACHE = ("total_inactive_file", "total_active_file")  # what the kernel gives back when it is asked to


def write(file: Path, size: int, used: int, cache: int) -> None:
    """In place, since the file itself is mounted; every number as wide as ever, so that no reader finds a torn one."""
    free = max(0, size - used)
    values = {"MemTotal": size, "MemFree": free, "MemAvailable": free + cache, "Buffers": 0, "Cached": cache}
    text = "".join(f"{name + ':':<16}{value // 1024:>12} kB\n" for name, value in values.items())
    text += "".join(f"{name + ':':<16}{0:>12} kB\n" for name in ("SwapCached", "SwapTotal", "SwapFree"))
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "r+b" if file.exists() else "wb", buffering=0) as opened:
        opened.write(text.encode())


def keep(file: Path, container: str) -> None:
    """Keeps a running container's file true until it ends."""
    ran = subprocess.run(["docker", "inspect", "-f", "{{.State.Pid}}", container], capture_output=True, text=True)
    if group := _group(ran.stdout.strip()):
        threading.Thread(target=_follow, args=(file, group), daemon=True).start()


def _group(pid: str) -> Path | None:
    """The container's memory group; the part below it is its systemd's own."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    place = next((line.split(":", 2)[2] for line in lines if line.split(":")[1] == "memory"), None)
    return MEMORY / place.removesuffix("/init.scope")[1:] if place else None


def _follow(file: Path, group: Path) -> None:
    while True:
        try:
            size, used = (int((group / f"memory.{name}_in_bytes").read_text()) for name in ("limit", "usage"))
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            write(file, size, used, sum(int(stat.get(name, 0)) for name in CACHE))
        except OSError:
            # The container has ended, or the lab's files have gone
            return
        time.sleep(PAUSE)
