"""Backups of hosts' services, as people ask for them: what there is, one now, whether it is good, and back."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, overload

from agent import quoting, times
from agent.documents.backups import (
    BackupAnswer,
    DrillAnswer,
    ListAnswer,
    RestoreAnswer,
    ServiceBackups,
    VerifyAnswer,
)
from catalogue.loading import Catalogue
from infra import hosts, remote
from infra.errors import InfraError
from infra.ssh import Target
from rendering.backups import services_with_backup

MiB = 1024**2
Say = Callable[[str], None]


def hosts_of(catalogue: Catalogue, service: str | None, host: str | None) -> dict[str, Target]:
    """Where a service is backed up, or everything that is. Raises InfraError."""
    stack = catalogue.stack
    services_by_host = {
        name: [service.name for _, service, _ in services_with_backup(catalogue, name)] for name in stack.hosts
    }
    everything = sorted({name for names in services_by_host.values() for name in names})
    if not everything:
        raise InfraError(f"nothing of stack {stack.name} is backed up: `backup` of a service, docs/backups.md")
    if service and service not in everything:
        raise InfraError(f"{service!r} has no backup in stack {stack.name}; services with one: {', '.join(everything)}")
    targets = hosts.targets(stack, host)
    chosen_hosts = {name for name, names in services_by_host.items() if service in names or (service is None and names)}
    return {name: target for name, target in targets.items() if name.partition("@")[0] in chosen_hosts}


def one_host(catalogue: Catalogue, service: str, host: str | None) -> Target:
    """The host on which something is done to a service. Raises InfraError where there are several."""
    targets = hosts_of(catalogue, service, host)
    if len(targets) != 1:
        raise InfraError(f"{service} runs on {', '.join(sorted(targets)) or 'no such host'}: name one with --host")
    return next(iter(targets.values()))


@overload
def ask(target: Target, say: Say, what: Literal["list"]) -> ListAnswer: ...
@overload
def ask(target: Target, say: Say, what: Literal["now"], *, service: str) -> BackupAnswer: ...
@overload
def ask(target: Target, say: Say, what: Literal["verify"], *, everything: bool) -> VerifyAnswer: ...
@overload
def ask(
    target: Target, say: Say, what: Literal["restore"], *, service: str, snapshot: str | None, to: str | None
) -> RestoreAnswer: ...
@overload
def ask(target: Target, say: Say, what: Literal["drill"], *, service: str, snapshot: str | None) -> DrillAnswer: ...
def ask(target: Target, say: Say, what: str, **payload: Any) -> Any:
    """The agent's answer; what it says on the way goes to `say`. `what` is list, now, verify, restore or drill. Raises
    InfraError."""
    answer: Any = None
    try:
        for event in remote.stream(target, f"backup-{what}", payload):
            if set(event) == {"say"}:
                say(times.in_text(event["say"]))
            else:
                answer = event
    except InfraError as error:
        if f"KeyError: 'backup-{what}'" in str(error):
            raise InfraError(f"{target}: its agent is of an earlier version: pulumi up updates it") from None
        raise
    if not answer:
        raise InfraError(f"{target}: the agent reported nothing about backups")
    return answer


def listing(host: str, answer: ListAnswer, count: int) -> Iterator[str]:
    for entry in answer["services"]:
        service, backups = entry["service"], entry["backups"]
        yield f"{host}: {service}: {quoting.count(len(backups), 'backup')}{_last(entry)}"
        for backup in backups[:count]:
            yield f"  {backup['id'][:8]}  {times.show_text(backup['at'])}"
        if len(backups) > count:
            yield f"  and {len(backups) - count} more: --all shows them"


def _last(entry: ServiceBackups) -> str:
    parts: list[str] = []
    if good := entry.get("good"):
        parts.append(f"the last one {good['bytes'] / MiB:.1f} MiB, {_ago(good['at'])}")
    if failed := entry.get("failed"):
        parts.append(f"FAILED {_ago(failed['at'])}: {times.in_text(failed['why'])}")
    if drill := entry.get("drill"):
        parts.append(f"drill {'FAILED ' if drill.get('why') else ''}{_ago(drill['at'])}")
    return f" ({'; '.join(parts)})" if parts else ""


def _ago(at: float) -> str:
    hours = (datetime.now(UTC).timestamp() - at) / 3600
    if hours < 2:
        return f"{hours * 60:.0f} min ago"
    return f"{hours:.0f} h ago" if hours < 72 else f"{hours / 24:.0f} d ago"


def backup_lines(host: str, answer: BackupAnswer) -> Iterator[str]:
    size, took = answer["bytes"] / MiB, answer["seconds"]
    yield f"{host}: {answer['service']}: backup {answer['snapshot'][:8]}, {size:.1f} MiB in {took:.0f} s"
    if answer.get("warning"):
        yield f"{host}: {answer['warning']}"


def restore_lines(host: str, answer: RestoreAnswer) -> Iterator[str]:
    head = (
        f"{host}: {answer['service']}: restored from backup {answer['snapshot'][:8]} of {times.show_text(answer['at'])}"
    )
    if into := answer.get("into"):
        yield f"{head} into {into}"
        return
    yield f"{head}, and healthy; started: {', '.join(answer.get('started', []))}"
    for path in answer.get("aside", []):
        yield f"{host}: the replaced data is kept at {path}: remove it once it is no longer needed"


def drill_line(host: str, answer: DrillAnswer) -> str:
    did = "started on it and healthy" if answer["started"] else "read in full; not started: it needs others"
    size, took = answer["bytes"] / MiB, answer["seconds"]
    of = f"backup {answer['snapshot'][:8]} of {times.show_text(answer['of'])}"
    return f"{host}: {answer['service']}: {of} is good: {size:.1f} MiB, {did}, {took:.0f} s"
