"""The shapes of values out of YAML and JSON: names for what is not validated yet, and questions to ask of it. Pure."""

from typing import Any, TypedDict, TypeGuard

# What a program printed or a host said, as JSON has it, until its reader knows its form
JsonObject = dict[str, Any]
# What a resource in Pulumi is asked for with, or has become, by its provider's names
ResourceValues = dict[str, Any]
# An answer of AWS, or a part of one, as its API has it
AwsEntry = dict[str, Any]
# A service of a compose file, and the whole file, as Compose reads them
ComposeBody = dict[str, Any]
ComposeDocument = dict[str, Any]
# A service of the catalogue by its fields, before its model validates them
ServiceFields = dict[str, Any]
# Of a route, or of what answers in its place
RouteFields = dict[str, Any]
# A system, and a site of one
SystemFields = dict[str, Any]
SiteFields = dict[str, Any]
# An account, a directory or a drop-in of a system
EntryFields = dict[str, object]
# A mount of a compose file in the long form: type, source, target and its options, as a person wrote them
MountParts = dict[str, object]


class CorsFields(TypedDict, total=False):
    """The policy of CORS of a route, before its model validates it."""

    methods: list[str]
    origins: list[str]
    credentials: bool
    headers: list[str]
    exposed: list[str]
    max_age: int


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Is it a mapping: JSON has text as keys, and so has YAML as catalogue/files.py reads it."""
    return isinstance(value, dict)


def mapping_or_empty(value: object) -> dict[str, Any]:
    """The mapping itself; an empty one where a person wrote something else."""
    return value if is_mapping(value) else {}


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
