"""What rules walk over."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from catalogue.loading import STATIC, Catalogue
from catalogue.models import System
from catalogue.problems import Problem, nearest
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService


def services(catalogue: Catalogue) -> Iterator[tuple[str, System, Service]]:
    for system in catalogue.running.values():
        for service in system.active:
            yield catalogue.file_of(system), system, service


def compose_services(catalogue: Catalogue) -> Iterator[tuple[str, System, ComposeService]]:
    for file, system, service in services(catalogue):
        if isinstance(service, ComposeService):
            yield file, system, service


def native_services(catalogue: Catalogue) -> Iterator[tuple[str, System, NativeService]]:
    for file, system, service in services(catalogue):
        if isinstance(service, NativeService):
            yield file, system, service


def absent(catalogue: Catalogue, source: str) -> tuple[str, str]:
    """What is wrong with a file that is not among the catalogue's, and what to do."""
    if source in catalogue.static:
        return (
            f"source {source!r}: {STATIC}/{source} is a link that points outside {STATIC}",
            "put the file itself there",
        )
    inside = [path for path in sorted(catalogue.static) if path.startswith(f"{source.rstrip('/')}/")]
    if inside:
        return f"source {source!r}: {STATIC}/{source} is a directory", f"a file in it, such as {inside[0]}"
    rule = nearest(source, sorted(catalogue.static), f"files below {STATIC}/")
    return f"source {source!r}: {STATIC}/{source} does not exist", rule


def twice(
    catalogue: Catalogue, what: str, values: Callable[[System, Any], Iterable[object]], allowed: str
) -> Iterator[Problem]:
    """A problem for each value that two services of one host share."""
    for host in catalogue.stack.hosts:
        owners: dict[object, list[tuple[str, Service]]] = defaultdict(list)
        for system in catalogue.systems_on(host):
            for service in system.active:
                for key in values(system, service):
                    owners[key].append((catalogue.file_of(system), service))
        for key, ((_, first), *others) in owners.items():
            for file, service in others:
                # Two services of one name are a finding of their own
                if service is first or service.name != first.name:
                    problem = f"{what} {key} is already used by {first.name}"
                    yield Problem(file, f"service {service.name}", problem, allowed)
