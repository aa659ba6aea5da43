"""Systems that run more than once."""

import re
from collections.abc import Iterator

from catalogue.compose.values import HealthCommand
from catalogue.instances import Instance
from catalogue.loading import SYSTEMS, Catalogue
from catalogue.models import System
from catalogue.parts import wholes
from catalogue.problems import Problem, nearest
from catalogue.rules.containers import is_below
from catalogue.rules.contents import plain
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService
from catalogue.stack import BACKUP, DNS, MONITOR, REGISTRIES
from catalogue.systemd.directives import lines


def instances(catalogue: Catalogue) -> Iterator[Problem]:
    """Each is of a system that there is, under a name that no other one has, and says of it what it has."""
    file = catalogue.stack.file
    for host, spec in catalogue.stack.hosts.items():
        for one in [one for one in spec.instances if not one.services]:
            where = f"infra:hosts.{host}.systems.{one.own_name}"
            if one.own_name in catalogue.origins:
                origin, instance = catalogue.origins[one.own_name], catalogue.systems[one.own_name]
                yield from _definition_faults(origin, one, file, where)
                if one.own_name != one.system and (owners := _namesakes(catalogue, one.own_name)):
                    fault = f"as: {one.own_name} is the name of a service of {owners[0]}, whose secrets have that name"
                    yield Problem(file, where, fault, "must be a name that is not a service's")
                yield from _unique_resources(origin, instance, file, where)
                yield from _conflicts_on_host(catalogue, host, one, file, where)
            elif one.own_name in catalogue.systems:
                fault = f"as: {one.own_name} is the system of {SYSTEMS}/{one.own_name}.yaml"
                yield Problem(file, where, fault, "must be a name that is not a system's")
            else:
                files = sorted({*catalogue.systems} - {*catalogue.origins})
                yield Problem(file, where, f"system {one.system!r}", nearest(one.system, files, "systems"))


def _namesakes(catalogue: Catalogue, name: str) -> list[str]:
    """The other systems that have a service of a name."""
    others = [system for system in catalogue.running.values() if system.system != name]
    return [system.system for system in others for service in system.active if service.name == name]


def _definition_faults(origin: System, one: Instance, file: str, where: str) -> Iterator[Problem]:
    if one.own_name in (MONITOR, REGISTRIES, BACKUP, DNS):
        yield Problem(file, where, f"as: {one.own_name} is reserved under infra:secrets", "must be another name")
    if one.subnet and not origin.compose_services:
        yield Problem(
            file, f"{where}.subnet", f"{one.system} has no containers", "must have no network: only containers have one"
        )
    sites = [site.name for site in origin.sites]
    for name in [name for name in one.names if name not in sites]:
        yield Problem(file, f"{where}.names", f"{one.system} has no site {name}", nearest(name, sites, "sites"))
    services = [service.name for service in origin.compose_services if service.port]
    for name in [name for name in one.ports if name not in services]:
        rule = nearest(name, services, "its containers with a port")
        yield Problem(file, f"{where}.ports", f"{one.system} has no container {name} with a port", rule)


def _unique_resources(origin: System, system: System, file: str, where: str) -> Iterator[Problem]:
    """What is two in the file is two of an instance."""
    if len(origin.active) != len(system.active):
        # Some of it runs on another host (catalogue/parts.py)
        return
    earlier_names: dict[tuple[str, str], set[str]] = {}
    for was, now in zip(origin.active, system.active, strict=True):
        earlier_names.setdefault(("services", now.name), set()).add(was.name)
        if isinstance(was, ComposeService) and isinstance(now, ComposeService):
            for kind, old, new in (
                ("directories", was.directory, now.directory), ("units", was.unit, now.unit),
                ("containers", was.container, now.container),
                *(("volumes", *pair) for pair in zip(was.volume_names, now.volume_names, strict=True)),
            ):  # fmt: skip
                earlier_names.setdefault((kind, new), set()).add(old)
    for (kind, new), old in earlier_names.items():
        if len(old) > 1:
            fault = f"{kind} {' and '.join(sorted(old))} of {origin.system} would both be {new}"
            yield Problem(file, where, fault, f"must be other names for them in {SYSTEMS}/{origin.system}.yaml")


