"""Nginx as a host's proxy: its configuration as a whole, as Nginx itself reads it (which files have a public name),
and what its program is to the agent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch

from agent.proxy import USUAL, Command, Conflict, Http3, Log, Proxy
from agent.store import Release
from agent.wording import phrase
from agent.world import World

FILE = re.compile(r"^# configuration file (?P<path>.+):$")
TOKENS = re.compile(
    r"""\s+|\#[^\n]*|(?P<word>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|(?:\$\{[^}\s{]*\}|\\.|[^\s{};"'\\\#])(?:\$\{[^}\s{]*\}|\\.|[^\s{};\\])*)""",
    re.DOTALL,
)
FIRST = re.compile(r"^# configuration file ", re.MULTILINE)
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
MAIN = "/etc/nginx/nginx.conf"
ENABLED = "/etc/nginx/sites-enabled"
LISTENS = ("ss", "-Hltnp", "sport = :80 or sport = :443")
OURS = {80, 443}
# What refuses requests of every site, where it stands outside of any
GUARDS = {"auth_basic", "auth_request", "deny"}


@dataclass
class Server:
    """A `server` block of a file. `ports` are those that others reach, `addresses` where it listens at one address of
    the host alone, `proxied` are ports with proxy_protocol; `listens` where it names any address at all; `includes` are
    the files that it takes in, `guards` what of GUARDS it says. An `http` block is noted as one too, and a file."""

    path: str
    names: list[str] = field(default_factory=list[str])
    ports: set[int] = field(default_factory=set[int])
    addresses: list[str] = field(default_factory=list[str])
    proxied: set[int] = field(default_factory=set[int])
    listens: bool = False
    includes: list[str] = field(default_factory=list[str])
    guards: list[str] = field(default_factory=list[str])
    is_http: bool = False

    def has(self, name: str) -> bool:
        """Does it answer to exactly this name, at a port of a public site."""
        names = {
            own_name.lower().lstrip(".") if own_name.startswith(".") else own_name.lower() for own_name in self.names
        }
        # One without any is at port 80, or has them in a file that it includes
        return name.lower() in names and bool((self.ports if self.listens else {80}) & OURS)


def others(world: World, names: list[str], ours: set[str], serves: bool = False) -> list[Conflict]:
    """Files that are not `ours` and have one of the names: of two Nginx takes the first that it reads, and says no
    more than a warning; or that listen at one address alone, which it chooses before the names; or that refuse requests
    of all sites. Where the release `serves`, also a site of its own that Nginx does not read. Nothing where there is no
    Nginx, or where its configuration cannot be read."""
    if not names or not world.has_command("nginx"):
        return []
    ran = world.run("nginx", "-T", "-q")
    if ran.code:
        return []
    conflicts: dict[str, str] = {}
    blocks, parts = _parse_dump(ran.output)
    servers_read = list(_servers_of(blocks, parts, _host(world)))
    for name in unread_names(world, ran.output, names, ours) if serves else []:
        conflicts[MAIN] = phrase("does not include {path}: that site is not served", path=f"{ENABLED}/{name}")
    for path, guard in _http_guards(blocks, parts):
        if path not in ours:
            conflicts[path] = phrase(
                "has {guard} outside any site, which applies to the requests of every site", guard=guard
            )
    for server in (server for server in servers_read if server.path not in ours):
        if server.proxied & OURS:
            port = min(server.proxied & OURS)
            conflicts[server.path] = phrase(
                "has proxy_protocol at port {port}, which Nginx then requires from the clients of every site", port=port
            )
        if server.addresses:
            conflicts[server.path] = phrase(
                "listens at {address} only, which Nginx prefers to the sites that listen at all addresses",
                address=server.addresses[0],
            )
        for name in names:
            if server.has(name):
                conflicts[server.path] = phrase(
                    "also has the public name {name}: Nginx uses only the first site that it reads", name=name
                )
    return [Conflict(path, what) for path, what in conflicts.items()]


def unread_names(world: World, dump: str, names: list[str], ours: set[str]) -> list[str]:
    """The names that no file of `ours` has, in the answer of `nginx -T`; none where it is no such answer."""
    if not FIRST.search(dump):
        return []
    servers_read = list(_servers_of(*_parse_dump(dump), _host(world)))
    return [name for name in names if not any(server.path in ours and server.has(name) for server in servers_read)]


def unread(world: World, release: Release, answer: str) -> list[str]:
    """A complaint for each site of the release that Nginx's own main file does not take in."""
    links = {link["path"] for link in release.manifest["links"]}
    sites = [name for name in release.manifest["names"] if f"{ENABLED}/{name}" in links]
    ours = {file.path for file in release.files} | links
    return [
        f"{MAIN} does not include {ENABLED}/{name}, so this site would not be served: include {ENABLED}/* in http, "
        "and run again"
        for name in unread_names(world, answer, sites, ours)
    ]


def starts_ours(command: Command) -> bool:
    file = command.options.get("-c", MAIN if command.folder in USUAL else "")
    return command.program == "nginx" and file == MAIN and "-p" not in command.options


def listens_on_ipv6(text: str) -> bool:
    return "listen [::]" in text


def asks_for_http3(text: str) -> bool:
    return "    http3 on;" in text


def serves_http3(world: World) -> bool:
    """Has the host's Nginx HTTP/3 (1.25, built with the module)."""
    return "http_v3_module" in world.run("nginx", "-V", timeout=30).output


