"""What owners built: where an artefact goes, and that something of its service is there."""

from collections.abc import Iterator

from catalogue.artefacts import names_path
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.rules.containers import is_below
from catalogue.rules.contents import files_of, plain
from catalogue.rules.each import native_services


def inside_artefacts(catalogue: Catalogue) -> Iterator[Problem]:
    """A release would write through the artefact's link, or data would be gone with the next artefact."""
    for host in catalogue.stack.hosts:
        systems = catalogue.systems_on(host)
        artefact_paths = [place for system in systems for place in _places(catalogue, system)]
        services = [service for system in systems for service in system.native_services]
        links = [("artefact", s.name, plain(a.into)) for s in services for a in s.artefact]
        links += [("environment", s.name, plain(s.python.into)) for s in services if s.python]
        for file, where, path, is_file in artefact_paths:
            for kind, service, into in links:
                # The same path twice is another rule's, where both are files
                if is_below(path, into) and not (is_file and path == into):
                    rule = f"must be another path for one of them: an {kind} is replaced as a whole"
                    yield Problem(file, where, f"path {path} lies in the {kind} of {service} ({into})", rule)


def unused_artefacts(catalogue: Catalogue) -> Iterator[Problem]:
    """A misspelt `into`, or a misspelt path of the unit, is seen by this: a unit that finds its files by themselves is
    not."""
    for file, system, service in native_services(catalogue):
        for artefact in service.artefact:
            if not any(names_path(catalogue, other, artefact.into) for other in system.native_services):
                fault = f"nothing of {system.system} refers to a path in the artefact at {artefact.into}"
                rule = "must name a path in it, such as its program in ExecStart: is one of the two misspelt?"
                yield Problem(file, f"service {service.name}", fault, rule, "warning")


def _places(catalogue: Catalogue, system: System) -> Iterator[tuple[str, str, str, bool]]:
    """Every path that a system has on a host: its file, where it says so, the path, is it a file's or an artefact's."""
    file = catalogue.file_of(system)
    for where, path in [
        *(("directories", item.path) for item in system.directories),
        *(("data", path) for path in system.data),
        *((f"account {account.name}", account.home) for account in system.accounts),
        *((f"service {service.name}", service.directory) for service in system.compose_services),
        *(
            (f"service {service.name}: volumes", mount.source)
            for service in system.compose_services
            for mount in service.volumes
            if mount.type == "bind" and mount.source and not mount.read_only
        ),
    ]:
        yield file, where, plain(path), False
    for where, path in files_of(system):
        yield file, where, plain(path), True
