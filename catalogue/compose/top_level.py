"""What an upstream compose file says beside its services: nothing of it is dropped in silence. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from catalogue.shapes import is_mapping

# What means nothing here, or is looked at by itself. Names that begin with x- are the file's own
TOP = {"services", "volumes", "networks", "configs", "secrets", "version", "name"}
# What of a volume or a network means the same here; of some options one value alone does
KNOWN = {"volumes": {"name", "external"}, "networks": {"name", "external", "attachable"}}
SAME: dict[str, dict[str, tuple[Any, ...]]] = {
    "volumes": {"driver": ("local",), "driver_opts": ({},), "labels": ({}, [])},
    "networks": {
        "driver": ("bridge", "default"), "internal": (False,), "enable_ipv4": (True,), "enable_ipv6": (False,),
        "driver_opts": ({},), "labels": ({}, []),
    },
}  # fmt: skip
WHY = {
    "volumes.driver": "no other driver than local: volumes are directories of the host",
    "volumes.driver_opts": "no options of a volume's driver: for a directory of the host write it under volumes of its "
    "service in the catalogue",
    "volumes.labels": "volumes have no labels here",
    "networks.driver": "all containers of a system are in one network of Docker's driver bridge",
    "networks.internal": "the system's one network is not closed: its containers reach the internet",
    "networks.ipam": "the system's network has its own addresses (network: in the catalogue)",
    "networks.enable_ipv6": "the system's network has addresses of IPv4 alone",
}
# Where, what was found, what is allowed
Finding = tuple[str, str, str]


def top_level(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Keys that are not understood, and volumes and networks that mean more than their names."""
    for key in document:
        if key not in TOP and not str(key).startswith("x-"):
            yield str(key), "is not understood", _rule(str(key))
    for kind in KNOWN:
        definitions: object = document.get(kind) or {}
        if is_mapping(definitions):
            for name, definition in definitions.items():
                for key in _more(kind, definition):
                    place = f"{kind}.{name}.{key}"
                    yield place, WHY.get(f"{kind}.{key}", "is not understood"), _rule(place)
        else:
            yield kind, "cannot be read", "a mapping of names"


def _rule(place: str) -> str:
    return f"change the file, or leave it out: compose: {{without: [{place}]}} in the catalogue"


def _more(kind: str, definition: Any) -> list[str]:
    """What a volume or a network has beside its name."""
    if not is_mapping(definition):
        return [] if definition is None else [str(definition)]
    return [
        str(key)
        for key, value in definition.items()
        if key not in KNOWN[kind]
        and not str(key).startswith("x-")
        and value is not None
        and value not in SAME[kind].get(str(key), ())
    ]
