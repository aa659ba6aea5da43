"""The shape of a value out of YAML or JSON, of which nothing is known before it is looked at. Pure."""

from typing import Any, TypeGuard


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Is it a mapping: JSON has text as keys, and so has YAML as catalogue/files.py reads it."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
