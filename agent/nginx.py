"""Nginx' configuration as a whole, as Nginx itself reads it: which files have a public name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.world import World

FILE = re.compile(r"^# configuration file (?P<path>.+):$")
TOKENS = re.compile(
    r"""\s+|\#[^\n]*|(?P<word>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|(?:\$\{[^}\s{]*\}|\\.|[^\s{};"'\\\#])(?:\$\{[^}\s{]*\}|\\.|[^\s{};\\])*)""",
    re.DOTALL,
)
OURS = {80, 443}


@dataclass
class Server:
    """A `server` block of a file. `ports` are those that others reach; `listens` where it names any address at all."""

    path: str
    names: list[str] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)
    listens: bool = False

    def has(self, name: str) -> bool:
        """Does it answer to exactly this name, at a port of a public site."""
        names = {known.lower().lstrip(".") if known.startswith(".") else known.lower() for known in self.names}
        # One without any is at port 80, or has them in a file that it includes
        return name.lower() in names and bool((self.ports if self.listens else {80}) & OURS)


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
    names: list[str] = []
    for match in TOKENS.finditer(text):
        word = match["word"]
        if word is None:
            continue
        if word == "{":
            # Mail and streams have servers too
            is_site = statement[:1] == ["server"] and not {"mail", "stream"} & {*names}
            blocks.append(Server(path) if is_site else None)
            names.append((statement or [""])[0])
        elif word == "}":
            if blocks:
                names.pop()
                if server := blocks.pop():
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
    elif directive == "listen" and values:
        server.listens = True
        port = values[0].rsplit("]", 1)[-1].rsplit(":", 1)[-1]
        if not values[0].startswith(("unix:", "127.", "localhost", "[::1]")):
            server.ports.add(int(port) if port.isdigit() else 80)
