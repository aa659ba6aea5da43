"""What of a host grows for as long as its services write: nothing limits its size. Pure."""

from collections.abc import Iterator

from catalogue.data_disks import data_paths, has_disk, is_on_disk
from catalogue.loading import Catalogue

MOST = 8  # of a kind that are named


def growing_data(catalogue: Catalogue, host: str) -> tuple[list[str], list[str]]:
    """The named volumes and the directories with data that a host's services write to. Logs are none of it: the host
    limits the journal, and Docker's logs are in it."""
    systems = catalogue.systems_on(host)
    volumes = {name for system in systems for service in system.compose_services for name in service.volume_names}
    return sorted(volumes), sorted({path for system in systems for path in data_paths(system)})


def growth_notes(catalogue: Catalogue) -> Iterator[str]:
    """A line for each host that has such data: where it is, and what happens when it grows."""
    for host in catalogue.stack.hosts:
        volumes, paths = growing_data(catalogue, host)
        parts = [f"{word} {_names(names)}" for word, names in (("volumes", volumes), ("directories", paths)) if names]
        if not parts:
            continue
        own_disk = has_disk(catalogue.stack, host) and (volumes or any(is_on_disk(path) for path in paths))
        where = "on the disk for data (dataDisk.size can be raised)" if own_disk else "on the host's disk"
        yield f"{host}: no limit on the size of {' and '.join(parts)}, {where}; the alert disk reports when it fills"


def _names(names: list[str]) -> str:
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")
