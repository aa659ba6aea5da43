"""Systems that run more than once."""

from collections.abc import Iterator

from catalogue.instances import Instance
from catalogue.loading import SYSTEMS, Catalogue
from catalogue.models import System
from catalogue.problems import Problem, nearest
from catalogue.rules.contents import plain


def instances(catalogue: Catalogue) -> Iterator[Problem]:
    """Each is of a system that there is, under a name that no other one has, and says of it what it has."""
    file = catalogue.stack.file
    for host, spec in catalogue.stack.hosts.items():
        for one in spec.instances:
            where = f"infra:hosts.{host}.systems.{one.known_as}"
            if one.known_as in catalogue.origins:
                yield from _what_it_says(catalogue.origins[one.known_as], one, file, where)
                yield from _beside_others(catalogue, host, one, file, where)
            elif one.known_as in catalogue.systems:
                found = f"as: {one.known_as} is the system of {SYSTEMS}/{one.known_as}.yaml"
                yield Problem(file, where, found, "a name that no system has")
            else:
                files = sorted({*catalogue.systems} - {*catalogue.origins})
                yield Problem(file, where, f"system {one.system!r}", nearest(one.system, files, "systems"))


def _what_it_says(origin: System, one: Instance, file: str, where: str) -> Iterator[Problem]:
    sites = [site.name for site in origin.sites]
    for name in [name for name in one.names if name not in sites]:
        yield Problem(file, f"{where}.names", f"{name} is no site of {one.system}", nearest(name, sites, "sites"))
    services = [service.name for service in origin.compose_services]
    for name in [name for name in one.ports if name not in services]:
        rule = nearest(name, services, "its containers")
        yield Problem(file, f"{where}.ports", f"{name} is no container of {one.system}", rule)


def _beside_others(catalogue: Catalogue, host: str, one: Instance, file: str, where: str) -> Iterator[Problem]:
    """Units of one's own say paths, accounts and ports: a host has one of each."""
    system = catalogue.systems[one.known_as]
    for other in catalogue.systems_on(host):
        if other is not system and catalogue.origin(other).system == one.system:
            if units := [service.unit for service in system.native_services]:
                found = f"{one.system} has units of its own ({', '.join(units)}), and {other.system} is on this host"
                yield Problem(file, where, found, "another host for one of the two, or containers")
            for path in sorted(_written(system) & _written(other)):
                found = f"{path} is where {other.system} writes too"
                rule = f"a path of {one.system} with its name in it, such as /srv/{one.system}/data, which each has"
                yield Problem(file, where, found, rule)


def _written(system: System) -> set[str]:
    """The paths of a host that a system's containers write to, or that its data is in."""
    mounts = [mount for service in system.compose_services for mount in service.kept if mount.type == "bind"]
    return {plain(path) for path in [*system.data, *(mount.source for mount in mounts if mount.source)]}


def other_names(catalogue: Catalogue) -> Iterator[Problem]:
    """A service whose environment names its site as the file has it leads people of one instance, or one stack, to
    another."""
    for system in catalogue.running.values():
        others = _renamed(catalogue, system)
        for service in system.active:
            for name, value in service.environment.items():
                for written, here in others.items():
                    if written in value.replace(here, ""):
                        found = f"the value of {name} names {written}, which is {here} here"
                        rule = "a value of its own, in a variant (docs/catalogue.md)"
                        yield Problem(catalogue.file_of(system), f"service {service.name}", found, rule, "warning")


def _renamed(catalogue: Catalogue, system: System) -> dict[str, str]:
    """A system's sites: the names in its file → their public names here, where these are others."""
    pairs = zip(catalogue.origin(system).sites, system.sites, strict=True)
    found = {written.name: catalogue.stack.public_name(now.name) for written, now in pairs}
    return {written: now for written, now in found.items() if written != now}
