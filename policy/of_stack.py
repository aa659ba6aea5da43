"""A stack's own facts: its limits, and its hosts' files."""

from pathlib import Path

from catalogue.loading import load
from catalogue.prices import machines_of, monthly_everywhere
from catalogue.sizes import INSTANCE_TYPES
from catalogue.stack import Stack, read_stack
from policy.facts import Facts, Limits, Resource
from rendering.host import render

# What a disk must hold: the system, and images of two releases (WatchMe's document has 30 GiB)
SMALLEST_DISK = 20


def limits(stack: Stack) -> Limits:
    return Limits(stack.budget, tuple(INSTANCE_TYPES), SMALLEST_DISK, stack.protected or stack.name == "prod")


def facts(root: Path, name: str, resources: list[Resource]) -> Facts:
    """Of a stack whose resources the caller knows. Raises CatalogueError."""
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
    return Facts(name, resources, files, plain, {}, limits(catalogue.stack), monthly)
