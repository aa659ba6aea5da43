"""Nginx's configuration as it runs: sites, what their locations lead to, and what is not public. Pure but for
crossplane, which reads files only."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TypedDict, cast
from urllib.parse import urlsplit

import crossplane  # pyright: ignore[reportMissingTypeStubs] - it has none

from catalogue.fields import HOST_NAME
from catalogue.shapes import CorsFields
from catalogue.site_values import HSTS
from infra.adopt.host import locations, serving
from infra.adopt.host.drafts import Redirection, RouteDraft, SiteFacts, SiteReading
from infra.adopt.host.locations import REDIRECTS
from infra.adopt.host.remarks import Remark, unfit
from infra.adopt.host.serving import Directive, Tree, all_of, inside, nearest_value
from infra.errors import InfraError
from infra.writing import put

MAIN = "/etc/nginx/nginx.conf"
PRIVATE = re.compile(r"(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|localhost|\[::1\]|\[f[cd]|unix:)")
HERE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


class ParseError(TypedDict):
    error: str


class ParsedFile(TypedDict):
    parsed: Tree


class Parsed(TypedDict):
    """What crossplane says of a file: `config` has it alone, for nothing that it includes is read."""

    errors: list[ParseError]
    config: list[ParsedFile]


@dataclass(frozen=True)
class Sites:
    """What the servers of a configuration serve, by their names."""

    routes: list[RouteDraft] = field(default_factory=list[RouteDraft])
    facts: dict[str, SiteFacts] = field(default_factory=dict[str, SiteFacts])
    remarks: list[Remark] = field(default_factory=list[Remark])

    @property
    def cors(self) -> dict[str, CorsFields]:
        """Site → what CORS allows on most of its routes."""
        return {site: shared_cors([route for route in self.routes if route.site == site]) for site in self.facts}


def parse(text: str, path: str = "") -> Tree:
    """One file, its comments included. Raises InfraError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.conf"
        put(file, text)
        # What it returns is described in its documentation alone
        result = cast(
            Parsed,
            crossplane.parse(str(file), single=True, comments=True, check_ctx=False, check_args=False),  # pyright: ignore[reportUnknownMemberType]
        )
    if result["errors"]:
        wrong = result["errors"][0]["error"].replace(str(file), path)
        raise InfraError(f"{path}: Nginx's configuration cannot be read: {wrong}")
    return result["config"][0]["parsed"]


def whole(files: dict[str, str], path: str = MAIN) -> Tree:
    """A file with what it includes in place. Raises InfraError."""
    return list(_expand_includes(parse(files[path], path), files, (path,))) if path in files else []


def _expand_includes(tree: Tree, files: dict[str, str], including: tuple[str, ...]) -> Iterator[Directive]:
    for entry in tree:
        if entry["directive"] == "include":
            pattern = entry["args"][0] if entry["args"][0].startswith("/") else f"/etc/nginx/{entry['args'][0]}"
            paths = sorted(path for path in files if fnmatch(path, pattern) and path not in including)
            if not paths and not re.search(r"[*?\[]|mime\.types$", pattern):
                yield {"directive": serving.MISSING, "args": [pattern]}
            for path in paths:
                yield from _expand_includes(parse(files[path], path), files, (*including, path))
        else:
            expanded = entry.copy()
            if "block" in entry:
                expanded["block"] = list(_expand_includes(entry["block"], files, including))
            yield expanded


def sites(files: dict[str, str]) -> Sites:
    """What the servers of a configuration serve. Raises InfraError."""
    top = [entry for entry in whole(files) if entry["directive"] == "http"]
    http = [entry for block in top for entry in inside(block)]
    groups, result = upstreams(http), Sites()
    present: set[tuple[str, bool]] = set()
    for block in (inside(entry) for entry in http if entry["directive"] == "server"):
        _server(_read_server(block, http), groups, result, present)
    for name, facts in result.facts.items():
        if facts.shut:
            facts.close("/")
        # Of what is closed nothing is led to, whatever else was found of it
        shut = [route for route in result.routes if route.site == name and _is_closed(route.public, facts)]
        result.remarks.extend(
            unfit(
                f"site {name}: location {r.public}",
                "has access control that the catalogue cannot express: the path is closed",
            )
            for r in shut
        )
        result.routes[:] = [route for route in result.routes if route not in shut]
        for entry in [entry for entry in facts.static if _is_closed(entry["public"], facts)]:
            facts.static.remove(entry)
    return result


