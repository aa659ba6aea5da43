"""A host's disk for its data (`infra:hosts.NAME.dataDisk`): where it is mounted, and what lies on it. Pure."""

from collections.abc import Iterator

from catalogue.host import Ec2Host
from catalogue.models import System
from catalogue.stack import Stack

# Where systems have their directories by the catalogue's own advice, and where a distribution has nothing
MOUNT = "/srv"
# Where Docker keeps named volumes, by its default; and where they lie on the disk. No system has such a name
DOCKER = "/var/lib/docker/volumes"
VOLUMES = f"{MOUNT}/.docker-volumes"


def has_disk(stack: Stack, host: str) -> bool:
    spec = stack.hosts[host]
    return isinstance(spec, Ec2Host) and spec.dataDisk is not None


def is_below(path: str, place: str) -> bool:
    """Is a path inside a place; the place itself is not."""
    return path.startswith(f"{place}/")


def data_disk_name(stack: Stack, host: str) -> str:
    """What AWS shows of the disk, and of each snapshot of it."""
    return f"{stack.name}-{host}-data"


def is_on_disk(path: str) -> bool:
    return is_below(path, MOUNT) or is_below(path, DOCKER)


def inside(path: str) -> str:
    """The same path as the disk itself has it: from its own root."""
    return f"{VOLUMES}{path.removeprefix(DOCKER)}".removeprefix(MOUNT) if is_below(path, DOCKER) else path[len(MOUNT) :]


def data_paths(system: System) -> Iterator[str]:
    """What a system has of data in directories of the host: named volumes are not among them."""
    yield from system.data
    for service in system.compose_services:
        yield from (str(mount.source) for mount in service.data_mounts if mount.type == "bind" and mount.source)


def has_volumes(system: System) -> bool:
    return any(service.volume_names for service in system.compose_services)


def uses(system: System) -> bool:
    """Does anything of a system lie on the disk of a host that has one."""
    mounts = [str(mount.source) for s in system.compose_services for mount in s.volumes if mount.type == "bind"]
    paths = [*system.data, *mounts, *(d.path for d in system.directories), *(a.home for a in system.accounts)]
    return has_volumes(system) or any(is_below(path, MOUNT) for path in paths)


def mounts(systems: list[System]) -> list[str]:
    """The places that the disk of a host with these systems is mounted at."""
    return [MOUNT, *([DOCKER] if any(has_volumes(system) for system in systems) else [])]
