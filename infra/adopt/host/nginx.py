"""Nginx's configuration as it runs: sites, what their locations lead to, and what is not public. Pure but for
crossplane, which reads files only."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypedDict, cast
from urllib.parse import urlsplit

import crossplane  # pyright: ignore[reportMissingTypeStubs] - it has none

from catalogue.fields import HOST_NAME
from catalogue.site_values import HSTS
from infra.adopt.host import locations, serving
from infra.adopt.host.locations import REDIRECTS, RouteDraft, SiteFacts, SiteReading
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
    def cors(self) -> dict[str, dict[str, Any]]:
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
    named, result = upstreams(http), Sites()
    public_locations: set[tuple[str, bool]] = set()
    for server in (inside(entry) for entry in http if entry["directive"] == "server"):
        _server(server, http, named, result, public_locations)
    for name, facts in result.facts.items():
        if facts.shut:
            facts.close("/")
        # Of what is closed nothing is led to, whatever else was found of it
        shut = [route for route in result.routes if route.site == name and _is_closed(route.public, facts)]
        result.remarks.extend(
            unfit(
                f"site {name}: location {r.public}",
                "a part of it is guarded in a way that cannot be said: it is closed",
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


def resolve_upstreams(tree: Tree, named: dict[str, list[str]]) -> Tree:
    """The same, where what leads to a group of one server leads to that server."""
    entries: Tree = []
    for entry in tree:
        resolved = entry.copy()
        args = entry["args"]
        if entry["directive"] == "proxy_pass" and len(servers := named.get(urlsplit(args[0]).netloc, [])) == 1:
            resolved["args"] = [args[0].replace(f"//{urlsplit(args[0]).netloc}", f"//{servers[0]}", 1)]
        if "block" in entry:
            resolved["block"] = resolve_upstreams(entry["block"], named)
        entries.append(resolved)
    return entries


def _is_closed(public: str, facts: SiteFacts) -> bool:
    # A pattern comes before any path that it is about, however long that is
    return facts.shut or public in facts.closed or public.startswith(tuple(facts.barred))


def _server(
    server: Tree, http: Tree, upstreams: dict[str, list[str]], result: Sites, public_locations: set[tuple[str, bool]]
) -> None:
    names = [name for entry in all_of(server, "server_name") for name in entry["args"]]
    public = [name for name in names if re.fullmatch(HOST_NAME, name)]
    listens = [entry["args"] for entry in all_of(server, "listen")]
    is_secure = any("ssl" in args or "443" in args[0] for args in listens)
    blocks = all_of(server, "location")
    where = f"site {public[0]}" if public else f"server {' '.join(names) or 'without server_name'}"
    elsewhere = locations.redirect(server, "/") if all_of(server, "return") else None
    sends_on = elsewhere and is_secure and "$" not in str(elsewhere["to"])
    answers = any(_answers(inside(entry)) for entry in blocks if "acme-challenge" not in entry["args"][-1]) or bool(
        all_of(server, "root") and is_secure
    )
    if not (answers or sends_on):
        # What sends a name on to itself by HTTPS the program does by itself
        if public and is_secure:
            result.remarks.append(unfit(where, "answers nothing that a site can have: it is left out"))
        return
    if listens and all(PRIVATE.match(args[0]) for args in listens):
        words = ", ".join(args[0] for args in listens)
        result.remarks.append(unfit(where, f"listens at {words} only, so it is no public site: it is left out"))
        return
    if not public:
        text = "no public name: the catalogue's sites have one each; its locations are left out"
        result.remarks.append(unfit(where, text))
        return
    site = public[0]
    if (site, is_secure) in public_locations:
        result.remarks.append(unfit(where, "is a second server of this name, which Nginx ignores: it is left out"))
        return
    public_locations.add((site, is_secure))
    if not is_secure:
        text = "is served without encryption: the program gets a certificate, and sends port 80 to 443"
        result.remarks.append(unfit(where, text))
    facts = result.facts.setdefault(site, SiteFacts())
    facts.aliases += [name for name in public[1:] if name not in facts.aliases]
    if strange := [name for name in names if name not in public and name != "_"]:
        result.remarks.append(unfit(where, f"its other names {', '.join(strange)}: a site needs whole names; left out"))
    headers = serving.plain_headers(where, server, result.remarks)
    if is_secure:
        # Browsers are not kept from asking a name without encryption that they were not kept from before
        facts.has_hsts = "strict-transport-security" in {name.lower() for name in headers}
    if headers.get("Strict-Transport-Security") == HSTS:
        del headers["Strict-Transport-Security"]
    facts.headers.update(headers)
    facts.compress = (
        nearest_value([server, http], "gzip") == "on" and nearest_value([server, http], "gzip_types") is not None
    )
    if sends_on and elsewhere:
        facts.redirects.append(elsewhere)
        return
    if all_of(server, "return"):
        answer = " ".join(all_of(server, "return")[0]["args"])
        result.remarks.append(unfit(where, f"answers return {answer} before its locations: it is closed"))
        facts.shut = True
        return
    if lost := [e for e in server if e["directive"] == "rewrite"]:
        words = "; ".join(" ".join(entry["args"]) for entry in lost)
        result.remarks.append(unfit(where, f"rewrite {words}: not taken over"))
    locations.patterns(where, facts, server, result.remarks)
    reading = SiteReading(site, facts, upstreams, result.remarks)
    comment = ""
    for entry in server:
        if entry["directive"] == "location":
            around = [inside(entry), server, http]
            route = locations.location(reading, locations.split(entry), around, comment)
            result.routes.extend([route] if route else [])
        comment = entry.get("comment", "").strip() if entry["directive"] == "#" else ""
    if all_of(server, "root") and not any(locations.split(entry)["args"][-1:] == ["/"] for entry in blocks):
        rest: Directive = {"directive": "location", "args": ["/"], "block": []}
        locations.location(reading, rest, [[], server, http], "")


def _answers(block: Tree) -> bool:
    """Is it more than what sends a client on to HTTPS, or proves a name."""
    names = {entry["directive"] for entry in block}
    if names & {"proxy_pass", "alias", "try_files", "root"}:
        return True
    return any(
        "$host" not in " ".join(entry["args"]) and entry["args"][0] in REDIRECTS for entry in all_of(block, "return")
    )


def shared_cors(routes: list[RouteDraft]) -> dict[str, Any]:
    """What CORS allows on most routes of a site: the site's own."""
    policies = [route.cors for route in routes if route.cors]
    counted = Counter(repr(cors) for cors in policies)
    most = (cors for cors in policies if repr(cors) == counted.most_common(1)[0][0])
    return next(most, dict[str, Any]())
