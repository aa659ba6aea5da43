"""Caddy as a host's proxy: which files beside a release's have a public name, as Caddy itself reads them, and what it
runs."""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from typing import Any

from agent.engine import Declined
from agent.proxy import Command, Conflict, Log, Proxy
from agent.wording import phrase
from agent.world import World

UNIT = "caddy.service"
MAIN = "/etc/caddy/Caddyfile"
ADMIN = "/var/lib/caddy/admin.sock"  # as in rendering/proxies/caddy.py
SITES = "/etc/caddy/sites/*.caddy"  # as files/templates/Caddyfile.j2 imports them
MOST_BYTES = 256 * 1024  # of a file that are read
# A comment begins where a word could
TOKENS = re.compile(r"""[^\S\n]+|\\\n|\#[^\n]*|(?P<word>\n|"(?:[^"\\]|\\.)*"|`[^`]*`|\S+)""", re.DOTALL)
ADDRESS = re.compile(r"(?:https?://)?(?P<host>[^/:]+)(?::(?P<port>[0-9]+))?(?:/.*)?", re.IGNORECASE)
OURS = ("80", "443")


def others(world: World, names: list[str], ours: set[str], _serves: bool = False) -> list[Conflict]:
    """Files that are not `ours` and have one of the names: written in the same way Caddy takes neither, and in another
    one (capitals, a path, a scheme, an address of the host) that site alone, without a word."""
    spelling_of = {name.lower(): name for name in names}
    conflicts: dict[str, str] = {}
    seen_paths: set[str] = set()
    pending_patterns = [SITES] if names else []
    while pending_patterns:
        for path in _matching(world, pending_patterns.pop()):
            if path in seen_paths or path in ours:
                continue
            seen_paths.add(path)
            for directive, value in _outermost(_head(world, path)):
                if directive == "import":
                    pending_patterns.append(os.path.normpath(os.path.join(os.path.dirname(path), value)))
                elif name := spelling_of.get(_host(value)):
                    conflicts[path] = phrase(
                        "also has the public name {name}: Caddy uses only one of the two sites, or rejects the "
                        "configuration",
                        name=name,
                    )
    return [Conflict(path, what) for path, what in conflicts.items()]


def running(world: World) -> list[Conflict]:
    """It can be given another configuration while it runs, and one that it does not take is passed over."""
    try:
        runs = world.socket_has(ADMIN, "/config/")
    except (OSError, Declined) as error:
        # One that was started with another configuration listens elsewhere; whether it runs is looked at by itself
        is_active = world.run("systemctl", "is-active", UNIT).output.strip() == "active"
        declined = "refuses requests at {place}: its running configuration is unknown. systemctl restart {unit}"
        silent = "does not answer at {place}: its running configuration is unknown. systemctl restart {unit}"
        what = phrase(declined if isinstance(error, Declined) else silent, place=ADMIN, unit=UNIT)
        return [Conflict(UNIT, what)] if is_active else []
    adapted = world.run("caddy", "adapt", "--adapter", "caddyfile", "--config", MAIN)
    if adapted.code:
        # Not known: its files are looked at by themselves
        return []
    try:
        # What it warns of comes before
        same = _json(adapted.output) == json.loads(runs)
    except (ValueError, StopIteration, RecursionError):
        return []
    return [] if same else [Conflict(UNIT, phrase("runs a configuration other than {file}", file=MAIN))]


def _json(text: str) -> Any:
    """The last object that is no line of a log."""
    objects = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return next(entry for entry in reversed(objects) if "level" not in entry)


def starts_ours(command: Command) -> bool:
    options = command.options
    file, adapter = (options.get(long, options.get(short)) for long, short in (("--config", "-c"), ("--adapter", "-a")))
    is_run = command.program == "caddy" and command.words[:1] == ["run"] and not {"--resume", "-r"} & {*options}
    return is_run and file == MAIN and adapter in (None, "caddyfile")


def _outermost(text: str) -> Iterator[tuple[str, str]]:
    """What stands in no block: ("import", pattern) and ("", address of a site)."""
    depth = 0
    line: list[str] = []
    for match in TOKENS.finditer(text):
        word = match["word"]
        if word is None:
            continue
        if word == "\n":
            line = []
        elif word == "{":
            depth += 1
        elif word == "}":
            depth = max(depth - 1, 0)
        elif depth == 0:
            line.append(word.strip('"`'))
            if line[0] != "import":
                yield from (("", address) for address in line[-1].split(","))
            elif len(line) == 2:
                yield "import", line[1]


def _host(address: str) -> str:
    """The name of an address, "" where it is at no port of a public site."""
    match = ADDRESS.fullmatch(address)
    return match["host"].lower() if match and (match["port"] or OURS[0]) in OURS else ""


def _matching(world: World, pattern: str) -> list[str]:
    folder, _, name = pattern.rpartition("/")
    paths: list[str] = []
    for place in _matching(world, folder) if "*" in folder else [folder]:
        with suppress(OSError):
            paths += [f"{place}/{entry}" for entry in world.listing(place) if fnmatch(entry, name)]
    return paths


def _head(world: World, path: str) -> str:
    with suppress(OSError):
        return (world.head(path, MOST_BYTES) or b"").decode(errors="replace")
    return ""


PROXY = Proxy(
    name="caddy",
    main=MAIN,
    test=f"caddy validate --adapter caddyfile --config {MAIN}",
    test_name="caddy validate",
    # A failure stands there twice: as an error, and as an answer
    log=Log(
        journal=UNIT,
        keys={"time": ["ts"], "status": ["status"], "client": ["request", "remote_ip"]},
        only={"logger": "http.log.access"},
    ),
    starts_ours=starts_ours,
    others=others,
    running=running,
)
