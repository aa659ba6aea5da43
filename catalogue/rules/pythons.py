"""Environments of Python: a lock that is there and can be read, and packages that hosts can have."""

from collections.abc import Iterator
from posixpath import normpath

from catalogue import python_locks
from catalogue.artefacts import names_path
from catalogue.loading import STATIC, Catalogue
from catalogue.models import System
from catalogue.problems import CatalogueError, Problem, nearest
from catalogue.python import LOCK, PythonEnvironment
from catalogue.rules.each import absent, native_services
from catalogue.sizes import INSTANCE_TYPES, Architecture

SHOWN = 5


def locks(catalogue: Catalogue) -> Iterator[Problem]:
    """Every lock is there, is one, and has what is asked of it."""
    for file, system, service in native_services(catalogue):
        environment, where = service.python, f"service {service.name}: python"
        if environment is None:
            continue
        if environment.is_in_artefact:
            yield from _in_artefact(file, where, system, environment)
            continue
        missing = [source for source in environment.sources if source not in catalogue.sources]
        if missing:
            fault, rule = absent(catalogue, missing[0])
            yield Problem(file, where, fault, f"{rule}; uv lock writes {LOCK} beside pyproject.toml")
            continue
        try:
            lock = python_locks.read(catalogue.sources, environment, str(STATIC))
        except CatalogueError as error:
            yield from error.problems
            continue
        for fault, rule in _faults(catalogue, system.system, lock, environment):
            yield Problem(file, where, fault, rule)


def unused_environments(catalogue: Catalogue) -> Iterator[Problem]:
    """A misspelt `into`, or a misspelt path of the unit, is seen by this."""
    for file, system, service in native_services(catalogue):
        if service.python is None:
            continue
        into = service.python.into
        if not any(names_path(catalogue, other, into) for other in system.native_services):
            fault = f"nothing of {system.system} names a path in the environment at {into}"
            rule = f"must name a path in it, such as {into}/bin/python in ExecStart: is one of the two misspelt?"
            yield Problem(file, f"service {service.name}", fault, rule, "warning")


def _in_artefact(file: str, where: str, system: System, environment: PythonEnvironment) -> Iterator[Problem]:
    places = [artefact.into for service in system.native_services for artefact in service.artefact]
    if not any(f"{normpath(environment.lock)}/".startswith(f"{place}/") for place in places):
        artefacts = f"artefacts of {system.system}: {', '.join(places)}" if places else f"{system.system} has none"
        rule = f"must be a folder below {STATIC}/, or a path in an artefact ({artefacts})"
        yield Problem(file, where, f"lock {environment.lock} is in no artefact", rule)


def _faults(
    catalogue: Catalogue, system: str, lock: python_locks.Lock, environment: PythonEnvironment
) -> Iterator[tuple[str, str]]:
    """What is wrong with a lock, and what to do."""
    lock_file = f"{STATIC}/{environment.lock}/{LOCK}"
    if not any(map(python_locks.is_project, lock.packages)):
        yield f"{lock_file} has no project in it", "must be the file that uv lock writes"
        return
    for kind, names, available in (
        ("group", environment.groups, lock.groups), ("extra", environment.extras, lock.extras),
    ):  # fmt: skip
        for name in sorted({*names} - {*available}):
            yield f"{kind} {name!r}", nearest(name, available, f"{kind}s of the project")
    version = environment.version
    if version and python_locks.excludes(lock.requires_python, version):
        yield (
            f"version {version}, and {lock_file} is for {lock.requires_python}",
            "must be a version that the project allows",
        )
        return
    packages = python_locks.certain_packages(lock, environment)
    for package in packages:
        if path := python_locks.local_path(package):
            fault = f"package {package.name} of {lock_file} is a local path ({path}), which does not exist on hosts"
            yield fault, "must be a package of an index, or an artefact with its wheel as index"
    for host, machine, architecture in _machines(catalogue, system):
        misfits = _without_wheels(packages, architecture, version, is_built=False)
        if misfits:
            python = f" and Python {version}" if version else ""
            fault = f"{lock_file} has no wheel of {misfits} for {host} ({machine}: Linux on {architecture}{python})"
            yield fault, "must be a version with such a wheel, another instanceType, or another version of Python"


def built_packages(catalogue: Catalogue) -> Iterator[Problem]:
    """What has no wheel is built on the host, by programs that no lock names."""
    for file, system, service in native_services(catalogue):
        environment = service.python
        if environment is None or not {*environment.sources} <= {*catalogue.sources} or not environment.sources:
            continue
        try:
            lock = python_locks.read(catalogue.sources, environment, str(STATIC))
        except CatalogueError:
            # Another rule says so
            continue
        packages = [one for one in python_locks.certain_packages(lock, environment) if not python_locks.local_path(one)]
        architectures: list[Architecture | None] = [
            architecture for _, _, architecture in _machines(catalogue, system.system)
        ]
        for architecture in architectures or [None]:
            if built := _without_wheels(packages, architecture, environment.version, is_built=True):
                fault = f"{STATIC}/{environment.lock}/{LOCK} has no wheel of {built}, so that the host builds it"
                rule = (
                    "must be a version with a wheel; else the host needs a compiler, and build tools that no lock names"
                )
                yield Problem(file, f"service {service.name}: python", fault, rule, "warning")
                break


def _without_wheels(
    packages: list[python_locks.Package], architecture: Architecture | None, version: str | None, is_built: bool
) -> str:
    """The names of those packages that have no wheel for a host, and are built there or cannot be; "" where all
    have."""
    names = sorted(
        package.name
        for package in packages
        if python_locks.is_built(package) is is_built
        and not python_locks.fitting_wheels(package, architecture, version)
    )
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _machines(catalogue: Catalogue, system: str) -> Iterator[tuple[str, str, Architecture]]:
    """The hosts of a system whose processor is known."""
    for name, host in catalogue.stack.ec2_hosts.items():
        if system in host.runs and host.instanceType in INSTANCE_TYPES:
            yield name, host.instanceType, INSTANCE_TYPES[host.instanceType].architecture