def upstreams(http: Tree) -> dict[str, list[str]]:
    """The servers of each group of them, by its name."""
    return {
        entry["args"][0]: [inner["args"][0] for inner in inside(entry) if inner["directive"] == "server"]
        for entry in http
        if entry["directive"] == "upstream"
    }


def resolve_upstreams(tree: Tree, groups: dict[str, list[str]]) -> Tree:
    """The same, where what leads to a group of one server leads to that server."""
    entries: Tree = []
    for entry in tree:
        resolved = entry.copy()
        args = entry["args"]
        if entry["directive"] == "proxy_pass" and len(servers := groups.get(urlsplit(args[0]).netloc, [])) == 1:
            resolved["args"] = [args[0].replace(f"//{urlsplit(args[0]).netloc}", f"//{servers[0]}", 1)]
        if "block" in entry:
            resolved["block"] = resolve_upstreams(entry["block"], groups)
        entries.append(resolved)
    return entries


def _is_closed(public: str, facts: SiteFacts) -> bool:
    # A pattern comes before any path that it is about, however long that is
    return facts.shut or public in facts.closed or public.startswith(tuple(facts.barred))


@dataclass(frozen=True)
class Server:
    """A server of a configuration as it is read: its `block` in `http`, all its `names`, the `public` ones among them,
    and `redirection`, which it sends every request on to (None: it does not)."""

    block: Tree
    http: Tree
    names: list[str]
    public: list[str]
    is_secure: bool
    redirection: Redirection | None

    @property
    def where(self) -> str:
        if self.public:
            return f"site {self.public[0]}"
        return f"server {' '.join(self.names) or 'without server_name'}"

    @property
    def addresses(self) -> list[str]:
        """What it listens at."""
        return [entry["args"][0] for entry in all_of(self.block, "listen")]


def _read_server(block: Tree, http: Tree) -> Server:
    names = [name for entry in all_of(block, "server_name") for name in entry["args"]]
    public = [name for name in names if re.fullmatch(HOST_NAME, name)]
    listens = [entry["args"] for entry in all_of(block, "listen")]
    is_secure = any("ssl" in args or "443" in args[0] for args in listens)
    redirection = locations.redirect(block, "/") if all_of(block, "return") else None
    if redirection and (not is_secure or "$" in str(redirection["to"])):
        redirection = None
    return Server(block, http, names, public, is_secure, redirection)


def _server(server: Server, upstreams: dict[str, list[str]], result: Sites, present: set[tuple[str, bool]]) -> None:
    """Adds what a server serves to `result`. `present` has the servers so far: a name, and is it by HTTPS."""
    if not (server.redirection or _has_answers(server)):
        # What sends a name on to itself by HTTPS the program does by itself
        if server.public and server.is_secure:
            result.remarks.append(unfit(server.where, "answers nothing that a site can have: it is left out"))
        return
    if remark := _why_no_site(server, present):
        result.remarks.append(remark)
        return
    site = server.public[0]
    present.add((site, server.is_secure))
    facts = result.facts.setdefault(site, SiteFacts())
    _names(server, facts, result.remarks)
    _headers(server, facts, result.remarks)
    if server.redirection:
        facts.redirects.append(server.redirection)
        return
    if answers := all_of(server.block, "return"):
        answer = " ".join(answers[0]["args"])
        result.remarks.append(unfit(server.where, f"answers return {answer} before its locations: it is closed"))
        facts.shut = True
        return
    if rewrites := [entry for entry in server.block if entry["directive"] == "rewrite"]:
        words = "; ".join(" ".join(entry["args"]) for entry in rewrites)
        result.remarks.append(unfit(server.where, f"rewrite {words}: not taken over"))
    locations.patterns(server.where, facts, server.block, result.remarks)
    result.routes.extend(_routes(server, SiteReading(site, facts, upstreams, result.remarks)))


