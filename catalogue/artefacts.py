"""Which services use an artefact, or an environment of Python: those that name a path in it."""

import re
from collections.abc import Iterable, Iterator

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.services import NativeService
from catalogue.systemd.commands import STARTING, commands, is_certain
from catalogue.systemd.directives import lines


def links_used_by(catalogue: Catalogue, system: System, service: NativeService) -> list[str]:
    """A service's own links, and those of its system's other services that it names a path in."""
    others = [path for other in system.native_services if other is not service for path in other.links]
    return [*service.links, *(path for path in others if names_path(catalogue, service, path))]


def names_path(catalogue: Catalogue, service: NativeService, path: str) -> bool:
    """Does anything of a service name a path, or one below it: its unit, environment, needs or files."""
    # At a beginning, after any sign that no name has, in an address, or after an option of one letter
    here = re.compile(rf"(?:^|[^\w./-]|//|(?<!\w)-[A-Za-z]){re.escape(path)}(?![\w.-])", re.MULTILINE)
    return any(here.search(text) for text in _texts(catalogue, service))


def _texts(catalogue: Catalogue, service: NativeService) -> Iterator[str]:
    yield from (line for _, line in lines(service.all_sections))
    yield from service.environment.values()
    yield from service.needs
    if service.python:
        yield from (service.python.lock, service.python.index or "")
    for file in service.files:
        yield catalogue.sources.get(file.source, b"").decode(errors="replace")


def started_files(service: NativeService, links: Iterable[str]) -> tuple[list[str], list[str]]:
    """The programs behind links that a service starts, and the scripts there that its interpreters are given."""
    places = tuple(f"{path}/" for path in links)
    start_commands = [one for one in commands(service.all_sections) if one.directive in STARTING and not one.may_fail]
    programs = [one.program for one in start_commands if one.program.startswith(places) and is_certain(one.program)]
    scripts = [one.script for one in start_commands if one.script.startswith(places) and is_certain(one.script)]
    return list(dict.fromkeys(programs)), list(dict.fromkeys(scripts))
