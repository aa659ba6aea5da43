"""What an upstream compose file says beside its services: nothing of it is dropped in silence. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from catalogue.shapes import is_list, is_mapping

# What means nothing here, or is looked at by itself. Names that begin with x- are the file's own
TOP = {"services", "volumes", "networks", "configs", "secrets", "version", "name"}
KNOWN = {"volumes": {"name", "external", "labels"}, "networks": {"name", "external", "driver"}}
# Where, what was found, what is allowed
Finding = tuple[str, str, str]


def top_level(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Keys that are not understood, and volumes and networks that mean more than their names."""
    for key in document:
        if key not in TOP and not str(key).startswith("x-"):
            yield str(key), "is not understood", "remove it from the file, and set it in the catalogue"
    for kind in KNOWN:
        definitions: object = document.get(kind) or {}
        if is_mapping(definitions):
            for name, definition in definitions.items():
                for key in _more(kind, definition):
                    rule = "remove it: a volume is a directory here, and a system's containers share a network"
                    yield f"{kind}.{name}", f"{key} is not understood", rule
        else:
            yield kind, "cannot be read", "a mapping of names"
    yield from _networks(document["services"])


def _more(kind: str, definition: Any) -> list[str]:
    """What a volume or a network has beside its name."""
    if not is_mapping(definition):
        return [] if definition is None else [str(definition)]
    more = [str(key) for key in definition if key not in KNOWN[kind]]
    return [*more, "driver"] if kind == "networks" and definition.get("driver", "bridge") != "bridge" else more


def _networks(services: Mapping[str, Any]) -> Iterator[Finding]:
    """All services are in one."""
    used: dict[tuple[str, ...], str] = {}
    for key, body in services.items():
        if is_mapping(body) and not body.get("profiles"):
            networks: object = body.get("networks") or ["default"]
            names = tuple(sorted(map(str, networks))) if is_mapping(networks) or is_list(networks) else ()
            used.setdefault(names, str(key))
    if len(used) > 1:
        each = "; ".join(f"{key} in {', '.join(networks)}" for networks, key in used.items())
        rule = "the same network for every service of the file: the containers of a system share one"
        yield "networks", f"its services are in different networks ({each})", rule
