"""The shapes of values out of JSON and YAML: names for what no type of agent/documents describes, and what there is of
a value that a person, another program or a damaged disk may have written otherwise."""

from __future__ import annotations

from typing import Any, cast

# Read field by field, each of which is checked
JsonObject = dict[str, object]
# What Docker says of a container or an image, of which agent/definitions.py compares some seventy fields
DockerDetails = dict[str, Any]
# A service of a compose file, as Compose reads it
ComposeBody = dict[str, Any]


def object_of(value: object) -> JsonObject:
    """The value itself; an empty object where it is none."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def items_of(value: object) -> list[object]:
    """The list itself; an empty one where the value is none."""
    return cast("list[object]", value) if isinstance(value, list) else []
