"""What a service says on all hosts that run it, as one stream."""

import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from catalogue.loading import Catalogue
from infra import hosts, remote
from infra.errors import InfraError
from infra.ssh import Target

OF_HOSTS = ("monitor", "watch", "memory", "releases")


def hosts_of(catalogue: Catalogue, service: str) -> list[str]:
    """The hosts that run a service, by the catalogue. Raises InfraError naming what there is."""
    stack = catalogue.stack
    names = {
        host: {
            *OF_HOSTS,
            *(s.name for system in catalogue.systems_on(host) for s in system.active),
            *(spec.proxy for system in catalogue.systems_on(host) if system.sites),
        }
        for host, spec in stack.hosts.items()
    }
    found = [host for host, known in names.items() if service in known]
    if not found:
        every = sorted(set().union(*names.values()))
        what = f"runs no {service}; there is" if service else "has logs of"
        raise InfraError(f"stack {stack.name} {what} {', '.join(every)}")
    return found


def lines(catalogue: Catalogue, service: str, host: str | None, count: int, follow: bool) -> Iterator[str]:
    """Without `follow` the last `count` lines of each host, by their time; with it what comes after them too, until
    Ctrl-C. Raises InfraError."""
    wanted = hosts_of(catalogue, service)
    targets = hosts.targets(catalogue.stack, host)
    asked = {name: target for name, target in targets.items() if name.partition("@")[0] in wanted}
    if not asked:
        known = f"{', '.join(wanted)} does"
        never = f"{known}, and no update with it has succeeded: pulumi up"
        raise InfraError(f"{host} runs no {service}; {known}" if host else never)
    payload = {"service": service, "lines": count, "follow": follow}
    if not follow:
        found, wrong = [], None
        try:
            for name, event in _all(asked, payload):
                found.append((event["at"], name, event))
        except InfraError as error:
            wrong = error
        yield from (shown(name, event, len(asked) > 1) for _, name, event in sorted(found, key=lambda one: one[0]))
        if wrong:
            raise wrong
        return
    try:
        yield from (shown(name, event, len(asked) > 1) for name, event in _all(asked, payload))
    except KeyboardInterrupt:
        return


def shown(host: str, event: dict[str, Any], several: bool) -> str:
    """`2026-11-25 00:12:03 watchme ast-api: …`, the host only where there are several."""
    when = datetime.fromtimestamp(event["at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{when} {f'{host} ' if several else ''}{event['from']}: {event['line']}"


def _all(targets: dict[str, Target], payload: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What all hosts say, as it comes. Raises InfraError once all have ended, if one could not be asked."""
    said: queue.Queue[tuple[str, dict[str, Any] | InfraError | None]] = queue.Queue()

    def listen(name: str, target: Target) -> None:
        try:
            for event in remote.stream(target, "logs", payload):
                said.put((name, event))
        except InfraError as error:
            said.put((name, error))
        said.put((name, None))

    for entry in targets.items():
        threading.Thread(target=listen, args=entry, daemon=True).start()
    going, wrong = len(targets), []
    while going:
        name, event = said.get()
        if event is None:
            going -= 1
        elif isinstance(event, InfraError):
            wrong.append(str(event))
        else:
            yield name, event
    if wrong:
        raise InfraError("; ".join(wrong))
