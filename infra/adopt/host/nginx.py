"""Nginx's configuration as it runs: sites, and the locations that lead to something. Pure but for crossplane, which
reads files only."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import crossplane

from catalogue.fields import HOST_NAME, Method
from catalogue.sites import HSTS
from catalogue.sizes import shown
from infra.adopt.host.remarks import Remark, unfit
from infra.errors import InfraError

MAIN = "/etc/nginx/nginx.conf"
METHODS = get_args(Method)
HERE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600}
# As crossplane has them: directive, args, block (of those that have one), comment
Tree = list[dict[str, Any]]


VARIABLE = re.compile(r"\$[A-Za-z0-9_{]")


@dataclass(frozen=True)
class Found:
    """A location that leads to `host`:`port`. `methods` are those that CORS allows there (None: no CORS); `asked_as` is
    the Host that the service gets (None: the one that was asked for)."""

    site: str
    public: str
    internal: str | None
    host: str
    port: int
    comment: str
    methods: list[str] | None = None
    max_body: str | None = None
    timeout: int | None = None
    asked_as: str | None = None


@dataclass(frozen=True)
class Sites:
    """`headers` are those that a site's server adds to every answer, by its name."""

    routes: list[Found] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)


def parsed(text: str, path: str = "") -> Tree:
    """One file, its comments included. Raises InfraError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.conf"
        file.write_text(text)
        said = crossplane.parse(str(file), single=True, comments=True, check_ctx=False, check_args=False)
    if said["errors"]:
        wrong = said["errors"][0]["error"].replace(str(file), path)
        raise InfraError(f"{path}: Nginx's configuration cannot be read: {wrong}")
    return said["config"][0]["parsed"]


def whole(files: dict[str, str], path: str = MAIN) -> Tree:
    """A file with what it includes in place. Raises InfraError."""
    return list(_expanded(parsed(files[path], path), files, (path,))) if path in files else []


def _expanded(tree: Tree, files: dict[str, str], seen: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for entry in tree:
        if entry["directive"] == "include":
            pattern = entry["args"][0] if entry["args"][0].startswith("/") else f"/etc/nginx/{entry['args'][0]}"
            for path in sorted(path for path in files if fnmatch(path, pattern) and path not in seen):
                yield from _expanded(parsed(files[path], path), files, (*seen, path))
        else:
            block = {"block": list(_expanded(entry["block"], files, seen))} if "block" in entry else {}
            yield {**entry, **block}


def sites(files: dict[str, str]) -> Sites:
    """What the servers of a configuration serve. Raises InfraError."""
    top = [entry for entry in whole(files) if entry["directive"] == "http"]
    http = [entry for block in top for entry in block["block"]]
    upstreams = {
        entry["args"][0]: [inner["args"][0] for inner in entry["block"] if inner["directive"] == "server"]
        for entry in http
        if entry["directive"] == "upstream"
    }
    result = Sites()
    for server in (entry["block"] for entry in http if entry["directive"] == "server"):
        _server(server, http, upstreams, result)
    return result


def _server(server: Tree, http: Tree, upstreams: dict[str, list[str]], result: Sites) -> None:
    names = [name for entry in _all(server, "server_name") for name in entry["args"]]
    public = [name for name in names if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", name)]
    leading = [entry for entry in _all(server, "location") if _all(entry["block"], "proxy_pass")]
    if not leading:
        return
    if not public:
        text = "no public name: the catalogue's sites have one each; its locations are left out"
        result.remarks.append(unfit(f"server {' '.join(names) or 'without server_name'}", text))
        return
    site = public[0]
    if len(public) > 1:
        text = f"its other names {', '.join(public[1:])}: a site has one; each other is a site of its own"
        result.remarks.append(unfit(f"site {site}", text))
    if not any("ssl" in entry["args"] or "443" in entry["args"][0] for entry in _all(server, "listen")):
        text = "is served without encryption: the program gets a certificate, and sends port 80 to 443"
        result.remarks.append(unfit(f"site {site}", text))
    kept = {name: value for name, value in _headers(server).items() if not name.lower().startswith("access-control-")}
    for name in [name for name, value in kept.items() if VARIABLE.search(value)]:
        text = f"its header {name} has a variable of Nginx's in its value: a header means what it says; it is left out"
        result.remarks.append(unfit(f"site {site}", text))
        del kept[name]
    if kept.get("Strict-Transport-Security") == HSTS:
        del kept["Strict-Transport-Security"]
    result.headers.setdefault(site, {}).update(kept)
    comment = ""
    for entry in server:
        if entry["directive"] == "location" and entry in leading:
            around = [entry["block"], server, http]
            found = _location(site, entry, around, upstreams, comment, result.remarks)
            result.routes.extend([found] if found else [])
        comment = entry.get("comment", "").strip() if entry["directive"] == "#" else ""


def _location(
    site: str, entry: dict[str, Any], around: list[Tree], upstreams: dict[str, list[str]], comment: str,
    remarks: list[Remark],
) -> Found | None:  # fmt: skip
    where = f"site {site}: location {' '.join(entry['args'])}"
    kind, path = ("", entry["args"][0]) if len(entry["args"]) == 1 else (entry["args"][0], entry["args"][1])
    passed = _all(entry["block"], "proxy_pass")[0]["args"][0]
    target = _target(passed, upstreams)
    if kind not in ("", "=", "^~") or not re.fullmatch(r"/[A-Za-z0-9._~/-]*", path):
        remarks.append(unfit(where, "a pattern: a route is a path; it is left out"))
        return None
    if isinstance(target, str):
        remarks.append(unfit(where, f"proxy_pass {passed}: {target}; it is left out"))
        return None
    host, port, inside = target
    public, internal = path, inside if inside is not None else path
    if kind == "=":
        public = path.rstrip("/") or "/"
        if internal != public or public == "/":
            remarks.append(unfit(where, f"leads to {internal}: a page alone keeps its path inside; it is left out"))
            return None
    elif not (path.endswith("/") and internal.endswith("/")):
        public, internal = f"{path.rstrip('/')}/", f"{internal.rstrip('/')}/"
        remarks.append(
            unfit(where, f"is taken as {public}, {internal} inside: all below a path ends with / on both sides")
        )
    default = "/" if public.endswith("/") else public
    return Found(
        site, public, None if internal == default else internal, host, port, comment, _cors(where, around, remarks),
        _size(where, _inherited(around, "client_max_body_size"), remarks),
        _timeout(where, _inherited(around, "proxy_read_timeout"), remarks), _asked_as(where, around, remarks),
    )  # fmt: skip


def _target(passed: str, upstreams: dict[str, list[str]]) -> tuple[str, int, str | None] | str:
    """Host, port and path inside (None: that of the request), or why it is none."""
    if "$" in passed:
        return "a variable, and a route leads to one service"
    parts = urlsplit(passed)
    if parts.scheme != "http":
        return f"{parts.scheme}, and services are asked by http on the host itself"
    servers = upstreams.get(parts.netloc, [parts.netloc])
    if len(servers) != 1:
        return f"{len(servers)} servers take turns there, and a route leads to one service"
    try:
        place = urlsplit(f"//{servers[0]}")
        return place.hostname or "", place.port or 80, parts.path or None
    except ValueError:
        return "no host and port"


def _all(block: Tree, name: str) -> Tree:
    return [entry for entry in block if entry["directive"] == name]


def _headers(block: Tree) -> dict[str, str]:
    return {entry["args"][0]: entry["args"][1] for entry in _all(block, "add_header")}


def _inherited(around: list[Tree], name: str) -> str | None:
    return next((found[-1]["args"][0] for block in around if (found := _all(block, name))), None)


def _cors(where: str, around: list[Tree], remarks: list[Remark]) -> list[str] | None:
    """A location with headers of its own has none of its server's."""
    headers = next((found for block in around if (found := _headers(block))), {})
    given = next((value for name, value in headers.items() if name.lower() == "access-control-allow-methods"), None)
    if given is None:
        return None
    named = [name for name in re.split(r"[,\s]+", given.upper()) if name]
    if strange := [name for name in named if name not in METHODS]:
        remarks.append(unfit(where, f"CORS for {', '.join(strange)}: the catalogue has {', '.join(METHODS)}"))
    return [name for name in named if name in METHODS]


