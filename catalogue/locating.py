"""Where in a system's file a finding is, in words, and which keys are allowed there."""

from typing import Any

from catalogue.backup import Backup, Keep
from catalogue.cdns import Cdn
from catalogue.compose.container import ContainerFile
from catalogue.compose.source import ComposeSource
from catalogue.compose.steps import ReleaseStep
from catalogue.compose.values import Dependency, HealthCommand, Limits, Mount
from catalogue.fields import Model
from catalogue.models import Account, ContainerNetwork, Directory, DropIn, Milestone, System
from catalogue.service import Artefact, ConfigFile, Image, Memory, Route
from catalogue.services import KINDS
from catalogue.serving import Cors, ForwardAuth, Rate
from catalogue.shapes import is_mapping
from catalogue.sites import Hsts, Redirect, Site, StaticFiles


def place_of(data: Any, path: tuple[int | str, ...]) -> str:
    """`("services", 3, "compose", "port")` as `service scheduler: port`."""
    if len(path) < 2 or path[0] != "services" or not isinstance(path[1], int):
        return ".".join(map(str, path)) or "file"
    return entry_of("service", data["services"], path[1], "name", path[3:])


def entry_of(kind: str, entries: list[Any], index: int, key: str, rest: tuple[int | str, ...]) -> str:
    """One of a list by what `key` says that it is called, else by which one it is; and the `rest` of the path in it."""
    entry = entries[index]
    name = entry.get(key) if is_mapping(entry) else None
    # YAML makes `no` and 0700 no names
    name = name if isinstance(name, str) else f"number {index + 1}"
    return f"{kind} {name}: {'.'.join(map(str, rest))}" if rest else f"{kind} {name}"


def allowed_fields(path: tuple[int | str, ...]) -> list[str]:
    kind = str(path[2]) if len(path) > 2 else ""
    for part in reversed(path[:-1]):
        if model := MODELS.get(f"{kind}.{part}") or MODELS.get(str(part)):
            return list(model.model_fields)
    return list(System.model_fields)


# What stands at a part of a finding's path
MODELS: dict[str, type[Model]] = {
    **KINDS, "routes": Route, "sites": Site, "image": Image, "memory": Memory, "network": ContainerNetwork,
    "accounts": Account, "directories": Directory, "drop_ins": DropIn, "milestones": Milestone, "files": ConfigFile,
    ".compose": ComposeSource, "compose.files": ContainerFile, "volumes": Mount, "health": HealthCommand,
    "depends_on": Dependency, "ulimits": Limits, "release": ReleaseStep, "backup": Backup, "keep": Keep,
    "artefact": Artefact, "redirects": Redirect, "static": StaticFiles, "cors": Cors, "rate": Rate,
    "forward_auth": ForwardAuth, "hsts": Hsts, "cdn": Cdn,
}  # fmt: skip
