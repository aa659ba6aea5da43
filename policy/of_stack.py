"""The facts of a stack that policy rules read: its limits, and its hosts' files."""

from pathlib import Path

from catalogue.loading import Catalogue, load
from catalogue.parts import serving_hosts
from catalogue.prices import machines_of, monthly_everywhere
from catalogue.rules.openings import openings
from catalogue.sizes import INSTANCE_TYPES
from catalogue.stack import Stack, read_stack
from policy.containers import PRIVATE
from policy.facts import Facts, Limits, Resource
from rendering.host import render
from rendering.places import projects

# What a disk must hold: the system, and images of two releases (WatchMe's document has 30 GiB)
SMALLEST_DISK = 20


def limits(stack: Stack) -> Limits:
    return Limits(stack.budget, tuple(INSTANCE_TYPES), SMALLEST_DISK, stack.protected or stack.name == "prod")


def facts(root: Path, name: str, resources: list[Resource]) -> Facts:
    """The facts of a stack, with the resources that the caller passes. Raises CatalogueError."""
    catalogue = load(root, read_stack(root, name))
    files = {
        host: {file.path: file.content.decode(errors="replace") for file in render(catalogue, host).files}
        for host in catalogue.stack.hosts
    }
    for host in files:
        for item in render(catalogue, host).environment_files:
            files[host][item.path] = "".join(f"{name}={value}\n" for name, value in item.values.items())
    plain = {
        f"{host}:{item.path}": sorted(item.values)
        for host in catalogue.stack.hosts
        for item in render(catalogue, host).environment_files
    }
    monthly = monthly_everywhere(machines_of(catalogue.stack), catalogue.stack.regions)
    allowed = {
        f"{host}:{place}": reasons
        for host in catalogue.stack.hosts
        for place, reasons in exceptions(catalogue, host).items()
    }
    return Facts(name, resources, files, plain, allowed, {}, limits(catalogue.stack), monthly)


def exceptions(catalogue: Catalogue, host: str) -> dict[str, dict[str, str]]:
    """The exceptions that the catalogue grants containers of a host: "path key" of each service in a compose file →
    name of the exception → its description and reason."""
    allowed_of = {}
    apart = [service for service, server in serving_hosts(catalogue.stack).items() if server == host]
    for system in catalogue.systems_on(host):
        for project in projects(system):
            for service in project.services:
                reasons = service.exceptions
                allowed = {
                    name: f"{service.name}: {what} ({reasons[name]})"
                    for name, what in openings(service, system).items()
                }
                if service.name in apart:
                    allowed[PRIVATE] = f"{service.name}: reached from another host of the stack"
                if allowed:
                    allowed_of[f"{project.path} {service.compose_key}"] = allowed
    return allowed_of
