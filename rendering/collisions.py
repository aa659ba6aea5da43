"""Nothing of a host is made twice: of two files at one path only one would be there."""

from collections.abc import Iterator
from posixpath import normpath

from catalogue.problems import CatalogueError, Problem
from rendering.files import HostFiles


def refuse(files: HostFiles, stack_file: str) -> HostFiles:
    """The same files. Raises CatalogueError for each path, unit and container that two parts of a host have."""
    collisions = [*_twice("path", _paths(files)), *_twice("unit", [unit.name for unit in files.units])]
    collisions += _twice("container", [container.name for container in files.containers])
    collisions += _twice("network", [network.name for network in files.networks])
    if collisions:
        rule = "each has a name of its own: one of them is a service's own choice, such as unit, container or files"
        raise CatalogueError([Problem(stack_file, f"infra:hosts.{files.host}", text, rule) for text in collisions])
    return files


def _paths(files: HostFiles) -> list[str]:
    named = [*files.files, *files.links, *files.environment_files]
    return ["/" + normpath(item.path).lstrip("/") for item in named]


def _twice(kind: str, names: list[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{kind} {name} is made twice on this host"
