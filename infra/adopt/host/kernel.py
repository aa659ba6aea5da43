"""What the kernel of a host says: ports, memory. Runs on the host beside on_host.py: standard library only."""

from __future__ import annotations

import glob
import os
import re


def ports(cgroup: str) -> list[int]:
    """The TCP ports that a unit's processes listen on."""
    open_ports: set[int] = set()
    for place in glob.glob(f"{cgroup}/**/cgroup.procs", recursive=True) if cgroup else []:
        for pid in (read(place) or "").split():
            sockets: set[str] = set()
            for fd in glob.glob(f"/proc/{pid}/fd/*"):
                try:
                    sockets.add(os.readlink(fd))
                except OSError:
                    continue
            for table in ("tcp", "tcp6"):
                for line in (read(f"/proc/{pid}/net/{table}") or "").splitlines()[1:]:
                    fields = line.split()
                    if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                        open_ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return sorted(open_ports)


def read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def memory_of(pid: int) -> int:
    """Bytes, as `docker stats` counts them; 0 where that is not known."""
    for line in (read(f"/proc/{pid}/cgroup") or "").splitlines() if pid else []:
        _, kinds, place = line.split(":", 2)
        roots = {"": ("/sys/fs/cgroup", "memory.current", "inactive_file")}
        roots["memory"] = ("/sys/fs/cgroup/memory", "memory.usage_in_bytes", "total_inactive_file")
        if kinds in roots:
            root, now, dropped = roots[kinds]
            used, statistics = read(f"{root}{place}/{now}"), read(f"{root}{place}/memory.stat") or ""
            cache = re.search(rf"^{dropped} (\d+)", statistics, re.MULTILINE)
            if used:
                return max(0, int(used) - (int(cache[1]) if cache else 0))
    return 0


def memory() -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", read("/proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else 0