def _size(where: str, given: str | None, remarks: list[Remark]) -> str | None:
    if given is None or re.fullmatch(r"[1-9]\d*[kmgKMG]", given):
        return given
    if given.isdigit() and int(given) and int(given) % 1024 == 0:
        size = int(given) // 1024
        return f"{size}k" if size % 1024 else shown(size * 1024)
    remarks.append(unfit(where, f"client_max_body_size {given}: max_body is a whole number and k, m or g; taken as 1g"))
    return "1g"


def _timeout(where: str, given: str | None, remarks: list[Remark]) -> int | None:
    if given is None:
        return None
    found = re.fullmatch(r"(\d+)(ms|s|m|h|)", given)
    seconds = int(int(found[1]) * SECONDS[found[2]]) if found else 0
    if 1 <= seconds <= 3600:
        return seconds
    remarks.append(unfit(where, f"proxy_read_timeout {given}: timeout is 1 to 3600 seconds; taken as 3600"))
    return 3600


def _asked_as(where: str, around: list[Tree], remarks: list[Remark]) -> str | None:
    """A location with such headers of its own has none of its server's."""
    given = next((headers for block in around if (headers := _all(block, "proxy_set_header"))), [])
    named = {entry["args"][0].lower(): entry["args"][1] for entry in given if len(entry["args"]) == 2}
    host = named.get("host", "$proxy_host")
    if host in ("$host", "$http_host", "$proxy_host", "$server_name"):
        return None
    if re.fullmatch(HOST_NAME, host):
        return host
    remarks.append(unfit(where, f"Host {host}: a route's host is a name such as api.example.com; left out"))
    return None


def shared_cors(routes: list[Found]) -> list[str]:
    """The methods that most routes of a site allow: the site's own."""
    counted = Counter(tuple(route.methods) for route in routes if route.methods)
    return list(counted.most_common(1)[0][0]) if counted else []
