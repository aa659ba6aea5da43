"""What a host's container may do on this machine: what systemd and Docker inside it need, and nothing that reaches the
machine's own kernel, devices or clock."""

import json
from pathlib import Path

from infra.writing import put
from lab.settings import Lab

# Docker's own defaults, which programs inside expect
USUAL = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
# systemd and Docker mount, make namespaces and set up networks; logins are audited; units have priorities and lock
# memory; `ss -p` and a reboot of the host itself
MORE = ("AUDIT_CONTROL", "IPC_LOCK", "NET_ADMIN", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_PTRACE")
# A file system grows in use; where this machine itself may not do that, none does
GROWING, GROWING_BIT = "SYS_RESOURCE", 24
# System calls that reach the machine although a container makes them
DENIED = (
    "acct", "adjtimex", "clock_adjtime", "clock_settime", "delete_module", "finit_module", "init_module",
    "ioperm", "iopl", "kexec_file_load", "kexec_load", "lookup_dcookie", "nfsservctl", "open_by_handle_at",
    "perf_event_open", "quotactl", "settimeofday", "syslog", "userfaultfd", "uselib", "vm86", "vm86old",
)  # fmt: skip
EPERM = 1


def profile() -> str:
    """A profile of seccomp, as Docker reads it."""
    refused = {"names": list(DENIED), "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM}
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]})


def may_grow(status: str) -> bool:
    """Whether a process with this /proc/PID/status may let a file system grow in use."""
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(line.split()[1], 16) >> GROWING_BIT & 1)


def options(lab: Lab) -> list[str]:
    """Options of `docker run`."""
    file = lab.path("run", "seccomp.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    put(file, profile())
    names = (*USUAL, *MORE, *((GROWING,) if may_grow(Path("/proc/self/status").read_text()) else ()))
    capabilities = [word for name in names for word in ("--cap-add", name)]
    profiles = [word for name in (f"seccomp={file}", "apparmor=unconfined") for word in ("--security-opt", name)]
    return ["--cap-drop", "ALL", *capabilities, *profiles]
