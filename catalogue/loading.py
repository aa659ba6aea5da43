"""From `files/systems/*.yaml` to a checked catalogue."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from catalogue.models import ComposeService, ContainerNetwork, Image, Memory, RetiredService, Route, Site, System
from catalogue.problems import CatalogueError, Problem
from catalogue.stack import Stack
from catalogue.validation import problems_of

SYSTEMS = Path("files/systems")


@dataclass(frozen=True)
class Catalogue:
    """Everything that a stack runs: the systems by name, and the stack that says which host runs which."""

    stack: Stack
    systems: dict[str, System]

    def systems_on(self, host: str) -> list[System]:
        return [self.systems[name] for name in self.stack.hosts[host].systems if name in self.systems]

    def file_of(self, system: System) -> str:
        return f"{SYSTEMS}/{system.system}.yaml"

    @property
    def running(self) -> dict[str, System]:
        """The systems that some host of this stack runs."""
        wanted = {name for host in self.stack.hosts.values() for name in host.systems}
        return {name: system for name, system in self.systems.items() if name in wanted}


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key given twice is an error, not a silent last one wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_system(path: Path) -> System:
    """One system's file. Raises CatalogueError naming every field that is wrong."""
    file = f"{SYSTEMS}/{path.name}"
    try:
        data = yaml.load(path.read_text(), _UniqueKeys)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise CatalogueError([Problem(file, f"line {line}", str(error.problem), "write valid YAML")]) from None
    try:
        system = System.model_validate(data)
    except ValidationError as error:
        raise CatalogueError(problems_of(error, file, lambda path: _where(data, path), _fields)) from None
    if system.system != path.stem:
        raise CatalogueError([Problem(file, "system", f"found {system.system!r}", f"the file's name, {path.stem!r}")])
    return system


def load(root: Path, stack: Stack) -> Catalogue:
    """The catalogue of a stack. Raises CatalogueError with the problems of every file."""
    systems: dict[str, System] = {}
    problems: list[Problem] = []
    for path in sorted((root / SYSTEMS).glob("*.yaml")):
        try:
            systems[path.stem] = read_system(path)
        except CatalogueError as error:
            problems += error.problems
    if problems:
        raise CatalogueError(problems)
    return Catalogue(stack, systems)


def _where(data: Any, path: tuple[int | str, ...]) -> str:
    """`("services", 3, "compose", "port")` as `service scheduler: port`."""
    if len(path) < 2 or path[0] != "services" or not isinstance(path[1], int):
        return ".".join(map(str, path)) or "file"
    service = data["services"][path[1]]
    name = service.get("name", f"number {path[1] + 1}") if isinstance(service, dict) else f"number {path[1] + 1}"
    return ": ".join([f"service {name}", *([".".join(map(str, path[3:]))] if path[3:] else [])])


def _fields(path: tuple[int | str, ...]) -> list[str]:
    models = {
        "compose": ComposeService,
        "retired": RetiredService,
        "route": Route,
        "sites": Site,
        "image": Image,
        "memory": Memory,
        "network": ContainerNetwork,
    }
    for part in reversed(path[:-1]):
        if part in models:
            return list(models[str(part)].model_fields)
    return list(System.model_fields)
