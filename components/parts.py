"""Services that begin or end to run apart from their system (catalogue/parts.py), and their data."""

from dataclasses import dataclass

import pulumi

from catalogue.loading import Catalogue
from catalogue.parts import parts
from catalogue.services import ComposeService
from components.before import Before
from rendering.compose import path_on_host


@dataclass(frozen=True)
class _Going:
    """Services that go from one host to another in this update."""

    services: list[ComposeService]
    source: str
    target: str


def refuse_lost_data(catalogue: Catalogue, before: Before) -> None:
    """Raises pulumi.RunError for services with data that begin or end to run apart: their data does not go with them,
    and they would begin without any. With infra:moveData false that is what is asked for."""
    if not catalogue.stack.moveData:
        return
    for going in _going(catalogue, before):
        for service in going.services:
            if paths := [path_on_host(mount) for mount in service.data_mounts]:
                raise pulumi.RunError(
                    f"nothing was touched: {service.name} would go from host {going.source} to {going.target} without "
                    f"its data ({', '.join(paths)}), which only whole systems take along. Leave it there; or set "
                    f"infra:moveData false for this update, if it may begin without, and copy it afterwards "
                    f"(docs/several-hosts.md)"
                )


def _going(catalogue: Catalogue, before: Before) -> list[_Going]:
    stack, systems = catalogue.stack, catalogue.systems
    earlier = {system: host for host, names in before.systems.items() for system in names}
    now = {system: host for host, spec in stack.hosts.items() for system in spec.runs}
    going = [
        _Going(systems[entry.known_as].compose_services, earlier[entry.system], host)
        for host, entry in parts(stack)
        if entry.known_as not in earlier and entry.system in earlier
    ]
    for part, services in before.parts.items():
        for system in systems.values():
            back = [service for service in system.compose_services if service.name in services]
            if part not in now and part in earlier and back and system.system in now:
                going.append(_Going(back, earlier[part], now[system.system]))
    return [one for one in going if one.source != one.target]


def part_outputs(catalogue: Catalogue) -> dict[str, list[str]]:
    """Part → the services that it consists of, as the stack's outputs have it."""
    return {entry.known_as: list(entry.services) for _, entry in parts(catalogue.stack)}
