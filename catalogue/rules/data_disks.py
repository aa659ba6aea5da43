"""Hosts with a disk for their data: all of it lies there, or it would be lost with the machine."""

from collections.abc import Iterator

from catalogue.data_disks import MOUNT, data_paths, has_disk, has_volumes, is_below
from catalogue.loading import Catalogue
from catalogue.problems import Problem


def data_disks(catalogue: Catalogue) -> Iterator[Problem]:
    for host in catalogue.stack.hosts:
        if not has_disk(catalogue.stack, host):
            continue
        systems = catalogue.systems_on(host)
        for system in systems:
            for path in dict.fromkeys(data_paths(system)):
                if not is_below(path, MOUNT):
                    fault = f"data {path} is not on the data disk of host {host}, and would be lost with its machine"
                    rule = f"must be below {MOUNT}/{system.system}; copy what is there (docs/data-disk.md)"
                    yield Problem(catalogue.file_of(system), f"system {system.system}", fault, rule)
        if not any([*data_paths(system)] or has_volumes(system) for system in systems):
            fault = "is set, but nothing that runs there has data"
            rule = "remove dataDisk, or list under `data` what no release writes"
            yield Problem(catalogue.stack.file, f"infra:hosts.{host}.dataDisk", fault, rule, "warning")
