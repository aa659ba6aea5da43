"""`secrets` of a compose file: files that hold a secret, which is the stack's here. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from posixpath import normpath
from typing import Any

from catalogue.shapes import is_list, is_mapping

FOLDER = "/run/secrets"
# How a secret of Docker's swarm is kept, beside where it comes from
DEFINED = {"file", "environment", "external", "name"}
# What Compose itself passes over where a secret comes from a file
OF_SWARM = {"uid", "gid", "mode"}


def secret_files(
    document: Mapping[str, Any], body: Mapping[str, Any], beside: Callable[[str], str | None]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Path in the container → the name of the stack's secret, for a service's `secrets`; and (key, reason) of what
    cannot be said. `beside` gives the text of what lies at a path relative to the file."""
    names_by_path: dict[str, str] = {}
    unsaid: list[tuple[str, str]] = []
    value: object = body.get("secrets") or []
    definitions = document.get("secrets")
    for item in value if is_list(value) else [value]:
        entry: Mapping[str, object] = item if is_mapping(item) else {"source": item}
        name = str(entry.get("source"))
        definition: object = definitions.get(name) if is_mapping(definitions) else None
        if more := [str(key) for key in entry if key not in {"source", "target", *OF_SWARM}]:
            unsaid.append(("secrets", f"{name}: {', '.join(more)}: the catalogue has no such option"))
        elif not is_mapping(definition):
            unsaid.append(("secrets", f"the file does not define the secret {name}"))
        elif why := "; ".join(_faults(definition, beside)):
            unsaid.append(("secrets", f"{name} {why}"))
        else:
            path = normpath(f"{FOLDER}/{entry.get('target') or name}")
            target = str(entry.get("target") or "")
            names_by_path[target if target.startswith("/") else path] = stack_name(name, definition)
    return names_by_path, unsaid


def stack_name(name: str, definition: Mapping[str, Any]) -> str:
    """What the stack calls a secret of a file: the variable that it comes from there, or its name in capitals."""
    plain = re.sub("[^A-Z0-9_]", "_", str(definition.get("environment") or name).upper())
    return f"_{plain}" if plain[:1].isdigit() else plain


def _faults(definition: Mapping[str, Any], beside: Callable[[str], str | None]) -> Iterator[str]:
    if more := sorted({str(key) for key in definition if not str(key).startswith("x-")} - DEFINED):
        yield f"has {', '.join(more)}: only file, environment and external are understood"
    path = definition.get("file")
    if isinstance(path, str) and beside(normpath(path)) is not None:
        yield f"lies in plain text beside the compose file: remove {path}, since its value is a secret of the stack"
