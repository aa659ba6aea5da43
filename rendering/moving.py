"""What moves with a host's systems when they move to another host: their data, and the units that write it."""

from agent.documents.moves import MovingData
from catalogue.loading import Catalogue
from catalogue.models import System
from rendering import backups, compose, singletons
from rendering.files import HostFiles


def moving(catalogue: Catalogue, host: str, files: HostFiles, alone: str = "") -> MovingData | None:
    """What moves as a whole: the systems of a host that have data, or the one that goes to another host `alone`;
    `files` being all of the host's. The paths, the units none of which may write while the data moves, in the order in
    which they start, and the accounts whose files come along. None where no system has data."""
    here = [system for system in catalogue.systems_on(host) if alone in ("", system.system)]
    systems = [system for system in here if paths_of(system)]
    if not systems:
        return None
    active = [service for system in systems for service in system.active]
    services = {service.name for service in active}
    own = {service.unit for service in active} | {
        choice.unit for slot in files.slots if slot.service in services for choice in slot.choices
    }
    own |= {probe.unit for probe in files.probes if probe.service.partition("/")[0] in services}
    stems = {name.rpartition(".")[0] for name in own}
    own |= {unit.name for unit in files.units if unit.name.rpartition(".")[0] in stems}
    backing_up = {name for service in active for name in backups.unit_names(service)}
    timers = {f"{name}.{kind}" for name in backing_up for kind in ("timer", "service")}
    # What a timer starts has no unit of its own in a release, and may be running
    timers |= {f"{name.rpartition('.')[0]}.service" for name in own if name.endswith(".timer")}
    single = {service.name for system in systems for service in singletons.singletons(system)}
    names = [unit.name for unit in files.units if unit.name in own | timers]
    containers = [service for system in systems for service in system.compose_services]
    return {
        # Hosts have no such name
        "name": f"system:{alone}" if alone else host,
        "what": ", ".join(system.system for system in systems),
        "paths": [path for system in systems for path in paths_of(system)],
        "volumes": sorted({name for service in containers for name in service.volume_names}),
        "units": [*names, *sorted(timers - {*names})],
        # What may run only once starts later, once its name points there
        "services": sorted(services - single),
        "owners": sorted({name for s in systems for a in s.accounts for name in (a.name, *a.groups)}),
    }


def paths_of(system: System) -> list[str]:
    return [*system.data, *compose.data(system)]
