"""Virtual environments of services in Python: the lock that the host makes one by, and the link that a release puts in
place of it."""

import hashlib
import json

from catalogue import python_locks
from catalogue.artefacts import started_files
from catalogue.loading import STATIC, Catalogue
from catalogue.models import System
from catalogue.python import PythonEnvironment
from catalogue.sizes import INSTANCE_TYPES, Architecture
from rendering.artefacts import below
from rendering.files import File, HostFiles, Link
from rendering.links import Artefact, Environment

# As in agent/environments.py
PLACE = "/opt/infra/environments"
LOCKS = "/etc/infra/environments"


def environments(catalogue: Catalogue, host: str, system: System, artefacts: list[Artefact]) -> HostFiles:
    """Those of a system's services, each with its link and its lock; `artefacts` are the system's, in which
    a lock may lie."""
    environments = [(service.name, service.python) for service in system.native_services if service.python]
    started = [started_files(service, [one.into for _, one in environments]) for service in system.native_services]
    programs, scripts = ([path for each in started for path in each[kind]] for kind in (0, 1))
    entries = [
        Environment(
            service=name,
            into=one.into,
            folder=f"{PLACE}/{name}-{_mark(catalogue, one, artefacts)}",
            lock=one.lock if one.is_in_artefact else f"{LOCKS}/{name}",
            version=one.version or "",
            groups=one.groups,
            extras=one.extras,
            index=(one.index or "").rstrip("/"),
            limit=one.seconds,
            needs=_bytes_needed(catalogue, host, one),
            programs=below(one.into, programs),
            scripts=below(one.into, scripts),
        )
        for name, one in environments
    ]
    files = [
        File(f"{LOCKS}/{name}/{source.rsplit('/', 1)[1]}", catalogue.sources[source])
        for name, one in environments
        for source in one.sources
    ]
    return HostFiles("", files=files, environments=entries, links=[Link(one.into, one.folder) for one in entries])


def _mark(catalogue: Catalogue, one: PythonEnvironment, artefacts: list[Artefact]) -> str:
    """What makes it another environment: its lock, or the artefact that has it, and what of it is installed."""
    contents = [hashlib.sha256(catalogue.sources[source]).hexdigest() for source in one.sources]
    within = [
        (artefact.image.partition("/")[2], artefact.target, one.lock[len(artefact.into) :])
        for artefact in artefacts
        if one.is_in_artefact and f"{one.lock}/".startswith(f"{artefact.into}/")
    ]
    whole = [contents, within, one.version, sorted(one.groups), sorted(one.extras)]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def _bytes_needed(catalogue: Catalogue, host: str, one: PythonEnvironment) -> int:
    if one.is_in_artefact:
        return 0
    machine = catalogue.stack.ec2_hosts.get(host)
    instance_type = INSTANCE_TYPES.get(machine.instanceType) if machine else None
    architecture: Architecture | None = instance_type.architecture if instance_type else None
    lock = python_locks.read(catalogue.sources, one, str(STATIC))
    return python_locks.bytes_needed(lock, one, architecture)
