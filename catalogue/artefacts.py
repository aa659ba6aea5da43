"""Which services use an artefact: those that name a path in it."""

import re
from collections.abc import Iterable, Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.service import Artefact
from catalogue.services import NativeService
from catalogue.systemd.commands import STARTING, commands, is_certain
from catalogue.systemd.directives import lines


def used_by(catalogue: Catalogue, system: System, service: NativeService) -> list[Artefact]:
    """A service's own artefacts, and those of its system's other services that it names a path in."""
    others = [one for other in system.native_services if other is not service for one in other.artefact]
    return [*service.artefact, *(one for one in others if names_path(catalogue, service, one.into))]


def names_path(catalogue: Catalogue, service: NativeService, path: str) -> bool:
    """Does anything of a service name a path, or one below it: its unit, environment, needs or files."""
    # At a beginning, after any sign that no name has, in an address, or after an option of one letter
    here = re.compile(rf"(?:^|[^\w./-]|//|(?<!\w)-[A-Za-z]){re.escape(path)}(?![\w.-])", re.MULTILINE)
    return any(here.search(text) for text in _texts(catalogue, service))


def _texts(catalogue: Catalogue, service: NativeService) -> Iterator[str]:
    yield from (line for _, line in lines(service.all_sections))
    yield from service.environment.values()
    yield from service.needs
    for file in service.files:
        yield catalogue.sources.get(file.source, b"").decode(errors="replace")


def started_files(service: NativeService, artefacts: Iterable[Artefact]) -> tuple[list[str], list[str]]:
    """The programs of artefacts that a service starts, and the scripts in them that its interpreters are given."""
    places = tuple(f"{artefact.into}/" for artefact in artefacts)
    start_commands = [one for one in commands(service.all_sections) if one.directive in STARTING and not one.may_fail]
    programs = [one.program for one in start_commands if one.program.startswith(places) and is_certain(one.program)]
    scripts = [one.script for one in start_commands if one.script.startswith(places) and is_certain(one.script)]
    return list(dict.fromkeys(programs)), list(dict.fromkeys(scripts))
