"""What on a host is in force in a release's place: drop-ins of its units that no release brought, other configuration
of its public names, a proxy that runs something else than its files say. The release's own files would not show it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from agent import away, nginx
from agent.desired import Wanted
from agent.engine import Declined
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
FENCED = (SYSTEM, "/etc/systemd/user")  # where agent/away.py keeps units from starting
LARGEST = 64 * 1024  # bytes of a drop-in that are read
# What systemd adds up over a unit and its drop-ins
ADDED = {
    "After", "Before", "Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Conflicts", "OnFailure",
    "Documentation", "PassEnvironment", "UnsetEnvironment", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths",
    "ExecPaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "SupplementaryGroups",
    "CapabilityBoundingSet", "AmbientCapabilities", "SystemCallFilter", "RestrictAddressFamilies", "DeviceAllow",
    "LoadCredential", "SetCredential", "LogExtraFields", "ExecStart", "ExecStartPre", "ExecStartPost",
    "ExecCondition", "ExecReload", "ExecStop", "ExecStopPost", "RequiresMountsFor", "RuntimeDirectory",
    "StateDirectory", "CacheDirectory", "LogsDirectory", "ConfigurationDirectory", "OnCalendar", "ListenStream",
    "ConditionPathExists",
}  # fmt: skip
OTHER_NAMES = {"MemoryLimit": "MemoryMax", "CPUShares": "CPUWeight", "StartLimitInterval": "StartLimitIntervalSec"}
CADDY, CADDYFILE = "caddy.service", "/etc/caddy/Caddyfile"
CADDY_ADMIN = "/var/lib/caddy/admin.sock"  # as in rendering/caddy.py


class Override(NamedTuple):
    """`path` is where it stands, `found` what it does."""

    path: str
    found: str


class Directive(NamedTuple):
    """`file` is the name of the drop-in that it stands in, "" for the unit itself: systemd reads them in this order."""

    section: str
    name: str
    value: str
    file: str = ""


def check(world: World, base: Release | None, target: Release) -> None:
    """Raises Refused where a release would not be in force, naming the file. What only runs otherwise is started again
    by the release."""
    ours = {file.path for release in (base, target) if release for file in release.files}
    links = {link["path"] for release in (base, target) if release for link in release.manifest["links"]}
    found = [*_of_units(world, target, ours), *_of_nginx(world, target, ours | links)]
    if found:
        path, what = found[0]
        more = f" (and {len(found) - 1} more: {', '.join(entry[0] for entry in found[1:])})" if len(found) > 1 else ""
        raise Refused(
            f"{path} {what}: the release would not be in force{more}. Put what it says into the catalogue, move the "
            "file away (and keep it until the release has served), and run again"
        )


def of_release(world: World, release: Release) -> list[Override]:
    """What is in force in the place of the release that serves."""
    ours = {file.path for file in release.files} | {link["path"] for link in release.manifest["links"]}
    return [
        *_of_units(world, release, ours),
        *_not_read(world, release),
        *_of_nginx(world, release, ours),
        *_of_caddy(world, release),
    ]


def _of_nginx(world: World, release: Release, ours: set[str]) -> list[Override]:
    if not any(file.path.startswith("/etc/nginx/") for file in release.files):
        return []
    return [Override(*entry) for entry in nginx.others(world, release.manifest["names"], ours)]


def _of_units(world: World, release: Release, ours: set[str]) -> Iterator[Override]:
    homes = {account["name"]: account["home"] for account in release.manifest["accounts"]}
    there: dict[str, list[str]] = {}
    for unit in release.manifest["units"]:
        account, name = split(unit["name"])
        own = f"{homes.get(account, '')}/{OF_ACCOUNT}" if account else SYSTEM
        released = [
            entry
            for file in sorted((file for file in release.files if _is_of(file, own, name)), key=_order)
            for entry in directives(file.content, _order(file))
        ]
        if not released:
            # A unit of a package, which the release only starts
            continue
        for place in (own, *ACCOUNT_PLACES) if account else SYSTEM_PLACES:
            if place in FIRST and world.exists(f"{place}/{name}"):
                yield Override(f"{place}/{name}", f"stands in the place of {unit['name']}")
            # Most places have few folders, and a host many units
            there[place] = there[place] if place in there else _listing(world, place)
            folders = [folder for folder in _folders(name) if folder in there[place]]
            for path in _drop_ins(world, place, name, folders, ours):
                content = _head(world, path)
                if names := overridden(released, directives(content, path.rsplit("/", 1)[1])):
                    yield Override(path, f"sets {', '.join(names)} of {unit['name']}")


def _not_read(world: World, release: Release) -> Iterator[Override]:
    """Units whose files, and drop-ins, are not those that systemd has read."""
    names = [unit["name"] for unit in release.manifest["units"] if not split(unit["name"])[0]]
    names = [name for name in names if "@." not in name]
    shown = world.run("systemctl", "show", "--property=Id,NeedDaemonReload", *names, timeout=30).output if names else ""
    for block in shown.split("\n\n"):
        state = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if state.get("NeedDaemonReload") == "yes" and (name := state.get("Id")) in names:
            what = "has changed since systemd read it, and what it said before is in force: systemctl daemon-reload"
            yield Override(f"{SYSTEM}/{name}", what)


def _order(file: Wanted) -> str:
    return file.path.rsplit("/", 1)[1] if file.path.rsplit("/", 1)[0].endswith(".d") else ""


def _drop_ins(world: World, place: str, name: str, folders: list[str], ours: set[str]) -> Iterator[str]:
    for folder in folders:
        if place.startswith("/run/") and folder != f"{name}.d":
            # Of the machine that this one runs in (LXC), made again at each boot
            continue
        for file in _listing(world, f"{place}/{folder}"):
            is_fence = place in FENCED and file.startswith(away.DROP_IN)
            if file.endswith(".conf") and not is_fence and f"{place}/{folder}/{file}" not in ours:
                yield f"{place}/{folder}/{file}"


def _listing(world: World, path: str) -> list[str]:
    """What an account laid there, or cannot be read, is none."""
    with suppress(OSError):
        return world.listing(path)
    return []


def _head(world: World, path: str) -> bytes:
    with suppress(OSError):
        return world.head(path, LARGEST) or b""
    return b""


def _is_of(file: Wanted, place: str, name: str) -> bool:
    return file.path == f"{place}/{name}" or file.path.startswith(f"{place}/{name}.d/")


def _folders(name: str) -> list[str]:
    """Where systemd looks for a unit's drop-ins: of its own name, of what its name begins with, of its kind."""
    stem, _dot, kind = name.rpartition(".")
    parts = stem.split("-")
    prefixes = ["-".join(parts[:count]) + "-" for count in range(len(parts) - 1, 0, -1)]
    return [f"{name}.d", *(f"{prefix}.{kind}.d" for prefix in prefixes), f"{kind}.d"]


