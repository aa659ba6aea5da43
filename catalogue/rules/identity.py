"""What two services must not share."""

from collections.abc import Callable, Iterator
from typing import cast

from catalogue.compose.names import project_name
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.rules.each import twice
from catalogue.service import RetiredService, Service
from catalogue.services import ComposeService


def unique_names(catalogue: Catalogue) -> Iterator[Problem]:
    """By its name a service is asked for, logged and measured."""
    rule = "each service of a host needs a different name"
    for system in catalogue.running.values():
        names = [service.name for service in system.services]
        for name in sorted({name for name in names if names.count(name) > 1}):
            numbers = " and ".join(str(number) for number, other in enumerate(names, 1) if other == name)
            fault = f"{names.count(name)} services have this name: entries {numbers} of the file"
            yield Problem(catalogue.file_of(system), f"service {name}", fault, rule)
    for host in catalogue.stack.hosts:
        owners: dict[str, System] = {}
        for system in catalogue.systems_on(host):
            for name in sorted({service.name for service in system.active}):
                if (other := owners.setdefault(name, system)) is not system:
                    file = catalogue.file_of(other)
                    whose = file if file != catalogue.file_of(system) else f"system {other.system}"
                    fault = f"{whose} has a service of this name on host {host} too"
                    yield Problem(catalogue.file_of(system), f"service {name}", fault, rule)


def unique_ports(catalogue: Catalogue) -> Iterator[Problem]:
    yield from twice(
        catalogue,
        "port",
        lambda _, service: service.ports,
        "each service of a host needs a different port",
    )
    for system in catalogue.running.values():
        retired_ports = {
            service.port: service.name for service in system.services if isinstance(service, RetiredService)
        }
        for service in system.active:
            for port in [port for port in service.ports if port in retired_ports]:
                fault = f"port {port} belonged to the retired {retired_ports[port]}"
                yield Problem(
                    catalogue.file_of(system), f"service {service.name}", fault, "use a port that no service had before"
                )


def unique_containers(catalogue: Catalogue) -> Iterator[Problem]:
    yield from twice(
        catalogue, "container", _of_compose("container"), "each container of a host needs a different name"
    )


def unique_addresses(catalogue: Catalogue) -> Iterator[Problem]:
    yield from twice(
        catalogue, "address", _of_compose("addresses"), "each container of a host needs a different address"
    )


def _of_compose(field: str) -> Callable[[System, Service], list[object]]:
    def values(_: System, service: Service) -> list[object]:
        value: object = getattr(service, field) if isinstance(service, ComposeService) else []
        return cast("list[object]", value) if isinstance(value, list) else [value]

    return values


def unique_paths(catalogue: Catalogue) -> Iterator[Problem]:
    def public(system: System, service: Service) -> list[object]:
        sites = [(system.site_of(route), route) for route in service.routes]
        return [f"{site.name if site else ''}{route.public}" for site, route in sites]

    yield from twice(catalogue, "public path", public, "each route of a site needs a different path")


def directories(catalogue: Catalogue) -> Iterator[Problem]:
    """A directory is one compose project's; services that share it must share its file and unit too."""
    for host in catalogue.stack.hosts:
        projects: dict[str, ComposeService] = {}
        keys: dict[tuple[str, str], str] = {}
        names: dict[str, str] = {}
        for system in catalogue.systems_on(host):
            for service in system.compose_services:
                first = projects.setdefault(service.directory, service)
                where = (catalogue.file_of(system), f"service {service.name}")
                if (first.compose_file, first.unit) != (service.compose_file, service.unit):
                    fault = (
                        f"directory {service.directory} already belongs to {first.name}, with "
                        f"{first.compose_file} and {first.unit}"
                    )
                    yield Problem(*where, fault, "use the same compose file and unit too, or another directory")
                last = project_name(service.directory.rsplit("/", 1)[1])
                same_name = names.setdefault(last, service.directory)
                if same_name != service.directory:
                    fault = f"directory {service.directory} has the same last part as {same_name}"
                    yield Problem(
                        *where,
                        fault,
                        "Compose names a project after the last part of its directory: use different ones",
                    )
                owner = keys.setdefault((service.directory, service.compose_key), service.name)
                if owner != service.name:
                    fault = f"compose_key {service.compose_key!r} is already used by {owner} in the same compose file"
                    yield Problem(*where, fault, "each service of a compose file needs a different key")
