"""Nginx's configuration as it runs: sites, what their locations lead to, and what is not public. Pure but for
crossplane, which reads files only."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import crossplane

from catalogue.sites import HSTS, SITE_PATH
from infra.adopt.host import serving
from infra.adopt.host.remarks import Remark, unfit
from infra.adopt.host.serving import Tree, all_of, inherited
from infra.errors import InfraError

MAIN = "/etc/nginx/nginx.conf"
OWN = ("/status", "/.infra-")  # of each host's own page, and of the program's sites
HERE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
REDIRECTS = ("301", "302", "307", "308")
WHOLE = ("$request_uri", "$uri$is_args$args")
TARGET = re.compile(r"(https?://[a-z0-9.-]+(:[0-9]{1,5})?)?/([A-Za-z0-9._~%-]+/)*[A-Za-z0-9._~%-]*")


@dataclass(frozen=True)
class Found:
    """A location that leads to `host`:`port`. `cors` is what CORS allows there (None: no CORS); `asked_as` is
    the Host that the service gets (None: the one that was asked for), `more` other fields of a route."""

    site: str
    public: str
    internal: str | None
    host: str
    port: int
    comment: str
    cors: dict[str, Any] | None = None
    max_body: str | None = None
    timeout: int | None = None
    asked_as: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Read:
    """A server under its public name: `headers` are those that it adds to every answer, `aliases` its other names.
    Beside what leads to services it has `redirects`, `static` files, and `closed` paths."""

    headers: dict[str, str] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)
    redirects: list[dict[str, Any]] = field(default_factory=list)
    static: list[dict[str, Any]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    compress: bool = False
    has_hsts: bool = True

    def close(self, path: str) -> None:
        if path not in self.closed:
            self.closed.append(path)


@dataclass(frozen=True)
class Sites:
    """What the servers of a configuration serve, by their names."""

    routes: list[Found] = field(default_factory=list)
    read: dict[str, Read] = field(default_factory=dict)
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
    names = [name for entry in all_of(server, "server_name") for name in entry["args"]]
    public = [name for name in names if NAME.fullmatch(name)]
    is_secure = any("ssl" in entry["args"] or "443" in entry["args"][0] for entry in all_of(server, "listen"))
    locations = all_of(server, "location")
    elsewhere = _redirect(server, "/") if all_of(server, "return") else None
    # What sends a name on to itself by HTTPS the program does by itself
    leads = any(all_of(entry["block"], "proxy_pass") for entry in locations)
    leads = leads or bool(is_secure and public and any(_files(entry, server) for entry in locations))
    sends_on = elsewhere and is_secure and not any(part in str(elsewhere["to"]) for part in ("$host", "$server_name"))
    if not leads and not sends_on:
        return
    if not public:
        text = "no public name: the catalogue's sites have one each; its locations are left out"
        result.remarks.append(unfit(f"server {' '.join(names) or 'without server_name'}", text))
        return
    site = public[0]
    where = f"site {site}"
    if not is_secure:
        text = "is served without encryption: the program gets a certificate, and sends port 80 to 443"
        result.remarks.append(unfit(where, text))
    read = result.read.setdefault(site, Read())
    read.aliases += [name for name in public[1:] if name not in read.aliases]
    if strange := [name for name in names if name not in public and name != "_"]:
        result.remarks.append(unfit(where, f"its other names {', '.join(strange)}: a site has whole names; left out"))
    kept = serving.plain_headers(where, server, result.remarks)
    if is_secure:
        # Browsers are not kept from asking a name without encryption that they were not kept from before
        read.has_hsts = "strict-transport-security" in {name.lower() for name in kept}
    if kept.get("Strict-Transport-Security") == HSTS:
        del kept["Strict-Transport-Security"]
    read.headers.update(kept)
    read.compress = inherited([server, http], "gzip") == "on" and inherited([server, http], "gzip_types") is not None
    if sends_on and elsewhere:
        read.redirects.append(elsewhere)
        return
    comment = ""
    for entry in server:
        if entry["directive"] == "location":
            around = [entry["block"], server, http]
            found = _location(site, read, entry, around, upstreams, comment, result.remarks)
            result.routes.extend([found] if found else [])
        comment = entry.get("comment", "").strip() if entry["directive"] == "#" else ""


def _location(
    site: str, read: Read, entry: dict[str, Any], around: list[Tree], upstreams: dict[str, list[str]], comment: str,
    remarks: list[Remark],
) -> Found | None:  # fmt: skip
    """What a location leads to. One that leads to no service is a redirect or files; one that cannot be said is closed,
    or what is above it would answer in its place."""
    where = f"site {site}: location {' '.join(entry['args'])}"
    kind, path = ("", entry["args"][0]) if len(entry["args"]) == 1 else (entry["args"][0], entry["args"][1])
    if path.startswith("@"):
        return None
    if inner := _behind_files(entry, around[1]):
        remarks.append(unfit(where, "serves files where they are, else a service: the service answers all of it"))
        around = [[e for e in entry["block"] if e["directive"] != "try_files"] + inner, *around[1:]]
    passed = all_of(around[0], "proxy_pass")
    if kind not in ("", "=", "^~") or not SITE_PATH.fullmatch(path):
        guarded = "; it refuses what would be answered without it: close such paths" if _refuses(around) else ""
        remarks.append(unfit(where, f"a pattern: a route is a path; it is left out{guarded}"))
        return None
    served = serving.served(where, around, remarks)
    page = (path.rstrip("/") or "/") if kind == "=" else path
    if path.startswith(("/.well-known/acme-challenge", *OWN)) and not passed:
        return None
    if _refuses(around) or served.closed:
        if served.closed and not _refuses(around):
            remarks.append(unfit(where, f"{served.closed}; until then it is closed (404)"))
        if path != "/" or served.closed:
            _close(read, kind, path)
        return None
    if not passed:
        _without_service(where, read, kind, page, around, served.said, remarks)
        return None
    target = _target(passed[0]["args"][0], upstreams)
    if isinstance(target, str):
        remarks.append(unfit(where, f"proxy_pass {passed[0]['args'][0]}: {target}; it is left out, and closed"))
        _close(read, kind, path)
        return None
    host, port, inside = target
    public, internal = path, inside if inside is not None else path
    if kind == "=":
        public = page
        if internal != public or public == "/":
            remarks.append(
                unfit(where, f"leads to {internal}: a page alone keeps its path inside; it is left out, and closed")
            )
            _close(read, kind, path)
            return None
    elif not (path.endswith("/") and internal.endswith("/")):
        public, internal = f"{path.rstrip('/')}/", f"{internal.rstrip('/')}/"
        remarks.append(
            unfit(where, f"is taken as {public}, {internal} inside: all below a path ends with / on both sides")
        )
    default = "/" if public.endswith("/") else public
    return Found(
        site, public, None if internal == default else internal, host, port, comment,
        serving.cors(where, around, remarks), serving.size(where, inherited(around, "client_max_body_size"), remarks),
        serving.timeout(where, inherited(around, "proxy_read_timeout"), remarks),
        serving.asked_as(where, around, remarks), served.said,
    )  # fmt: skip


def _refuses(around: list[Tree]) -> bool:
    """Is the answer of a location, for all clients, that there is nothing."""
    codes = [entry["args"][0] for entry in all_of(around[0], "return") if entry["args"]]
    rules = [(e["directive"], *e["args"]) for e in around[0] if e["directive"] in ("allow", "deny")]
    return codes[:1] in (["403"], ["404"], ["410"], ["444"]) or rules[:1] == [("deny", "all")]


def _close(read: Read, kind: str, path: str) -> None:
    """A path of Nginx's without its last / stands for all that begins with it."""
    if kind == "=":
        read.close(path)
    else:
        read.close(f"{path.rstrip('/')}/")


