"""Compose's other ways of writing an option of a container, each as the catalogue's one form. Pure."""

import re
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from catalogue.compose.fields import MountFields
from catalogue.shapes import is_list, is_mapping
from catalogue.sizes import MiB

# What Docker mounts memory with by itself
TMPFS_OPTIONS = {"rw", "noexec", "nosuid", "nodev", "mode=1777", "mode=01777"}
TMPFS_RULE = "a path, or PATH:size=64m; other options Docker sets by itself: rw, noexec, nosuid, nodev"


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def text(value: Any) -> Any:
    """A number as the text that it is for Compose."""
    return str(value) if _is_word(value) else value


def words(value: Any) -> Any:
    """One word as a list, and a list's numbers as texts."""
    if _is_word(value):
        return [str(value)]
    return [text(item) for item in value] if is_list(value) else value


def mapping(value: Any) -> Any:
    """A list of NAME=VALUE by name."""
    if not is_list(value) or not all(isinstance(item, str) for item in value):
        return value
    return {name: rest for name, _, rest in (str(item).partition("=") for item in value)}


def host_list(value: Any) -> Any:
    """Names and addresses of a mapping as NAME:ADDRESS."""
    if not is_mapping(value):
        return value
    return [f"{host}:{one}" for host, places in value.items() for one in (places if is_list(places) else [places])]


def number(value: Any) -> Any:
    """A number that stands in quotes, as Compose's own examples have it, or without a fraction."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?|\.[0-9]{1,6}", value):
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def whole_size(value: Any) -> Any:
    """A size as the catalogue writes it; bytes and fractions in whole MiB. What is no size stays as it is."""
    match = re.fullmatch(r"([0-9]{1,15})(\.[0-9]{1,9})?([kmgb]?)b?", str(value).lower().replace(" ", ""))
    if not match:
        return value
    unit = match[3].strip("b")
    if unit and not match[2]:
        return f"{match[1]}{unit}"
    size = int(float(f"{match[1]}{match[2] or ''}") * 1024 ** " kmg".index(unit or " "))
    return f"{-(-size // MiB)}m"


def with_memory_mounts(fields: Any) -> Any:
    """Options with each `tmpfs` that has a size as the mount that it is. Raises ValueError."""
    if not is_mapping(fields) or not fields.get("tmpfs"):
        return fields
    items: object = words(fields["tmpfs"])
    if not is_list(items) or not any(isinstance(item, str) and ":" in item for item in items):
        return fields
    mounts: list[Any] = []
    for item in [item for item in items if isinstance(item, str) and ":" in item]:
        mounts.append(_memory_mount(item))
    volumes: object = fields.get("volumes") or []
    paths = [item for item in items if not isinstance(item, str) or ":" not in item]
    return {**fields, "tmpfs": paths, "volumes": [*volumes, *mounts] if is_list(volumes) else volumes}


def _memory_mount(text: str) -> MountFields:
    path, _, rest = text.partition(":")
    options = [option for option in rest.split(",") if option and option not in TMPFS_OPTIONS]
    sizes = [option.removeprefix("size=") for option in options if option.startswith("size=")]
    if len(sizes) != len(options) or len(sizes) > 1:
        raise ValueError(f"tmpfs: found {text!r}"[:80] + f": {TMPFS_RULE}")
    mount: MountFields = {"type": "tmpfs", "target": path}
    if sizes:
        mount["size"] = whole_size(sizes[0])
    return mount


T = TypeVar("T")
AsText = Annotated[T, BeforeValidator(text)]
AsWords = Annotated[list[T], BeforeValidator(words)]
AsHosts = Annotated[list[T], BeforeValidator(host_list)]
