"""Refuses a host with two files at one path, or two units or containers of one name."""

from collections.abc import Iterator
from posixpath import normpath

from catalogue.problems import CatalogueError, Problem
from rendering.files import HostFiles


def refuse(files: HostFiles, stack_file: str) -> HostFiles:
    """Returns the same files. Raises CatalogueError for each path, unit and container that is defined twice."""
    collisions = [*_twice("path", _paths(files)), *_twice("unit", [unit.name for unit in files.units])]
    collisions += _twice("container", [container.name for container in files.containers])
    collisions += _twice("network", [network.name for network in files.networks])
    if collisions:
        rule = "names are unique on a host: change the one that a service sets itself (unit, container or files)"
        raise CatalogueError([Problem(stack_file, f"infra:hosts.{files.host}", text, rule) for text in collisions])
    return files


def _paths(files: HostFiles) -> list[str]:
    items = [*files.files, *files.links, *files.environment_files]
    return ["/" + normpath(item.path).lstrip("/") for item in items]


def _twice(kind: str, names: list[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{kind} {name} is defined twice on this host"