def workers(world: World) -> set[str]:
    """The processes that take Nginx' connections; its master does not change."""
    processes = set(re.findall(r'"nginx",pid=(\d+)', world.run(*LISTENS).output))
    return processes - {(world.read("/run/nginx.pid") or b"").decode(errors="replace").strip()}


def _host(world: World) -> str:
    return (world.read("/proc/sys/kernel/hostname") or b"").decode(errors="replace").strip()


def _parse_dump(dump: str) -> tuple[list[Server], dict[str, Server]]:
    """The blocks in the answer of `nginx -T`, and by its path what stands in no block of a file."""
    path = ""
    lines: list[str] = []
    blocks: list[Server] = []
    parts: dict[str, Server] = {}
    for line in [*dump.splitlines(), "# configuration file -:"]:
        if match := FILE.match(line):
            parts[path] = Server(path)
            blocks += _blocks(path, "\n".join(lines), parts[path])
            path, lines = match["path"], []
        else:
            lines.append(line)
    return blocks, parts


def _http_guards(blocks: list[Server], parts: dict[str, Server]) -> Iterator[tuple[str, str]]:
    """What of GUARDS stands in `http` itself, or in a file that it takes in there: its path, and which."""
    seen_paths: set[str] = set()
    pending_blocks = [block for block in blocks if block.is_http]
    while pending_blocks:
        block = pending_blocks.pop()
        yield from ((block.path, guard) for guard in block.guards)
        for pattern in block.includes:
            # What lies deeper a site may take in
            depth = pattern.count("/")
            new = [
                path for path in parts if path not in seen_paths and path.count("/") == depth and fnmatch(path, pattern)
            ]
            seen_paths.update(new)
            pending_blocks += [parts[path] for path in new]


def _servers_of(blocks: list[Server], parts: dict[str, Server], host: str) -> Iterator[Server]:
    """The `server` blocks with what they take in from other files. `host` is this host's name, which a site can have by
    a variable."""
    for server in (block for block in blocks if not block.is_http):
        seen_paths: set[str] = set()
        pending_includes = [*server.includes]
        while pending_includes:
            pattern = pending_includes.pop()
            for part in (part for name, part in parts.items() if name not in seen_paths and fnmatch(name, pattern)):
                seen_paths.add(part.path)
                pending_includes += part.includes
                server.names += part.names
                server.ports |= part.ports
                server.addresses += part.addresses
                server.proxied |= part.proxied
                server.listens = server.listens or part.listens
        server.names = [host if name == "$hostname" else name for name in server.names]
        yield server


def _blocks(path: str, text: str, outside: Server) -> Iterator[Server]:
    """Those of one file; what stands in no block of it is noted of `outside`."""
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
            is_http = statement[:1] == ["http"]
            blocks.append(Server(path, is_http=is_http) if is_site or is_http else None)
            names.append((statement or [""])[0])
        elif word == "}":
            if blocks:
                names.pop()
                if server := blocks.pop():
                    yield server
        elif word == ";":
            # Of the block itself, and not of one in it
            if server := (blocks[-1] if blocks else outside):
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
        address, ports = _address(values[0])
        if address not in ("unix:", "localhost") and not _is(address, "is_loopback"):
            server.ports |= ports
            is_everywhere = address in ("", "*") or _is(address, "is_unspecified")
            if OURS & ports and not is_everywhere:
                server.addresses.append(f"{address}:{min(OURS & ports)}")
            elif "proxy_protocol" in values:
                server.proxied |= ports
    # A list of single addresses that are shut out closes a site for no one else
    elif directive in GUARDS and values[:1] != ["off"] and (directive != "deny" or values[:1] == ["all"]):
        server.guards.append(directive)
    elif directive == "include" and values:
        server.includes.append(values[0] if values[0].startswith("/") else f"/etc/nginx/{values[0]}")


def _address(value: str) -> tuple[str, set[int]]:
    """The address ("" for all) and the ports that a `listen` names: one can be a range."""
    if value.startswith("unix:"):
        return "unix:", set()
    address, _, after = value.rpartition(":") if not value.endswith("]") else (value, "", "")
    if not address and not PORTS.fullmatch(after):
        # An address without a port
        address, after = after, ""
    if not (match := PORTS.fullmatch(after)):
        return address, {80}
    first, last = int(match[1]), int(match[2] or match[1])
    return address, set(range(first, min(last, 65535) + 1))


def _is(address: str, kind: str) -> bool:
    try:
        return getattr(ipaddress.ip_address(address.strip("[]")), kind)
    except ValueError:
        return False


PROXY = Proxy(
    name="nginx",
    main=MAIN,
    # -T is -t, and shows what it read
    test="nginx -T -q",
    test_name="nginx -t",
    log=Log(
        file="/var/log/nginx/access.log",
        # Any text that a client sends may stand before the time
        pattern=(
            r"(?:^(?P<client>\S+) .*?)?\[(?P<time>\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4})\] "
            r'"[^"]*" (?P<status>\d{3}) '
        ),
        time_format="%d/%b/%Y:%H:%M:%S %z",
    ),
    starts_ours=starts_ours,
    others=others,
    unread=unread,
    workers=workers,
    process="nginx",
    listens_on_ipv6=listens_on_ipv6,
    http3=Http3(asks_for_http3, serves_http3, "Nginx 1.25 or later with http_v3_module"),
)
