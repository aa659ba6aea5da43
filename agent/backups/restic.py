"""restic, as this host uses it: the repository that its release names, and what restic answers. Debian 11's 0.11 can
all of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast

from agent import quoting
from agent.outcome import Refused
from agent.world import CommandResult, World

ENVIRONMENT = "/etc/infra/backup.env"  # as in rendering/backups.py
LONG = 12 * 3600.0  # seconds
# What is said of a repository that is not there, and of nothing else
ABSENT = re.compile(
    r"specified key does not exist|NoSuchKey|repository does not exist|config: no such file or directory"
)
# Beside the reason, and after it
HINT = re.compile(r"Is there a repository at|s3:http|the `unlock` command")
EXISTS = re.compile(r"already initialized|config file already exists")
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
INCOMPLETE = 3  # exit code of a backup that left out what could not be read


@dataclass(frozen=True)
class Snapshot:
    """A backup of a service. `at` is as restic has it, in UTC."""

    id: str
    at: str
    paths: list[str]

    def __str__(self) -> str:
        return f"{self.id[:8]} of {self.at[:16].replace('T', ' ')} UTC"


def environment(world: World) -> dict[str, str]:
    """What the release says of the repository. Raises Refused where it says nothing."""
    text = world.read(ENVIRONMENT)
    if text is None:
        raise Refused(f"this host has no backups: {ENVIRONMENT} is missing. Deploy its release first (pulumi up)")
    pairs = (line.partition("=") for line in text.decode().split("\n") if "=" in line and not line.startswith("#"))
    repository = {name: value[1:-1] if value[:1] == value[-1:] == "'" else value for name, _, value in pairs}
    # In its answers too
    return {**repository, "TZ": "UTC"}


def command(*words: str) -> list[str]:
    return ["restic", "--quiet", *words]


def run(world: World, *words: str, timeout: float = LONG) -> CommandResult:
    return world.run(*command(*words), timeout=timeout, environment=environment(world))


def marks(world: World, service: str, kind: str = "service") -> list[str]:
    """The options by which a service's backups are made and found, on whatever machine the host is. One whose `kind` is
    unfinished is restored by nothing."""
    return ["--host", environment(world)["INFRA_HOST"], "--tag", f"{kind}={service}"]


def ready(world: World) -> None:
    """The repository is there, and no lock of one that was killed. Raises Refused."""
    ran = run(world, "cat", "config", timeout=300)
    if ran.code:
        if not ABSENT.search(ran.output):
            raise Refused(f"the repository of backups cannot be read: {reason(ran)}")
        ran = run(world, "init", timeout=300)
        if ran.code and not EXISTS.search(ran.output):
            raise Refused(f"the repository of backups cannot be created: {reason(ran)}")
    # Those of processes that are gone alone
    run(world, "unlock", timeout=300)


def snapshots(world: World, service: str, kind: str = "service") -> list[Snapshot]:
    """Of a service, the newest first. Raises Refused."""
    ran = run(world, "snapshots", "--json", *marks(world, service, kind), timeout=600)
    if ran.code:
        if ABSENT.search(ran.output):
            return []
        raise Refused(f"the backups of {service} cannot be listed: {reason(ran)}")
    try:
        # Each entry is asked for what it must have
        entries: list[Any] = answer(ran) or []
        unsorted = [Snapshot(str(e["id"]), _utc(e["time"]), [str(path) for path in e["paths"]]) for e in entries]
    except (LookupError, TypeError, AttributeError, ValueError):
        raise Refused(f"the answer of restic about {service} cannot be read: {reason(ran)}") from None
    return sorted(unsorted, key=lambda snapshot: snapshot.at, reverse=True)


def _utc(text: str) -> str:
    """A time of restic's, which may have an offset, to the second in UTC. Raises ValueError."""
    parts = TIME.fullmatch(text)
    if parts is None:
        raise ValueError(text)
    offset = "+0000" if parts[2] == "Z" else parts[2].replace(":", "")
    return datetime.strptime(f"{parts[1]}{offset}", "%Y-%m-%dT%H:%M:%S%z").astimezone(timezone.utc).isoformat()


def choose_snapshot(world: World, service: str, id_prefix: str | None) -> Snapshot:
    """The newest backup of a service, or the one whose id begins with `id_prefix`. Raises Refused."""
    available = snapshots(world, service)
    fitting = [snapshot for snapshot in available if not id_prefix or snapshot.id.startswith(id_prefix)]
    if not available:
        raise Refused(f"there is no backup of {service}")
    if not fitting or (id_prefix and len(fitting) > 1):
        there = "; ".join(map(str, available[:5])) + (f" and {len(available) - 5} more" if len(available) > 5 else "")
        begin = f"{len(fitting)} backups of {service} begin with {quoting.quote(id_prefix or '')}"
        raise Refused(f"{begin}; there is {there}")
    return fitting[0]


def size(world: World, snapshot: Snapshot) -> int:
    """Bytes that a backup takes once it is restored. Raises Refused."""
    ran = run(world, "stats", "--json", "--mode", "restore-size", snapshot.id, timeout=3600)
    stats = answer(ran) if ran.code == 0 else None
    total = cast("dict[str, object]", stats).get("total_size") if isinstance(stats, dict) else None
    if not isinstance(total, int):
        raise Refused(f"the size of backup {snapshot} is unknown: {reason(ran)}")
    return total


def reason(ran: CommandResult) -> str:
    """What restic says of a failure, without its question whether there is a repository."""
    lines = [line for line in ran.output.splitlines() if line.strip() and not HINT.match(line)]
    return CommandResult(ran.code, "\n".join(lines)).last_lines(3) or f"it ended with {ran.code} and printed nothing"


def answer(ran: CommandResult) -> Any:
    """The last line that is JSON; None where none is. What restic warns of stands before it."""
    for line in reversed(ran.output.splitlines()):
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            continue
    return None
