"""Which services use an artefact: those that name a path in it."""

import re
from collections.abc import Iterable, Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.service import Artefact
from catalogue.services import NativeService
from catalogue.systemd.commands import commands
from catalogue.systemd.directives import texts


def used_by(catalogue: Catalogue, system: System, service: NativeService) -> list[Artefact]:
    """A service's own artefacts, and those of its system's other services that it names a path in."""
    others = [one for other in system.native_services if other is not service for one in other.artefact]
    return [*service.artefact, *(one for one in others if names_path(catalogue, service, one.into))]


def names_path(catalogue: Catalogue, service: NativeService, path: str) -> bool:
    """Does anything of a service name a path, or one below it: its unit, environment, needs or files."""
    here = re.compile(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])")
    return any(here.search(text) for text in _texts(catalogue, service))


def _texts(catalogue: Catalogue, service: NativeService) -> Iterator[str]:
    for sections in [service.run, *service.all_sections]:
        for directives in sections.values():
            for value in directives.values():
                yield from texts(value)
    yield from service.environment.values()
    yield from service.needs
    for file in service.files:
        yield catalogue.sources.get(file.source, b"").decode(errors="replace")


def started(service: NativeService, artefacts: Iterable[Artefact]) -> tuple[list[str], list[str]]:
    """The programs of artefacts that a service starts, and what else they must have: the script that an interpreter of
    the host is given first."""
    places = [f"{artefact.into}/" for artefact in artefacts]
    programs, scripts = [], []
    for command in commands([service.run, *service.all_sections]):
        if command.may_fail:
            continue
        if command.program.startswith(tuple(places)):
            programs.append(command.program)
        elif command.arguments and command.arguments[0].startswith(tuple(places)):
            scripts.append(command.arguments[0])
    return list(dict.fromkeys(programs)), list(dict.fromkeys(scripts))
