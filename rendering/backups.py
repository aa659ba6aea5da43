"""Backups of a host's services: where they go, when each is made, and what the agent needs to make and restore it."""

from dataclasses import replace

from catalogue.backup import Backup
from catalogue.compose.bodies import ComposeFile, MountBody, ServiceBody
from catalogue.compose.container import UNCONFINED
from catalogue.compose.values import Mount
from catalogue.host import SshHost
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.rules.openings import is_plain
from catalogue.rules.steps import DRILL
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService
from catalogue.stack import BACKUP, BACKUP_SECRETS, Stack
from rendering import compose, places, units
from rendering.environment import Secrets, secret_file
from rendering.files import Backup as Entry
from rendering.files import File, HostFiles, Unit
from rendering.places import needs
from rendering.templates import fill

ENVIRONMENT = "/etc/infra/backup.env"
CACHE = "/var/cache/infra-backup"
# Of the containers and volumes of a drill, and the label by which an agent finds those of one that was killed
LABEL = "infra.drill"


def services_with_backup(catalogue: Catalogue, host: str) -> list[tuple[System, Service, Backup]]:
    """The services of a host that have a backup."""
    running = [(system, service) for system in catalogue.systems_on(host) for service in system.active]
    return [(system, service, service.backup) for system, service in running if service.backup]


def backup_timers(catalogue: Catalogue, host: str, secrets: Secrets, digests: compose.Digests) -> HostFiles:
    """A timer for each service that has a backup, and restic's settings for the repository."""
    entries = services_with_backup(catalogue, host)
    if not entries:
        return HostFiles("")
    stack = catalogue.stack
    source = f"Pulumi.{stack.name}.yaml"
    files, timers = list[File](), list[Unit]()
    for _, service, backup in entries:
        for what, name, schedule in _timers(service, backup):
            own = [
                File(
                    f"{compose.UNITS}/{name}.{kind}",
                    fill(f"{what}.{kind}.j2", source, service=service.name, schedule=schedule),
                )
                for kind in ("service", "timer")
            ]
            files += own
            timers.append(Unit(f"{name}.timer", [file.path for file in own]))
    values = {
        "RESTIC_REPOSITORY": f"s3:https://s3.{stack.backupRegion}.amazonaws.com/{stack.backup_bucket}/{host}",
        "RESTIC_CACHE_DIR": CACHE,
        "AWS_DEFAULT_REGION": stack.backupRegion,
        "INFRA_HOST": host,
    }
    if isinstance(stack.hosts[host], SshHost):
        # A machine that AWS gives no role
        values["AWS_SHARED_CREDENTIALS_FILE"] = "/root/.aws/credentials"
    credentials = secret_file(ENVIRONMENT, BACKUP, list(BACKUP_SECRETS), secrets, stack)
    return HostFiles(
        "",
        files=files,
        units=timers,
        directories=[{"path": CACHE, "mode": 0o700, "owner": "root", "group": "root"}],
        environment_files=[replace(credentials, values=values)],
        commands=["restic"],
        backups=[_entry(catalogue, system, service, backup, digests) for system, service, backup in entries],
    )


def _timers(service: Service, backup: Backup) -> list[tuple[str, str, str]]:
    """(template, unit without its ending, schedule) of each."""
    timers = [("backup", f"infra-backup-{service.name}", backup.schedule)]
    return [*timers, ("drill", f"infra-drill-{service.name}", backup.drill)] if backup.drill else timers


def unit_names(service: Service) -> list[str]:
    """What a service's backup has timers for, without their endings."""
    return [name for _, name, _ in _timers(service, service.backup)] if service.backup else []


def _entry(catalogue: Catalogue, system: System, service: Service, backup: Backup, digests: compose.Digests) -> Entry:
    if isinstance(service, NativeService):
        stopped = [units.qualified_name(service, name) for name in service.units]
        return Entry(
            service.name, stopped, "", [], [], list(backup.paths), [], [], backup.keep.model_dump(), backup.hours
        )
    assert isinstance(service, ComposeService), "there are no other kinds"
    own = {compose.path_on_host(mount) for mount in service.data_mounts}
    # What writes to the same place would go on writing to what is set aside
    others = [
        other.name
        for other in system.compose_services
        if other is not service and (service.name in needs(system, other) or own & _places(other))
    ]
    return Entry(
        service.name,
        [service.unit],
        service.container,
        _words(backup.dump),
        _words(backup.load),
        list(dict.fromkeys(compose.path_on_host(mount) for mount in service.data_mounts)),
        service.volume_names,
        others,
        backup.keep.model_dump(),
        backup.hours,
        _drill(catalogue.stack, system, service, digests),
        {compose.path_on_host(mount): _scratch(service, mount) for mount in service.data_mounts},
        # Alone it says nothing of its data, and with the others it would work on theirs
        "" if service.depends_on else _health(service),
    )


def _places(service: ComposeService) -> set[str]:
    return {compose.path_on_host(mount) for mount in service.volumes if mount.source}


def _words(command: str | list[str] | None) -> list[str]:
    """A command as an argument list; a text is run by the container's shell."""
    return ["/bin/sh", "-c", command] if isinstance(command, str) else list(command or [])


def _scratch(service: ComposeService, mount: Mount) -> str:
    number = list(dict.fromkeys(other.source for other in service.data_mounts)).index(mount.source)
    return f"{DRILL}{service.name}-{number}"


def _health(service: ComposeService) -> str:
    """The health URL of a drill's container, like places.own_url; its ADDRESS is known once the container runs."""
    where, container = f"ADDRESS:{service.listens_inside}", f"{DRILL}{service.name}"
    return {
        "http": f"http://{where}{service.health_path}",
        "tcp": f"tcp://{where}",
        "command": f"container://{container}/health",
        "image": f"container://{container}/health",
        "running": f"container://{container}",
    }[service.check]


def _drill(stack: Stack, system: System, service: ComposeService, digests: compose.Digests) -> str:
    """The compose file of a restore drill: the service on scratch volumes, in its own network, without host ports."""
    image = compose.full_name(service.image, stack, digests)
    body = compose.body(service, image, service.unit, places.environment_path(service))
    scratch = {mount.target: _scratch(service, mount) for mount in service.data_mounts}
    beyond = [m.target for m in service.volumes if m.type == "bind" and (m.is_docker or not is_plain(m.source, system))]
    mounts = [mount for mount in body.pop("volumes", []) if mount["target"] not in {*scratch, *beyond}]
    mounts += [MountBody(type="volume", source=name, target=target) for target, name in scratch.items()]
    # It reaches nothing of the world: with the service's own passwords it would work there. Nor anything of the host
    for name in ("extra_hosts", "privileged", "pid", "ipc", "devices", "cap_add"):
        # Pyright checks the key of `del`, and not that of `pop`
        if name in body:
            del body[name]
    if confined := [option for option in body.pop("security_opt", []) if option not in UNCONFINED]:
        body["security_opt"] = confined
    body["labels"] |= {LABEL: service.name, "object_systemd_unit": f"{DRILL}{service.name}"}
    whole: ServiceBody = {**body, "container_name": f"{DRILL}{service.name}", "volumes": mounts}
    file: ComposeFile = {
        "services": {service.name: whole},
        "networks": {"default": {"internal": True}},
        "volumes": {name: {"external": True} for name in scratch.values()},
    }
    return compose.text_of(file)
