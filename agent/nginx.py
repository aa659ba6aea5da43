"""Nginx' configuration as a whole, as Nginx itself reads it: which files have a public name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.world import World

FILE = re.compile(r"^# configuration file (?P<path>.+):$")
TOKENS = re.compile(
    r"""\s+|\#[^\n]*|(?P<word>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|(?:\$\{[^}\n]*\}|\\.|[^\s{};"'\\\#])(?:\$\{[^}\n]*\}|\\.|[^\s{};\\])*)""",
    re.DOTALL,
)
OURS = {80, 443}


@dataclass
class Server:
    """A `server` block of a file. `ports` is empty where it says none; with `includes` it may have others."""

    path: str
    names: list[str] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)
    includes: bool = False

    def has(self, name: str) -> bool:
        """Does it answer to exactly this name, at a port of a public site."""
        names = {known.lower().lstrip(".") if known.startswith(".") else known.lower() for known in self.names}
        return name.lower() in names and (self.includes or bool((self.ports or {80}) & OURS))


def others(world: World, names: list[str], ours: set[str]) -> list[tuple[str, str]]:
    """Files that are not `ours` and have one of the names: of two Nginx takes the first that it reads, and says no
    more than a warning. Nothing where there is no Nginx, or where its configuration cannot be read."""
    if not names or not world.has_command("nginx"):
        return []
    ran = world.run("nginx", "-T", "-q")
    if ran.code:
        return []
    found = {}
    for server in servers(ran.output):
        for name in names:
            if server.path not in ours and server.has(name):
                found[server.path] = f"has the public name {name}, and of two Nginx takes the first that it reads"
    return list(found.items())


def servers(dump: str) -> Iterator[Server]:
    """The `server` blocks in the answer of `nginx -T`."""
    path, lines = "", []
    for line in [*dump.splitlines(), "# configuration file -:"]:
        if found := FILE.match(line):
            yield from _servers(path, "\n".join(lines))
            path, lines = found["path"], []
        else:
            lines.append(line)


def _servers(path: str, text: str) -> Iterator[Server]:
    statement: list[str] = []
    blocks: list[Server | None] = []
    for match in TOKENS.finditer(text):
        word = match["word"]
        if word is None:
            continue
        if word == "{":
            blocks.append(Server(path) if statement[:1] == ["server"] else None)
        elif word == "}":
            if blocks and (server := blocks.pop()):
                yield server
        elif word == ";":
            # Of the block itself, and not of one in it
            if blocks and (server := blocks[-1]):
                _note(server, statement)
        else:
            statement.append(word.strip("\"'"))
            continue
        statement = []


def _note(server: Server, statement: list[str]) -> None:
    directive, values = (statement or [""])[0], statement[1:]
    if directive == "server_name":
        server.names += values
    elif directive == "include":
        server.includes = True
    elif directive == "listen" and values and not values[0].startswith("unix:"):
        port = values[0].rsplit("]", 1)[-1].rsplit(":", 1)[-1]
        server.ports.add(int(port) if port.isdigit() else 80)
