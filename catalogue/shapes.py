"""The shape of a value out of YAML or JSON, of which nothing is known before it is looked at. Pure."""

from typing import Any, TypeGuard


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Is it a mapping: JSON has text as keys, and so has YAML as catalogue/files.py reads it."""
    return isinstance(value, dict)


def mapping_or_empty(value: object) -> dict[str, Any]:
    """The mapping itself; an empty one where a person wrote something else."""
    return value if is_mapping(value) else {}


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
