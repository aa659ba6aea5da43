"""What services say on all hosts that run them, as one stream."""

import queue
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import typer

from agent import times
from agent.documents.answers import LogLine
from agent.documents.requests import LogsPayload
from catalogue.groups import spread_in
from catalogue.loading import Catalogue
from infra import hosts, remote
from infra.errors import InfraError
from infra.ssh import Target

OF_HOSTS = ("monitor", "watch", "memory", "releases")
WAITING = 1000  # lines that are not shown yet
COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")
Paint = Callable[[str], str]


def names_by_host(catalogue: Catalogue) -> dict[str, dict[str, list[str]]]:
    """Host → each name that can be asked for there → the services that it stands for."""
    return {
        host: {
            **{name: [name] for name in OF_HOSTS},
            **({spec.proxy: [spec.proxy]} if any(system.sites for system in catalogue.systems_on(host)) else {}),
            **{system.system: [s.name for s in system.active] for system in catalogue.systems_on(host)},
            **{s.name: [s.name] for system in catalogue.systems_on(host) for s in system.active},
            **{s.name: [s.name] for _, s in spread_in(catalogue.stack, catalogue.systems, host)},
        }
        for host, spec in catalogue.stack.hosts.items()
    }


def services_of(catalogue: Catalogue, names: Sequence[str]) -> dict[str, list[str]]:
    """Host → what is asked of it: services by name, those of a system by its. Raises InfraError naming what there
    is."""
    stack, services_by_host = catalogue.stack, names_by_host(catalogue)
    there = sorted({name for own in services_by_host.values() for name in own})
    if not names:
        raise InfraError(f"stack {stack.name} has logs of {', '.join(there)}")
    for name in names:
        if name not in there:
            raise InfraError(f"stack {stack.name} runs no {name}; there is {', '.join(there)}")
    selected = {
        host: list(dict.fromkeys(service for name in names for service in own.get(name, [])))
        for host, own in services_by_host.items()
    }
    return {host: services for host, services in selected.items() if services}


@dataclass(frozen=True)
class Selection:
    """Which lines of each service: the last `count` of those that were said at most `since` seconds ago and have the
    pattern `grep`; with `follow` what comes after them too."""

    count: int = 50
    follow: bool = False
    since: float | None = None
    grep: str = ""


def lines(
    catalogue: Catalogue, names: Sequence[str], host: str | None, which: Selection, paint: Paint = str
) -> Iterator[str]:
    """Of each service of each host, by their time, or as they come until Ctrl-C. `paint` colours what a line is from.
    Raises InfraError."""
    try:
        re.compile(which.grep)
    except re.error as error:
        raise InfraError(
            f"--grep {which.grep}: {error}: a regular expression of Python's, such as 'error|timeout'"
        ) from None
    services = services_of(catalogue, names)
    targets = hosts.targets(catalogue.stack, host)
    sources = [
        (name, target, service)
        for name, target in targets.items()
        for service in services.get(name.partition("@")[0], [])
    ]
    if not sources:
        runs = f"{', '.join(services)} does"
        never = f"{runs}, but no update with it has succeeded yet: pulumi up"
        raise InfraError(f"{host} runs no {', '.join(names)}; {runs}" if host else never)
    several = len({name for name, _, _ in sources}) > 1
    if not which.follow:
        events: list[tuple[float, str, LogLine]] = []
        wrong = None
        try:
            for name, event in _all(sources, which):
                events.append((event["at"], name, event))
        except InfraError as error:
            wrong = error
        yield from (
            format_line(name, event, several, paint) for _, name, event in sorted(events, key=lambda one: one[0])
        )
        if wrong:
            raise wrong
        return
    try:
        yield from (format_line(name, event, several, paint) for name, event in _all(sources, which))
    except KeyboardInterrupt:
        return


def format_line(host: str, event: LogLine, several: bool, paint: Paint = str) -> str:
    """`2026-11-25 09:12:03 JST watchme ast-api: …`, the host only where there are several."""
    when = times.show(event["at"], form=times.SECONDS)
    return f"{when} {paint(f'{host} ' * several + event['from'])}: {event['line']}"


def in_its_colour(source: str) -> str:
    """The name of a service, or of a host and a service, in the terminal colour that it has each time."""
    return typer.style(source, fg=COLOURS[zlib.crc32(source.encode()) % len(COLOURS)])


def _all(sources: Sequence[tuple[str, Target, str]], which: Selection) -> Iterator[tuple[str, LogLine]]:
    """What services say on their hosts, as it comes. Raises InfraError once all have ended, if one could not be
    asked."""
    # What comes faster than it is shown waits on its host
    incoming: queue.Queue[tuple[str, LogLine | Exception | None]] = queue.Queue(WAITING)

    def listen(name: str, target: Target, service: str) -> None:
        payload: LogsPayload = {
            "service": service, "lines": which.count, "follow": which.follow, "since": which.since, "grep": which.grep,
        }  # fmt: skip
        try:
            for number, event in enumerate(remote.stream(target, "logs", payload)):
                if not which.follow and number >= which.count:
                    more = f"{name} sent more of {service} than the {which.count} lines requested"
                    raise InfraError(f"{more}: the connection was closed")
                incoming.put((name, cast("LogLine", event)))
        except Exception as error:
            # Raised by who reads it: a thread that ends in silence would be waited for for ever
            incoming.put((name, error))
        finally:
            incoming.put((name, None))

    for entry in sources:
        threading.Thread(target=listen, args=entry, daemon=True).start()
    going = len(sources)
    wrong: list[str] = []
    while going:
        name, event = incoming.get()
        if event is None:
            going -= 1
        elif isinstance(event, InfraError):
            wrong.append(str(event))
        elif isinstance(event, Exception):
            raise event
        else:
            yield name, event
    if wrong:
        raise InfraError("; ".join(wrong))
