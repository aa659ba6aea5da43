"""Containers of an upstream compose file that run once, and that others wait for to have ended: release steps. Pure."""

from collections.abc import Mapping
from typing import Any

from catalogue.compose.fields import StepFields
from catalogue.shapes import is_list, is_mapping

ENDED = "service_completed_successfully"
# What a step says for itself; of all else it has what its service has
OWN = {"command", "entrypoint", "user", "image", "environment"}
# What says nothing of the container itself, or means nothing of one that ends
APART = {
    "name", "kind", "compose_key", "secrets", "memory", "health", "depends_on", "port", "container_port", "aliases",
}  # fmt: skip
NOTHING: tuple[object, ...] = (None, {}, [])


def conditions(body: Any) -> dict[str, str]:
    """What a service of a compose file depends on, and how far that is to be."""
    depends_on: object = (body.get("depends_on") if is_mapping(body) else None) or {}
    if not is_mapping(depends_on):
        return {str(key): "service_started" for key in depends_on} if is_list(depends_on) else {}
    return {
        str(key): str(need.get("condition", "service_started")) if is_mapping(need) else "service_started"
        for key, need in depends_on.items()
    }


def owners(services: Mapping[Any, Any]) -> dict[str, str]:
    """Each container that runs once → the first service that waits for its end, which it is a step of; in the order in
    which they run."""
    owner_of: dict[str, str] = {}
    for key, body in services.items():
        for prerequisite, condition in conditions(body).items():
            if condition == ENDED:
                owner_of.setdefault(prerequisite, str(key))
    # A step may wait for another one: both are the service's that is there in the end
    for key in owner_of:
        visited = {key}
        while owner_of[key] in owner_of and owner_of[key] not in visited:
            visited.add(owner_of[key])
            owner_of[key] = owner_of[owner_of[key]]
    whole = {key: owner for key, owner in owner_of.items() if owner not in owner_of}
    ordered: dict[str, str] = {}

    def take(key: str, way: tuple[str, ...]) -> None:
        for prerequisite in conditions(services.get(key)):
            if prerequisite in whole and prerequisite not in way:
                take(prerequisite, (*way, prerequisite))
        ordered.setdefault(key, whole[key])

    for key in whole:
        take(key, (key,))
    return ordered


def waits(services: Mapping[Any, Any], key: str, once: Mapping[str, str]) -> dict[str, str]:
    """What a service waits for by way of those that run once and that it waits for the end of."""
    conditions_by_key: dict[str, str] = {}
    ways, visited = [name for name in conditions(services.get(key)) if name in once], set[str]()
    while ways:
        name = ways.pop()
        if name in visited:
            continue
        visited.add(name)
        for prerequisite, condition in conditions(services.get(name)).items():
            if prerequisite in once:
                ways.append(prerequisite)
            elif prerequisite != key:
                conditions_by_key.setdefault(prerequisite, condition)
    return conditions_by_key


def as_step(key: str, once: Mapping[str, Any], service: Mapping[str, Any]) -> tuple[StepFields, list[str]]:
    """The release step that a container is, and what it has otherwise than its service, where a step cannot."""
    step: StepFields = {"name": key}
    for name in ("command", "entrypoint", "user"):
        value = once.get(name)
        if value not in NOTHING and (value != service.get(name) or name == "command"):
            step[name] = value
    image = once.get("image")
    if image not in NOTHING and (image != service.get("image") or not once.get("command")):
        step["image"] = image
    theirs: Mapping[str, object] = once.get("environment") or {}
    ours: Mapping[str, object] = service.get("environment") or {}
    if own := {name: value for name, value in theirs.items() if ours.get(name) != value}:
        step["environment"] = own
    differing = [
        name
        for name in sorted({*once} - OWN - APART)
        if once[name] != service.get(name)
        and not (name in ("volumes", "files", "secret_files") and _within(once, service, name))
    ]
    return step, differing


def _within(once: Mapping[str, Any], service: Mapping[str, Any], name: str) -> bool:
    """Has its service all of its mounts."""
    ours: Any = service.get(name) or []
    if is_mapping(once[name]):
        return is_mapping(ours) and once[name].items() <= ours.items()
    return all(item in ours for item in once[name])
