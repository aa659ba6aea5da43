"""What on a host is in force in a release's place: drop-ins of its units that no release brought, other configuration
of its public names, a proxy that runs something else than its files say. The release's own files would not show it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from agent import nginx
from agent.desired import Wanted
from agent.managers import split
from agent.outcome import Refused
from agent.store import Release
from agent.units import OF_ACCOUNT
from agent.world import World

SYSTEM = "/etc/systemd/system"
# In systemd's order; a unit in one of FIRST hides the release's
FIRST = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
)
SYSTEM_PLACES = (*FIRST, SYSTEM, "/run/systemd/system")
ACCOUNT_PLACES = ("/etc/systemd/user", "/run/systemd/user")
OTHER_NAMES = {"MemoryLimit": "MemoryMax", "CPUShares": "CPUWeight", "StartLimitInterval": "StartLimitIntervalSec"}
CADDY, CADDYFILE = "caddy.service", "/etc/caddy/Caddyfile"
CADDY_RUNS = "http://127.0.0.1:2019/config/"


class Override(NamedTuple):
    """`path` is where it stands, `found` what it does."""

    path: str
    found: str


class Directive(NamedTuple):
    section: str
    name: str
    value: str


def check(world: World, base: Release | None, target: Release) -> None:
    """Raises Refused where a release would not be in force, naming the file. What only runs otherwise is started again
    by the release."""
    ours = {file.path for release in (base, target) if release for file in release.files}
    links = {link["path"] for release in (base, target) if release for link in release.manifest["links"]}
    found = [*_of_units(world, target, ours), *nginx.others(world, target.manifest["names"], ours | links)]
    if found:
        path, what = found[0]
        more = f" (and {len(found) - 1} more: {', '.join(entry[0] for entry in found[1:])})" if len(found) > 1 else ""
        raise Refused(
            f"{path} {what}: the release would not be in force{more}. Remove it, or put what it says into the "
            "catalogue, and run again"
        )


def of_release(world: World, release: Release) -> list[Override]:
    """What is in force in the place of the release that serves."""
    ours = {file.path for file in release.files} | {link["path"] for link in release.manifest["links"]}
    others = [Override(*entry) for entry in nginx.others(world, release.manifest["names"], ours)]
    return [*_of_units(world, release, ours), *others, *_of_caddy(world, release)]


def _of_units(world: World, release: Release, ours: set[str]) -> Iterator[Override]:
    homes = {account["name"]: account["home"] for account in release.manifest["accounts"]}
    for unit in release.manifest["units"]:
        account, name = split(unit["name"])
        own = f"{homes.get(account, '')}/{OF_ACCOUNT}" if account else SYSTEM
        released = [entry for file in release.files if _is_of(file, own, name) for entry in directives(file.content)]
        if not released:
            # A unit of a package, which the release only starts
            continue
        for place in (own, *ACCOUNT_PLACES) if account else SYSTEM_PLACES:
            if place in FIRST and world.exists(f"{place}/{name}"):
                yield Override(f"{place}/{name}", f"stands in the place of {unit['name']}")
            for folder in _folders(name):
                for file in world.listing(f"{place}/{folder}"):
                    path = f"{place}/{folder}/{file}"
                    if file.endswith(".conf") and path not in ours:
                        content = world.read(path) or b""
                        if names := overridden(released, directives(content)):
                            yield Override(path, f"sets {', '.join(names)} of {unit['name']}")


def _is_of(file: Wanted, place: str, name: str) -> bool:
    return file.path == f"{place}/{name}" or file.path.startswith(f"{place}/{name}.d/")


def _folders(name: str) -> list[str]:
    """Where systemd looks for a unit's drop-ins: of its own name, of what its name begins with, of its kind."""
    stem, _dot, kind = name.rpartition(".")
    parts = stem.split("-")
    prefixes = ["-".join(parts[:count]) + "-" for count in range(len(parts) - 1, 0, -1)]
    return [f"{name}.d", *(f"{prefix}.{kind}.d" for prefix in prefixes), f"{kind}.d"]


def directives(content: bytes) -> list[Directive]:
    """What a unit or drop-in says, in its order."""
    section, found = "", []
    text = re.sub(r"\\\n\s*", " ", content.decode(errors="replace"))
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line and not line.startswith(("#", ";")):
            name, value = (part.strip() for part in line.split("=", 1))
            found.append(Directive(section, OTHER_NAMES.get(name, name), value))
    return found


def overridden(released: list[Directive], others: list[Directive]) -> list[str]:
    """The directives that others set too; of variables their names, and no value."""
    named = {(entry.section, entry.name) for entry in released}
    variables = {name for entry in released if entry.name == "Environment" for name in _variables(entry.value)}
    has_variables = any(entry.name in ("Environment", "EnvironmentFile") for entry in released)
    found: list[str] = []
    for entry in others:
        if entry.name == "Environment":
            # Without a value it takes all away
            again = [f"Environment={name}" for name in _variables(entry.value) if name in variables]
            found += again if entry.value or not variables else ["Environment"]
        elif (entry.section, entry.name) in named or (entry.name == "EnvironmentFile" and has_variables):
            found.append(entry.name)
    return list(dict.fromkeys(found))


def _variables(value: str) -> list[str]:
    return re.findall(r"(?:^|\s)[\"']?([A-Za-z_][A-Za-z0-9_]*)=", value)


def _of_caddy(world: World, release: Release) -> list[Override]:
    """It can be given another configuration while it runs, and one that it does not take is passed over."""
    if not any(file.path == CADDYFILE for file in release.files):
        return []
    adapted = world.run("caddy", "adapt", "--adapter", "caddyfile", "--config", CADDYFILE)
    status, runs = world.fetch(CADDY_RUNS, {}, timeout=5)
    if adapted.code or status != 200:
        # Not known: whether it runs, and its files, are looked at by themselves
        return []
    try:
        # What it warns of comes before
        same = _json(adapted.output) == json.loads(runs)
    except ValueError:
        return []
    return [] if same else [Override(CADDY, f"runs another configuration than {CADDYFILE} says")]


def _json(text: str) -> Any:
    return json.loads(next(line for line in text.splitlines() if line.startswith("{")))
