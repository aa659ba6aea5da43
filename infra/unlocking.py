"""The locks of a stack, read where Pulumi keeps its state: whose they are, how old, and whether their update certainly
runs no more."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from catalogue.files import read_bytes
from catalogue.problems import CatalogueError
from catalogue.stack import PROJECT
from infra import aws, locks
from infra.errors import InfraError
from infra.foreign import one_line
from infra.pulumi import pulumi

# With projects, and as earlier versions of Pulumi had them
PLACES = ("locks/organization/{project}/{stack}/", "locks/{stack}/")
MOST = 100


@dataclass(frozen=True)
class Lock:
    """Who made it, and when (seconds since 1970; None where that is not known)."""

    account: str
    machine: str
    pid: int
    at: float | None

    @property
    def runs_here(self) -> bool:
        """Is there a Pulumi of that number on a machine of that name, which is this one."""
        return self.machine == socket.gethostname() and locks.engine_above(self.pid) == self.pid

    def __str__(self) -> str:
        age = f", since {_ago(time.time() - self.at)}" if self.at is not None else ""
        return f"{self.account}@{self.machine}, process {self.pid}{age}"


def unlock(stack: str) -> str:
    """Removes the stack's locks where every one is certainly an ended update's; what was found and done. Raises
    InfraError where it is not certain, and nothing was removed."""
    stack_locks = list(of_stack(stack))
    if not stack_locks:
        return f"stack {stack} is not locked"
    listing = "; ".join(map(str, stack_locks))
    if here := [one for one in stack_locks if one.runs_here]:
        raise InfraError(f"stack {stack} is locked by {here[0]}, which is running on this machine: wait until it ends")
    if not locks.is_dead(_complaint(stack_locks), locks.read_engine(stack)):
        raise InfraError(
            f"stack {stack} is locked by {listing}; whether that update is still running is not certain from here, so "
            "the lock stays. If it is a CI run, check it there; once it has certainly ended: pulumi cancel "
            f"--stack {stack}"
        )
    if not locks.remove(stack):
        raise InfraError(f"stack {stack} is locked by {listing}, which has ended; pulumi cancel --stack {stack} failed")
    next_step = f"infra orphans --stack {stack}"
    return f"stack {stack} was locked by {listing}, which has ended: the lock was removed. Next: {next_step}"


def _complaint(stack_locks: list[Lock]) -> str:
    """As Pulumi itself complains of them."""
    lines = [
        f"  {number}: created by {one.account}@{one.machine} (pid {one.pid})" for number, one in enumerate(stack_locks)
    ]
    return "\n".join([f"{locks.LOCKED} {len(stack_locks)} lock(s)", *lines])


def of_stack(stack: str) -> Iterator[Lock]:
    """Raises InfraError where the state is kept in a place that this cannot look into."""
    url: str = json.loads(pulumi("whoami", "--verbose", "--json")).get("url", "")
    parts = urlsplit(url)
    reader = {"file": _files, "s3": _objects}.get(parts.scheme)
    if reader is None:
        raise InfraError(
            f"the state is kept at {one_line(url)}, where infra cannot read locks: run pulumi cancel --stack {stack} "
            "once no update is running"
        )
    for place in PLACES:
        for text in reader(parts, place.format(project=PROJECT, stack=stack)):
            yield _read(text)


def _files(parts: SplitResult, place: str) -> Iterator[str]:
    folder = Path(unquote(parts.netloc + parts.path)).expanduser() / ".pulumi" / place
    for path in sorted(folder.glob("*.json"))[:MOST]:
        try:
            yield read_bytes(path, str(path)).decode(errors="replace")
        except CatalogueError as error:
            raise InfraError(f"a lock of the stack cannot be read, and may be held: {error}") from None


def _objects(parts: SplitResult, place: str) -> Iterator[str]:
    prefix = "/".join(filter(None, (parts.path.strip("/"), ".pulumi", place)))
    try:
        client = aws.client("s3", "")
        entries = client.list_objects_v2(Bucket=parts.netloc, Prefix=prefix, MaxKeys=MOST).get("Contents", [])
        for entry in entries:
            yield client.get_object(Bucket=parts.netloc, Key=entry["Key"])["Body"].read().decode(errors="replace")
    except (ClientError, BotoCoreError) as error:
        raise InfraError(f"the locks in s3://{parts.netloc}/{prefix} cannot be read: {one_line(str(error))}") from None


def _read(text: str) -> Lock:
    """Raises InfraError for one that is not understood: it may be held."""
    try:
        entry = json.loads(text)
        at = datetime.fromisoformat(entry["timestamp"]).timestamp() if entry.get("timestamp") else None
        return Lock(one_line(str(entry["username"])), one_line(str(entry["hostname"])), int(entry["pid"]), at)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InfraError("a lock of the stack cannot be read, and may be held: pulumi cancel removes it") from None


def _ago(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 60 // 24} days"
