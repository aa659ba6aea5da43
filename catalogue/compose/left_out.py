"""What a catalogue leaves out of a compose file, by the paths of keys. Pure."""

from collections.abc import Iterable
from typing import Any

from catalogue.shapes import is_list, is_mapping


def leave_out(document: Any, paths: Iterable[str]) -> tuple[Any, list[str]]:
    """The document without what is at these paths, such as healthcheck.start_interval, and the paths at which nothing
    is."""
    absent: list[str] = []
    for path in paths:
        smaller = _without(document, path)
        if smaller is None:
            absent.append(path)
        else:
            document = smaller
    return document, absent


def _without(value: Any, path: str) -> Any:
    """A mapping or a list with one thing less; None where it has no such thing."""
    if is_list(value):
        rest: list[Any] = [item for item in value if not (isinstance(item, str) and item == path)]
        return rest if len(rest) < len(value) else None
    if not is_mapping(value):
        return None
    if path in value:
        return {key: item for key, item in value.items() if key != path}
    # Names of volumes and networks have dots too
    for key, item in value.items():
        if path.startswith(f"{key}.") and (smaller := _without(item, path[len(str(key)) + 1 :])) is not None:
            return {**value, key: smaller}
    return None


def without_extensions(value: Any) -> Any:
    """A mapping of the specification's without the file's own keys, which begin with x-."""
    return {key: item for key, item in value.items() if not str(key).startswith("x-")} if is_mapping(value) else value
