"""What a file of configuration sets, whatever its comments, order and quotes: place → values. Two files that set the
same mean the same. Pure."""

from collections.abc import Iterator
from typing import Any

from catalogue.files import parse_yaml
from catalogue.shapes import is_list, is_mapping
from catalogue.systemd.directives import MOVED, texts
from catalogue.systemd.parsing import sections
from catalogue.systemd.values import BOOLEANS
from infra.adopt.host.serving import Directive, Tree, inside

Settings = dict[str, list[str]]
# Of these, the first word belongs to the name
OF_SEVERAL = {"add_header", "proxy_set_header", "listen", "error_page", "allow", "deny"}
SEPARATOR = " › "


def of_unit(text: str) -> Settings:
    """Directives under their names of now."""
    settings: Settings = {}
    for section, block in sections(text).items():
        for name, value in block.items():
            home, now = MOVED.get((section, name), (section, name))
            settings.setdefault(f"[{home}] {now}", []).extend(map(_plain, texts(value)))
    return settings


def _plain(line: str) -> str:
    """Yes and true are one; numbers stay numbers."""
    boolean = BOOLEANS.get(line) if line.isalpha() else None
    return line if boolean is None else "yes" if boolean else "no"


def of_compose(text: str) -> Settings:
    """Raises yaml.YAMLError."""
    data = parse_yaml(text)
    services = data.get("services") if is_mapping(data) else None
    if is_mapping(data) and is_mapping(services):
        data = {**data, "services": {name: _key_by_name(body) for name, body in services.items()}}
    settings: Settings = {}
    for place, value in _leaves((), data):
        # To be in a network says nothing that its address there would not; the file's version nothing at all since 1.27
        if place != ("version",) and (place[-2:-1] != ("networks",) or place[0] != "services"):
            settings.setdefault(".".join(place), []).append(value)
    return settings


def _key_by_name(body: Any) -> Any:
    """Networks and variables by their names, in whichever way they were written."""
    if not is_mapping(body):
        return body
    lists = {name: body[name] for name in ("networks", "environment") if is_list(body.get(name))}
    pairs = {name: [str(item).partition("=") for item in items] for name, items in lists.items()}
    return body | {name: {key: value for key, _, value in entries} for name, entries in pairs.items()}


def _leaves(place: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if is_mapping(value) and value:
        for key, item in value.items():
            yield from _leaves((*place, str(key)), item)
    elif is_list(value) and value:
        for item in value:
            yield from _leaves(place, item)
    else:
        yield place, str(value)


def of_nginx(tree: Tree, place: str = "") -> Settings:
    """Of servers by their names and of locations by their paths; comments are left out."""
    settings: Settings = {}
    for entry in tree:
        name, args = entry["directive"], entry["args"]
        if name == "#":
            continue
        if "block" in entry:
            inner = _server(entry) if name == "server" else " ".join([name, *args])
            for key, values in of_nginx(entry["block"], f"{place}{inner}{SEPARATOR}").items():
                settings.setdefault(key, []).extend(values)
        else:
            count = 1 if name in OF_SEVERAL else 0
            key = " ".join([name, *args[:count]])
            settings.setdefault(f"{place}{key}", []).append(" ".join(args[count:]))
    return settings


def _server(entry: Directive) -> str:
    names = [name for inner in inside(entry) if inner["directive"] == "server_name" for name in inner["args"]]
    secure = any("ssl" in inner["args"] for inner in inside(entry) if inner["directive"] == "listen")
    return f"{'https' if secure else 'http'}://{' '.join(names)}"
