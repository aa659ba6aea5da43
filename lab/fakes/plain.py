"""Pulumi's property values as plain Python ones, and back."""

from collections.abc import Mapping
from typing import Any

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime import rpc


class _Unknown:
    """A value that is only known after the update."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = _Unknown()


def plain(value: PropertyValue) -> Any:
    inner = value.value
    if isinstance(inner, Computed) or inner == rpc.UNKNOWN:
        return UNKNOWN
    if isinstance(inner, Mapping):
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(inner, tuple):
        return [plain(item) for item in inner]
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    return inner


def plain_map(values: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """Without the engine's own `__` keys and without nulls."""
    plain_values = {key: plain(value) for key, value in values.items() if not key.startswith("__")}
    return {key: value for key, value in plain_values.items() if value is not None}


def property_value(value: Any) -> PropertyValue:
    if value is UNKNOWN:
        # The SDK reads a computed value, and cannot write one
        return PropertyValue(rpc.UNKNOWN)
    if isinstance(value, dict):
        return PropertyValue({key: property_value(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return PropertyValue([property_value(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def property_map(values: Mapping[str, Any]) -> dict[str, PropertyValue]:
    return {key: property_value(value) for key, value in values.items()}
