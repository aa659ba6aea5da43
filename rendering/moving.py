"""What moves with a host's systems when they move to another host: their data, and the units that write it."""

from typing import Any

from catalogue.loading import Catalogue
from rendering import backups, compose, singletons
from rendering.files import HostFiles


def moving(catalogue: Catalogue, host: str, files: HostFiles) -> list[dict[str, Any]]:
    """Each system of a host that has data, `files` being all of the host's: the paths, the units that run none of which
    may write while the data moves, in the order in which they start, and the accounts whose files come along."""
    found = []
    for system in catalogue.systems_on(host):
        paths = [*system.data, *compose.data(system)]
        if not paths:
            continue
        services = {service.name for service in system.active}
        own = {service.unit for service in system.active} | {
            choice.unit for slot in files.slots if slot.service in services for choice in slot.choices
        }
        own |= {probe.unit for probe in files.probes if probe.service.partition("/")[0] in services}
        timers = {
            f"{backups.unit_name(service.name)}.{kind}"
            for service in system.active
            if service.backup
            for kind in ("timer", "service")
        }
        stems = {name.rpartition(".")[0] for name in own}
        own |= {unit.name for unit in files.units if unit.name.rpartition(".")[0] in stems}
        # What a timer starts has no unit of its own in a release, and may be at work
        timers |= {f"{name.rpartition('.')[0]}.service" for name in own if name.endswith(".timer")}
        single = {service.name for service in singletons.singletons(system)}
        names = [unit.name for unit in files.units if unit.name in own | timers]
        found.append(
            {
                "system": system.system,
                "paths": paths,
                "volumes": sorted({name for service in system.compose_services for name in service.volume_names}),
                "units": [*names, *sorted(timers - {*names})],
                # What may run only once starts later, once its name points there
                "services": sorted(services - single),
                "owners": sorted({name for account in system.accounts for name in (account.name, *account.groups)}),
            }
        )
    return found
