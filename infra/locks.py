"""A stack's lock that a killed Pulumi left: removed where it is certain that nobody holds it any more."""

import os
import re
import socket

from infra.pulumi import attempt

LOCKED = "the stack is currently locked by"
HOLDER = re.compile(r"created by (\S+)@(\S+) \(pid (\d+)\)")


def holders(said: str) -> list[tuple[str, int]]:
    """(machine, process) of every lock that Pulumi complains of. Pure."""
    return [(machine, int(pid)) for _, machine, pid in HOLDER.findall(said)] if LOCKED in said else []


def is_dead(said: str) -> bool:
    """Were all these locks taken on this machine, by processes that are no more."""
    found = holders(said)
    return bool(found) and all(machine == socket.gethostname() and not _runs(pid) for machine, pid in found)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def removed(stack: str, said: str) -> bool:
    """Removes the locks of a complaint if they are dead. Raises InfraError where there is no Pulumi."""
    return is_dead(said) and attempt("cancel", "--yes", "--stack", stack).returncode == 0