def _conflicts_on_host(catalogue: Catalogue, host: str, one: Instance, file: str, where: str) -> Iterator[Problem]:
    """Units of one's own say paths, accounts and ports: a host has one of each. What containers write to is one's."""
    system = catalogue.systems[one.own_name]
    for other in [other for other in catalogue.systems_on(host) if other is not system]:
        is_same = catalogue.origin(other).system == one.system
        units = [service.unit for service in system.native_services]
        if is_same and units:
            fault = f"{one.system} has units of its own ({', '.join(units)}), but {other.system} is on this host too"
            yield Problem(file, where, fault, "put one of the two on another host, or use containers")
            continue
        rule = f"must be a path with the system's name, such as /srv/{one.system}/data, which differs for each instance"
        for path in _contended_paths(_places(system), _places(other)):
            yield Problem(file, where, f"{path} also belongs to {other.system}, and one of the two writes there", rule)
        theirs = {plain(item.path): item for item in other.directories}
        for item in system.directories:
            if (like := theirs.get(plain(item.path))) and like != item:
                fault = f"directory {item.path} also belongs to {other.system}, with another owner or mode"
                yield Problem(file, where, fault, rule)


def _places(system: System) -> dict[str, bool]:
    """The paths of a host that a system's containers see, or that its data is in: may they write there."""
    mounts = [mount for service in system.compose_services for mount in service.volumes if mount.type == "bind"]
    places = {plain(mount.source or "/"): False for mount in mounts}
    places |= {plain(mount.source or "/"): True for mount in mounts if mount.keeps}
    return places | {plain(path): True for path in system.data}


def _contended_paths(mine: dict[str, bool], theirs: dict[str, bool]) -> list[str]:
    """Those of mine in which another one writes, or that another one sees while I write."""
    return sorted(
        path
        for path, writes in mine.items()
        if any((writes or other) and (is_below(path, at) or is_below(at, path)) for at, other in theirs.items())
    )


def secret_groups(catalogue: Catalogue) -> Iterator[Problem]:
    """By its service's name a secret is given, whatever host that is on."""
    owners: dict[str, tuple[System, Service]] = {}
    for system in catalogue.running.values():
        for service in system.active:
            other, like = owners.setdefault(service.name, (system, service))
            both = sorted({*service.secret_names} & {*like.secret_names})
            if other is not system and both and {system.system, other.system} & {*catalogue.origins}:
                fault = f"{other.system} also has a service of this name: both would share infra:secrets.{service.name}"
                rule = "must be another name for one of the services, or of the systems"
                yield Problem(catalogue.file_of(system), f"{system.system}: service {service.name}", fault, rule)


def other_names(catalogue: Catalogue) -> Iterator[Problem]:
    """A service that names its site, or the fixed address of another one, as the file has it leads people and programs
    of one instance, or one stack, to another."""
    for system in catalogue.running.values():
        others = {name: f"which is {here} in this instance" for name, here in _renamed_sites(catalogue, system).items()}
        others |= dict.fromkeys(
            _former_addresses(catalogue, system), "which is an address in the first instance's network"
        )
        texts = [(f"service {service.name}", *text) for service in system.active for text in _values(service)]
        texts += [(f"site {site.name}", f"header {n}", v) for site in system.sites for n, v in site.headers.items()]
        for where, place, value in texts:
            for name, what in others.items():
                if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", value, re.IGNORECASE):
                    rule = "set it in a variant (docs/catalogue.md)"
                    fault = f"{place} names {name}, {what}"
                    yield Problem(catalogue.file_of(system), where, fault, rule, "warning")


def _values(service: Service) -> Iterator[tuple[str, str]]:
    """What a service's program is given, each by what a person calls it."""
    yield from ((f"the value of {name}", value) for name, value in service.environment.items())
    yield from (("the host of a route", route.host) for route in service.routes if route.host)
    if isinstance(service, NativeService):
        yield from lines(service.all_sections)
    if isinstance(service, ComposeService):
        check = service.health.test if isinstance(service.health, HealthCommand) else []
        words = [*(service.entrypoint or []), *(service.command or []), *check]
        yield from (("its command", word) for word in words)
        yield from (("extra_hosts", entry) for entry in service.extra_hosts)
        yield from ((f"label {name}", value) for name, value in service.labels.items())
        for step in service.release:
            own = [*(step.entrypoint or []), *(step.command or []), *step.environment.values()]
            yield from ((f"release step {step.name}", word) for word in own)


def _former_addresses(catalogue: Catalogue, system: System) -> list[str]:
    """The fixed addresses that a system's containers have in its file, and not here."""
    now = {address for service in system.compose_services for address in service.addresses}
    before = [address for service in catalogue.origin(system).compose_services for address in service.addresses]
    return [str(address) for address in before if address not in now]


def _renamed_sites(catalogue: Catalogue, system: System) -> dict[str, str]:
    """A system's sites: the names in its file → their public names here, where these are others."""
    if system.system in wholes(catalogue.stack):
        return {}
    pairs = zip(catalogue.origin(system).sites, system.sites, strict=True)
    public_names = {site.name: catalogue.stack.public_name(now.name) for site, now in pairs}
    return {name: public for name, public in public_names.items() if name != public}
