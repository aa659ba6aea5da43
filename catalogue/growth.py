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
        has_own = has_disk(catalogue.stack, host)
        on_disk = [path for path in paths if has_own and is_on_disk(path)]
        by_disk = {
            # Named volumes lie there too
            "on the disk for data (dataDisk.size can be raised)": (volumes if has_own else [], on_disk),
            "on the host's disk": ([] if has_own else volumes, [path for path in paths if path not in on_disk]),
        }
        phrases = [f"{_kinds(*data)}, {where}" for where, data in by_disk.items() if any(data)]
        if phrases:
            yield f"{host}: no limit on the size of {'; of '.join(phrases)}; the alert disk reports when it fills"


def _kinds(volumes: list[str], paths: list[str]) -> str:
    kinds = (("volumes", volumes), ("directories", paths))
    return " and ".join(f"{word} {_names(names)}" for word, names in kinds if names)


def _names(names: list[str]) -> str:
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")
