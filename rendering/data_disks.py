"""A host's disk for its data: what keeps services from starting while it is not mounted."""

from dataclasses import replace

from catalogue.data_disks import DOCKER, MOUNT, has_disk, has_volumes, mounts, uses
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService, TimerService
from rendering import units
from rendering.backups import unit_names
from rendering.compose import UNITS
from rendering.files import File, HostFiles, Unit
from rendering.places import places
from rendering.templates import BANNER

NAME = "infra-data-disk.conf"


def hold_units(files: HostFiles, catalogue: Catalogue, host: str, system: System) -> HostFiles:
    """A system's files, its services' units held back while the disk that its data is on is not mounted: they would
    begin with empty directories on the root disk."""
    if not has_disk(catalogue.stack, host) or not uses(system):
        return files
    source = catalogue.file_of(system)
    for service in system.active:
        for unit, names in _held_units(service).items():
            files = _hold(files, system, service, source, (unit, names))
        for name in unit_names(service):
            # A backup of an empty directory would be the newest one
            text = _drop_in(system, source)
            files = replace(files, files=[*files.files, File(f"{UNITS}/{name}.service.d/{NAME}", text)])
    return files


def required_mounts(catalogue: Catalogue, host: str) -> list[str]:
    """What has to be mounted before the host takes its release."""
    return mounts(catalogue.systems_on(host)) if has_disk(catalogue.stack, host) else []


def _held_units(service: Service) -> dict[str, list[str]]:
    """The units whose files are held back → those of the release: a template's instances, a timer."""
    if isinstance(service, ComposeService):
        return {place.unit: [place.unit] for place in places(service)}
    assert isinstance(service, NativeService), "there are no other kinds"
    return {service.job_unit if isinstance(service, TimerService) else service.unit: service.units}


def _hold(
    files: HostFiles, system: System, service: Service, source: str, held_units: tuple[str, list[str]]
) -> HostFiles:
    unit, names = held_units
    account = service.account or "" if isinstance(service, NativeService) else ""
    folder = f"{units.directory(system, service) if isinstance(service, NativeService) else UNITS}/{unit}.d"
    drop_in = File(
        f"{folder}/{NAME}",
        _drop_in(system, source, for_account=bool(account)),
        0o644,
        account or "root",
        "" if account else "root",
    )
    if any(file.path == drop_in.path for file in files.files):
        # Services of one compose project have one unit
        return files
    directories = [*files.directories]
    if account and all(entry["path"] != folder for entry in directories):
        directories.append({"path": folder, "mode": 0o755, "owner": account, "group": "", "if_missing": True})
    qualified = {units.qualified_name(service, name) if isinstance(service, NativeService) else name for name in names}

    def of(entry: Unit) -> Unit:
        return replace(entry, files=[*entry.files, drop_in.path]) if entry.name in qualified else entry

    return replace(
        files, files=[*files.files, drop_in], directories=directories, units=[of(entry) for entry in files.units]
    )


def _drop_in(system: System, source: str, for_account: bool = False) -> bytes:
    mounts = [MOUNT, *([DOCKER] if has_volumes(system) else [])]
    lines = [BANNER.format(source=source), "# Never on empty directories of the root disk", "[Unit]"]
    if not for_account:
        # An account's own manager knows no mounts of the system's
        lines.append(f"RequiresMountsFor={' '.join(mounts)}")
    lines += [f"AssertPathIsMountPoint={place}" for place in mounts]
    return "\n".join([*lines, ""]).encode()
