"""`configs` of a compose file: files that lie beside it, and that a container sees at a place. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from posixpath import dirname, normpath
from typing import Any

from catalogue.compose.fields import FileFields
from catalogue.shapes import is_list, is_mapping

Beside = Callable[[str], str | None]


def config_files(
    document: Mapping[str, Any], body: Mapping[str, Any], file: str, beside: Beside, unsaid: list[tuple[str, str]]
) -> Iterator[FileFields]:
    """What a service's `configs` are as `files` of the catalogue. `file` is the compose file's path below the static
    files, `beside` gives the text of what lies at a path relative to it; to `unsaid` come (key, reason)."""
    value: object = body.get("configs") or []
    definitions = document.get("configs")
    for item in value if is_list(value) else [value]:
        entry: Mapping[str, object] = item if is_mapping(item) else {"source": item, "target": f"/{item}"}
        name = str(entry.get("source"))
        definition = definitions.get(name) if is_mapping(definitions) else None
        path = definition.get("file") if is_mapping(definition) else None
        target = str(entry.get("target") or f"/{name}")
        if more := [str(key) for key in entry if key not in ("source", "target", "mode")]:
            unsaid.append(("configs", f"{name}: {', '.join(more)}: the catalogue has no such option"))
        elif not is_mapping(definition):
            unsaid.append(("configs", f"the file has no config {name}"))
        elif not isinstance(path, str) or {*definition} - {"file"}:
            other_keys = ", ".join(sorted(map(str, {*definition} - {"file"})))
            has = f"{other_keys} besides file" if other_keys else "no path as file"
            unsaid.append(
                (
                    "configs",
                    f"{name} has {has}: put its content into a file beside the compose file",
                )
            )
        elif normpath(path).startswith(("..", "/")) or beside(normpath(path)) is None:
            unsaid.append(("configs", f"{name}: {path} is not beside the compose file"))
        elif (mode := _mode(entry.get("mode"))) is None:
            unsaid.append(("configs", f"{name}: {entry['mode']!r} is not a mode; use one such as 0440"))
        else:
            config: FileFields = {"path": target, "source": normpath(f"{dirname(file)}/{path}")}
            if mode:
                config["mode"] = mode
            yield config


def _mode(mode: object) -> str | None:
    """As `files` have it, "" where none is written; None for what is no mode. A number is what YAML made of octal
    digits."""
    if mode is None:
        return ""
    text = f"{mode:o}" if type(mode) is int else mode.removeprefix("0o") if isinstance(mode, str) else ""
    match = re.fullmatch("0?([0-7]{3})", text)
    return f"0{match[1]}" if match else None
