"""Backups: there is something to take, a way to take it whole, and a place for it."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from catalogue.compose.keeping import data_paths
from catalogue.encrypted_values import is_sealed
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.rules.containers import is_below
from catalogue.rules.each import services
from catalogue.service import Service
from catalogue.services import ComposeService
from catalogue.stack import BACKUP, BACKUP_SECRETS

PASSWORD = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")


def backups(catalogue: Catalogue) -> Iterator[Problem]:
    for file, system, service in services(catalogue):
        if service.backup:
            for fault, rule in _faults(system, service):
                yield Problem(file, f"service {service.name}: backup", fault, rule)


def _faults(system: System, service: Service) -> Iterator[tuple[str, str]]:
    backup = service.backup
    assert backup
    if not isinstance(service, ComposeService):
        if backup.dump:
            yield "has dump, but is not a container", "must be paths: the files to back up"
        elif not backup.paths:
            yield "has nothing to back up", "must have paths: directories of the system's data"
        for path in backup.paths:
            if not any(PurePosixPath(path).is_relative_to(place) for place in system.data):
                yield f"{path} is not among the system's data", f"data: {', '.join(system.data) or 'none so far'}"
        return
    if backup.paths:
        yield "has paths, but is a container", "remove it: its volumes and directories are backed up"
    if service.is_blue_green:
        yield (
            "has data that two containers of a rollout would write at once",
            "must be rollout: recreate for a service with data",
        )
    folders = [mount.source or "" for mount in service.data_mounts if mount.type == "bind"]
    if nested := [path for path in folders if any(path != other and is_below(path, other) for other in folders)]:
        yield f"{nested[0]} is below another directory of the same backup", "must have only the outer one"
    if not service.data_mounts:
        yield "has nothing to back up: the service keeps no data", "add volumes, or remove backup"
    elif data_paths(service.image.repository) and not backup.dump:
        rule = (
            "must have dump and load: commands in the container, such as pg_dump -U USER --clean --if-exists NAME and "
            "psql -U USER -q -v ON_ERROR_STOP=1 NAME"
        )
        yield "would copy the files of a running database, which cannot be restored", rule


def place(catalogue: Catalogue) -> Iterator[Problem]:
    """A stack that backs something up says where to, and has the password of what it writes there."""
    stack = catalogue.stack
    backup_secrets = stack.secrets.get(BACKUP, {})
    for name in sorted(set(backup_secrets) - set(BACKUP_SECRETS)):
        rule = f"secrets of backups: {', '.join(BACKUP_SECRETS)}"
        yield Problem(stack.file, f"infra:secrets.{BACKUP}.{name}", "is not known", rule)
    backed_up = [service.name for _, _, service in services(catalogue) if service.backup]
    if stack.backupRegion:
        yield from _without(catalogue)
    if not backed_up:
        return
    if not stack.backupRegion:
        rule = "must be the region that keeps the backups, other than the hosts' regions, such as ap-northeast-3"
        yield Problem(
            stack.file,
            "infra:backupRegion",
            f"is not set, but these services have a backup: {', '.join(backed_up)}",
            rule,
        )
    elif stack.backupRegion in stack.regions:
        fault = f"{stack.backupRegion} is a region of its hosts: the backups would be lost with it"
        yield Problem(
            stack.file, "infra:backupRegion", fault, "must be another region, such as ap-northeast-3", "warning"
        )
    for name in BACKUP_SECRETS:
        if not backup_secrets.get(name):
            rule = (
                f"create it: uv run infra init --stack {stack.name}; keep a copy, since no backup can be read "
                "without it"
            )
            yield Problem(stack.file, f"infra:secrets.{BACKUP}.{name}", "is not set", rule, unset=f"{BACKUP}.{name}")
        elif not is_sealed(backup_secrets[name]) and not PASSWORD.fullmatch(backup_secrets[name]):
            fault = "has characters that other programs would read differently"
            rule = "must be letters, digits and _ . / : @ % + , = -, as infra init creates it"
            yield Problem(stack.file, f"infra:secrets.{BACKUP}.{name}", fault, rule)


def _without(catalogue: Catalogue) -> Iterator[Problem]:
    """Data of containers that nothing backs up, in a stack that backs something up."""
    backed_up: dict[str, set[str]] = {}
    for _, system, service in services(catalogue):
        if isinstance(service, ComposeService) and service.backup:
            backed_up.setdefault(system.system, set()).update(mount.source or "" for mount in service.data_mounts)
    for file, system, service in services(catalogue):
        own = service.data_mounts if isinstance(service, ComposeService) else []
        if sources := [mount.source or "" for mount in own if mount.source not in backed_up.get(system.system, set())]:
            fault = f"keeps data in {', '.join(sources)}, but has no backup"
            rule = "backup: {} for its files"
            if isinstance(service, ComposeService) and data_paths(service.image.repository):
                rule = f"backup: {{dump: …, load: …}}, or tmpfs: [{own[0].target}] instead, if it may be lost"
            yield Problem(file, f"service {service.name}", fault, f"{rule}; docs/backups.md", "warning")