def _has_answers(server: Server) -> bool:
    """Does it serve anything but proofs of its name, and redirects to itself by HTTPS."""
    blocks = [entry for entry in all_of(server.block, "location") if "acme-challenge" not in entry["args"][-1]]
    return any(_answers(inside(entry)) for entry in blocks) or bool(all_of(server.block, "root") and server.is_secure)


def _why_no_site(server: Server, present: set[tuple[str, bool]]) -> Remark | None:
    """Why a server that answers is left out."""
    addresses = server.addresses
    if addresses and all(PRIVATE.match(address) for address in addresses):
        words = ", ".join(addresses)
        return unfit(server.where, f"listens at {words} only, so it is no public site: it is left out")
    if not server.public:
        text = "no public name: the catalogue's sites have one each; its locations are left out"
        return unfit(server.where, text)
    if (server.public[0], server.is_secure) in present:
        return unfit(server.where, "is a second server of this name, which Nginx ignores: it is left out")
    return None


def _names(server: Server, facts: SiteFacts, remarks: list[Remark]) -> None:
    if not server.is_secure:
        text = "is served without encryption: the program gets a certificate, and sends port 80 to 443"
        remarks.append(unfit(server.where, text))
    facts.aliases += [name for name in server.public[1:] if name not in facts.aliases]
    if patterns := [name for name in server.names if name not in server.public and name != "_"]:
        words = ", ".join(patterns)
        remarks.append(unfit(server.where, f"its other names {words}: a site needs whole names; left out"))


def _headers(server: Server, facts: SiteFacts, remarks: list[Remark]) -> None:
    """The headers of all its answers, and their compression."""
    headers = serving.plain_headers(server.where, server.block, remarks)
    if server.is_secure:
        # Browsers are not kept from asking a name without encryption that they were not kept from before
        facts.has_hsts = "strict-transport-security" in {name.lower() for name in headers}
    if headers.get("Strict-Transport-Security") == HSTS:
        del headers["Strict-Transport-Security"]
    facts.headers.update(headers)
    around = [server.block, server.http]
    facts.compress = nearest_value(around, "gzip") == "on" and nearest_value(around, "gzip_types") is not None


def _routes(server: Server, reading: SiteReading) -> Iterator[RouteDraft]:
    """The locations that lead to services, each with the comment above it. What the others serve goes to the facts."""
    comment = ""
    for entry in server.block:
        if entry["directive"] == "location":
            around = [inside(entry), server.block, server.http]
            if route := locations.location(reading, locations.split(entry), around, comment):
                yield route
        comment = entry.get("comment", "").strip() if entry["directive"] == "#" else ""
    paths = [locations.split(entry)["args"][-1:] for entry in all_of(server.block, "location")]
    if all_of(server.block, "root") and ["/"] not in paths:
        rest: Directive = {"directive": "location", "args": ["/"], "block": []}
        locations.location(reading, rest, [[], server.block, server.http], "")


def _answers(block: Tree) -> bool:
    """Is it more than what sends a client on to HTTPS, or proves a name."""
    names = {entry["directive"] for entry in block}
    if names & {"proxy_pass", "alias", "try_files", "root"}:
        return True
    return any(
        "$host" not in " ".join(entry["args"]) and entry["args"][0] in REDIRECTS for entry in all_of(block, "return")
    )


def shared_cors(routes: list[RouteDraft]) -> CorsFields:
    """What CORS allows on most routes of a site: the site's own."""
    policies = [route.cors for route in routes if route.cors]
    counted = Counter(repr(cors) for cors in policies)
    most = (cors for cors in policies if repr(cors) == counted.most_common(1)[0][0])
    return next(most, CorsFields())
