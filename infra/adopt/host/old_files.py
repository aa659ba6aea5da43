"""The environment files of a host that nothing reads any more once a release serves. Pure."""

from collections.abc import Collection, Iterator

from catalogue.models import System
from catalogue.rules.containers import is_below
from catalogue.systemd.directives import Sections, texts
from catalogue.systemd.parsing import sections
from infra.adopt.host import compose, native, variables
from infra.adopt.host.documents import Entries, Facts, Unit


def old_environment_files(facts: Facts, system: System, entries: Entries, released: Collection[str]) -> list[str]:
    """Those that only services of the system read, from their own directories; `released` are what the release reads.
    What anything else may read is none of them: /etc/environment, or a file of a unit that is left out."""
    of_services: set[str] = set()
    of_others: set[str] = {*released}
    places = {directory.path for directory in system.directories} | {*system.data}
    containers = {(service.directory, service.compose_key) for service in system.compose_services}
    for entry in compose.services_of_files(facts):
        folder = entry.path.rsplit("/", 1)[0]
        is_adopted = (folder, entry.key) in containers
        places |= {folder} if is_adopted else set()
        (of_services if is_adopted else of_others).update(variables.files_of(entry))
    names = {("", service.unit) for service in system.compose_services}
    names |= {(service.account or "", service.unit) for service in system.native_services}
    for unit in facts["units"]:
        main: Sections = sections(unit["text"])
        is_adopted = any((unit["account"], name) in names for name in _names(unit))
        places |= {*native.directories(main.get("Service", {}))} if is_adopted else set()
        (of_services if is_adopted else of_others).update(_read_by(main))
        # A drop-in stays as it is
        of_others.update(path for text in unit["drop_ins"].values() for path in _read_by(sections(text)))
    return sorted(
        path
        for path in of_services - of_others
        if any(is_below(path, place) for place in places)
        and not path.startswith("/etc/")
        and entries.get(path, {"kind": "none"})["kind"] != "none"
    )


def _names(unit: Unit) -> Iterator[str]:
    """The unit's own, and that of the timer whose job it is."""
    yield unit["name"]
    yield f"{unit['name'].rsplit('.', 1)[0]}.timer"


def _read_by(own: Sections) -> list[str]:
    return [line.removeprefix("-") for line in texts(own.get("Service", {}).get("EnvironmentFile", [])) if line]