def directives(content: bytes, file: str = "") -> list[Directive]:
    """What a unit or drop-in says, in its order; [Install] means nothing in a drop-in."""
    section, found = "", []
    text = re.sub(r"\\\n\s*", " ", content.decode(errors="replace"))
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line and not line.startswith(("#", ";")) and section != "Install":
            name, value = (part.strip() for part in line.split("=", 1))
            found.append(Directive(section, OTHER_NAMES.get(name, name), value, file))
    return found


def overridden(released: list[Directive], others: list[Directive]) -> list[str]:
    """The directives that a drop-in gives another value than the release; of variables their names, and no value. What
    systemd adds up is overridden only where it is emptied first."""
    last = {(entry.section, entry.name): entry for entry in released}
    variables = {name: value for entry in released if entry.name == "Environment" for name, value in _variables(entry)}
    found: list[str] = []
    for entry in others:
        ours = last.get((entry.section, entry.name))
        if entry.name == "Environment":
            again = [f"Environment={name}" for name, value in _variables(entry) if variables.get(name, value) != value]
            found += again if entry.value or not variables else ["Environment"]
        elif entry.name == "EnvironmentFile" and entry.value:
            found += ["EnvironmentFile"] if variables or ours else []
        elif ours and (
            not entry.value if entry.name in ADDED else entry.value != ours.value and entry.file > ours.file
        ):
            found.append(entry.name)
    return list(dict.fromkeys(found))


def _variables(entry: Directive) -> list[tuple[str, str]]:
    try:
        words = shlex.split(entry.value)
    except ValueError:
        words = entry.value.split()
    return [(name, value) for name, sign, value in (word.partition("=") for word in words) if sign]


def _of_caddy(world: World, release: Release) -> list[Override]:
    """It can be given another configuration while it runs, and one that it does not take is passed over."""
    if not any(file.path == CADDYFILE for file in release.files):
        return []
    adapted = world.run("caddy", "adapt", "--adapter", "caddyfile", "--config", CADDYFILE)
    if adapted.code:
        # Not known: whether it runs, and its files, are looked at by themselves
        return []
    try:
        runs = world.socket_has(CADDY_ADMIN, "/config/")
        # What it warns of comes before
        same = _json(adapted.output) == json.loads(runs)
    except (OSError, Declined, ValueError, StopIteration, RecursionError):
        return []
    return [] if same else [Override(CADDY, f"runs another configuration than {CADDYFILE} says")]


def _json(text: str) -> Any:
    """The last object that is no line of a log."""
    objects = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return next(entry for entry in reversed(objects) if "level" not in entry)
