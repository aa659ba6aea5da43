"""Units that systemd stops together with others: a change that restarts the others has to restart them too."""

from collections.abc import Iterable
from dataclasses import replace

from catalogue.models import System
from catalogue.systemd.directives import TIES, Sections, canonical, texts
from rendering.files import HostFiles, Unit
from rendering.units import qualified_name


def tie_units(files: HostFiles, systems: Iterable[System]) -> HostFiles:
    """Every unit of a host, with the files of the units that stop it added to its own, across kinds and systems."""
    required = requirements(systems)
    units = {unit.name: unit for unit in files.units}
    return replace(files, units=[_with_others(unit, _closure(unit.name, required, units)) for unit in files.units])


def requirements(systems: Iterable[System]) -> dict[str, set[str]]:
    """Unit → the units whose stop or restart stops it too: by its own directives, and by their `RequiredBy`."""
    by_unit: dict[str, set[str]] = {}
    for service in (service for system in systems for service in system.native_services):
        for sections in service.all_sections:
            says = {qualified_name(service, name) for tie in TIES for name in _directive_units(sections, "Unit", tie)}
            for unit in service.units:
                by_unit.setdefault(qualified_name(service, unit), set()).update(says)
            for name in _directive_units(sections, "Install", "RequiredBy"):
                by_unit.setdefault(qualified_name(service, name), set()).add(qualified_name(service, service.unit))
    return by_unit


def _directive_units(sections: Sections, section: str, directive: str) -> list[str]:
    value = canonical(sections).get(section, {}).get(directive, [])
    return [name for line in texts(value) for name in line.split()]


def _closure(name: str, required: dict[str, set[str]], units: dict[str, Unit]) -> list[Unit]:
    closure: list[Unit] = []
    waiting = [name]
    while waiting:
        names = required.get(waiting.pop(0), set())
        new = [unit for unit in units.values() if unit.name in names and unit.name != name and unit not in closure]
        closure += new
        waiting += [unit.name for unit in new]
    return closure


def _with_others(unit: Unit, others: list[Unit]) -> Unit:
    # An image is named in a compose file, which is among these
    return replace(unit, files=list(dict.fromkeys([*unit.files, *(path for other in others for path in other.files)])))