def _without_service(
    where: str, read: Read, kind: str, path: str, around: list[Tree], said: dict[str, Any], remarks: list[Remark]
) -> None:
    """A redirect, files, or what is neither and so closed."""
    location = around[0]
    if all_of(location, "return") and (found := _redirect(location, path)) and "$" not in str(found["to"]):
        read.redirects.append(found)
        return
    folder = _files({"block": location}, around[1])
    if folder and kind != "=" and path.endswith("/") and not has_variable(folder["args"][0]):
        directory = folder["args"][0].rstrip("/")
        if folder["directive"] == "root" and path != "/":
            directory = f"{directory}{path.rstrip('/')}"
        tries = [arg for entry in all_of(location, "try_files") for arg in entry["args"]]
        fallback = (
            tries[-1].removeprefix(path) if tries and tries[-1].startswith(path) and "$" not in tries[-1] else None
        )
        read.static.append({"public": path, "directory": directory, "fallback": fallback, **said})
        return
    names = dict.fromkeys(entry["directive"] for entry in location if entry["directive"] != "#")
    remarks.append(unfit(where, f"{', '.join(names) or 'nothing'}: no route, files or redirect; it is closed"))
    _close(read, kind, path)


def _files(entry: dict[str, Any], server: Tree) -> dict[str, Any] | None:
    """The directive that names the directory whose files a location serves; None where it does something else."""
    block = entry["block"]
    if any(all_of(block, name) for name in ("proxy_pass", "return", "fastcgi_pass", "uwsgi_pass", "rewrite")):
        return None
    own = next((found for name in ("alias", "root") for found in all_of(block, name)), None)
    return own or next(iter(all_of(server, "root")), None)


def _behind_files(entry: dict[str, Any], server: Tree) -> Tree | None:
    """What answers where there is no file: a named location that leads to a service."""
    tries = [arg for inner in all_of(entry["block"], "try_files") for arg in inner["args"]]
    named = [other["block"] for other in all_of(server, "location") if tries and other["args"] == tries[-1:]]
    return named[0] if named and tries[-1].startswith("@") and all_of(named[0], "proxy_pass") else None


def has_variable(text: str) -> bool:
    return bool(serving.VARIABLE.search(text))


def _redirect(block: Tree, public: str) -> dict[str, Any] | None:
    """What its `return` says of a path, as a site says it; None where it redirects nothing."""
    args = all_of(block, "return")[0]["args"]
    code, to = ("302", args[0]) if len(args) == 1 and args[0].startswith("http") else (args[0], args[-1])
    if code not in REDIRECTS or len(args) > 2:
        return None
    for rest in WHOLE:
        if to.endswith(rest):
            to = f"{to.removesuffix(rest)}/" if public == "/" else f"{to.removesuffix(rest)}{public}"
            break
    to = to.removesuffix("$is_args$args")
    if "$" not in to and not urlsplit(to).path:
        to += "/"
    if not TARGET.fullmatch(to) and "$" not in to:
        return None
    return {"public": public, "to": to, "status": int(code)}


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


def shared_cors(routes: list[Found]) -> dict[str, Any]:
    """What CORS allows on most routes of a site: the site's own."""
    given = [route.cors for route in routes if route.cors]
    counted = Counter(repr(cors) for cors in given)
    return next((cors for cors in given if repr(cors) == counted.most_common(1)[0][0]), {})
