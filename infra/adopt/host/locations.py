"""What a location of Nginx leads to, and what of a site is not public: routes, redirects, files, closed paths. Pure."""

import re
from urllib.parse import urlsplit

from catalogue.shapes import RouteFields
from catalogue.site_values import SITE_PATH
from infra.adopt.host import serving
from infra.adopt.host.drafts import Place, Redirection, RouteDraft, SiteFacts, SiteReading, Target
from infra.adopt.host.passing import passing_settings
from infra.adopt.host.remarks import Remark, unfit
from infra.adopt.host.serving import Directive, Tree, all_of, inside, nearest_value

# What a location of files says, and nothing else
OF_FILES = {
    "root", "alias", "index", "try_files", "expires", "add_header", "allow", "deny", "access_log", "log_not_found",
    "gzip", "gzip_static", "gzip_types", "charset", "etag", "sendfile", "open_file_cache", "location", "#",
    "auth_basic", "auth_request", "satisfy", "default_type", "limit_req", "limit_conn", "tcp_nopush", "autoindex",
}  # fmt: skip
REDIRECTS = ("301", "302", "307", "308")
WHOLE = ("$request_uri", "$uri$is_args$args")
TARGET = re.compile(r"(https?://[a-z0-9.-]+(:[0-9]{1,5})?)?/([A-Za-z0-9._~%-]+/)*[A-Za-z0-9._~%-]*")


def split(entry: Directive) -> Directive:
    """A location whose kind and path are two words, as Nginx takes `=/x` too."""
    match = re.fullmatch(r"(\^~|=|~\*|~)(\S.*)", entry["args"][0]) if len(entry["args"]) == 1 else None
    return {**entry, "args": [match[1], match[2]]} if match else entry


def patterns(where: str, facts: SiteFacts, server: Tree, remarks: list[Remark]) -> None:
    """Locations by patterns: what they guard is closed as far as their beginning says, and no file of a directory is
    served beside them that they would run, or keep back."""
    for entry in map(split, all_of(server, "location")):
        if entry["args"][0] not in ("~", "~*") or serving.is_of_hidden_files(entry):
            continue
        guard = serving.LocationSettings()
        serving.guards([inside(entry), server, []], guard)
        only_some = bool(guard.closed or guard.settings)
        label = f"location {' '.join(entry['args'])}"
        begins = _beginnings(entry["args"][1])
        is_guarded = serving.refuses(inside(entry)) or only_some
        if is_guarded and begins:
            for begin in begins:
                facts.close(f"{begin.rstrip('/')}*")
            facts.barred += begins
            text = f"{label} is guarded: all that begins with {' or '.join(begins)} is closed"
            remarks.append(unfit(where, text))
        elif only_some:
            facts.shut = True
            remarks.append(
                unfit(
                    where,
                    f"{label} allows only some clients, and its pattern can match any path: the whole site is closed",
                )
            )
        elif is_guarded:
            text = f"{label} takes precedence over the routes above: add each path that it protects to closed"
            remarks.append(unfit(where, text))
        if any(e["directive"].endswith("_pass") for e in inside(entry)) or is_guarded:
            facts.runs = True


def _beginnings(pattern: str) -> list[str]:
    """What each path begins with that a pattern is about; nothing where that can be anything."""
    match = re.match(r"\^(/[A-Za-z0-9_/-]*)(\(([A-Za-z0-9_/|-]+)\))?", pattern)
    if not match:
        return []
    rest = pattern[match.end() :][:1]
    begins = [f"{match[1]}{word}" for word in (match[3] or "").split("|")]
    # A letter that may be missing is none of the beginning
    begins = [begin[:-1] for begin in begins] if rest in ("?", "*", "{") and not match[2] else begins
    is_whole = not (match[2] and rest in ("?", "*", "{"))
    return begins if is_whole and all(len(begin) > 1 for begin in begins) else []


def location(reading: SiteReading, entry: Directive, around: list[Tree], comment: str) -> RouteDraft | None:
    """What a location leads to. One that leads to no service is a redirect or files; one that cannot be said is closed,
    or what is above it would answer in its place."""
    remarks = reading.remarks
    place = _place(reading.site, entry)
    if place.path.startswith("@"):
        return None
    around, fallback = _with_fallback(place, entry, around, remarks)
    has_proxy = bool(all_of(around[0], "proxy_pass")) and not all_of(around[0], "return")
    served = serving.location_settings(place.where, around, remarks)
    if place.is_pattern:
        if has_proxy:
            remarks.append(unfit(place.where, "is a pattern, but a route must be a path: it is left out"))
        return None
    if not SITE_PATH.fullmatch(place.path) or "//" in place.path:
        _leave_out(reading, place)
        return None
    if place.is_own and not has_proxy:
        return None
    closed = served.closed or fallback.closed
    if closed or serving.refuses(around[0]):
        _keep_closed(reading, place, closed if not serving.refuses(around[0]) else "", is_guarded=bool(closed))
        return None
    if not has_proxy:
        without_service(reading, place, around, served.settings)
        return None
    target = _service(reading, place, around[0])
    paths = target and _paths(reading, place, target, served.settings)
    if target is None or paths is None:
        _close(reading.facts, place)
        return None
    public, internal = paths
    default = "/" if public.endswith("/") else public
    passing = passing_settings(place.where, around, remarks)
    return RouteDraft(
        reading.site, public, None if internal == default else internal, target.host, target.port, comment,
        serving.cors(place.where, around, remarks),
        serving.size(place.where, nearest_value(around, "client_max_body_size"), remarks),
        passing.pop("timeout", None), serving.host_header(place.where, around, remarks), {**served.settings, **passing},
    )  # fmt: skip


def _place(site: str, entry: Directive) -> Place:
    args = entry["args"]
    kind, path = ("", args[0]) if len(args) == 1 else (args[0], args[1])
    return Place(f"site {site}: location {' '.join(args)}", kind, path)


def _with_fallback(
    place: Place, entry: Directive, around: list[Tree], remarks: list[Remark]
) -> tuple[list[Tree], serving.LocationSettings]:
    """The blocks around, and the settings of the named location that answers where there is no file: what that says
    stands in place of `try_files`, where it leads to a service."""
    inner = _behind_files(entry, around[1])
    if not inner:
        return around, serving.LocationSettings()
    settings = serving.location_settings(place.where, [inner, *around[1:]], [])
    text = "serves files where they exist, else a service: the service answers all requests"
    remarks.append(unfit(place.where, text))
    return [[e for e in inside(entry) if e["directive"] != "try_files"] + inner, *around[1:]], settings


def _leave_out(reading: SiteReading, place: Place) -> None:
    """A location whose path no route may have: what begins as it does, as far as a path can say it, is closed."""
    text = "has characters that no route may have: it is left out, and all paths that begin so are closed"
    reading.remarks.append(unfit(place.where, text))
    begin = re.match(r"/[A-Za-z0-9._~/-]*", place.path)
    reading.facts.close(f"{begin[0].rstrip('/')}*" if begin and len(begin[0]) > 1 else "/")


def _keep_closed(reading: SiteReading, place: Place, reason: str, *, is_guarded: bool) -> None:
    """A location that answers no client, or, with `is_guarded`, only some."""
    if reason:
        reading.remarks.append(unfit(place.where, f"{reason}; until then it is closed (404)"))
    if not place.is_own and (place.path != "/" or is_guarded):
        _close(reading.facts, place)


def _service(reading: SiteReading, place: Place, block: Tree) -> Target | None:
    """Where a location's `proxy_pass` leads; None, with a remark, where no route can lead there."""
    passed = all_of(block, "proxy_pass")[0]["args"][0]
    target = _target(passed, reading.upstreams)
    if isinstance(target, str):
        reading.remarks.append(unfit(place.where, f"proxy_pass {passed}: {target}; it is left out, and closed"))
        return None
    rewrites = all_of(block, "rewrite")
    if not rewrites:
        return target
    internal = _rewrite_target(place.path, rewrites[0]["args"]) if len(rewrites) == 1 and target.path is None else None
    if internal is None:
        reading.remarks.append(unfit(place.where, "rewrite: it is left out, and closed"))
        return None
    return Target(target.host, target.port, internal)


def _paths(reading: SiteReading, place: Place, target: Target, settings: RouteFields) -> tuple[str, str] | None:
    """The path outside and that inside; None, with a remark, where a route cannot have them."""
    path, internal = place.path, place.path if target.path is None else target.path
    if place.kind == "=":
        public = path.rstrip("/") or "/"
        if internal != public or public == "/" or path != public:
            text = f"leads to {internal}: a single page must keep its path: it is left out, and closed"
            reading.remarks.append(unfit(place.where, text))
            return None
        return public, internal
    if path.endswith("/") and internal.endswith("/"):
        return path, internal
    public, internal = f"{path.rstrip('/')}/", f"{internal.rstrip('/')}/"
    text = f"is taken as {public}, {internal} inside: all below a path ends with / on both sides"
    reading.remarks.append(unfit(place.where, text))
    if set(settings) & {"allow", "deny"}:
        # What begins so and is not below it would be open
        reading.facts.close(f"{path}*")
    return public, internal


def _rewrite_target(path: str, args: list[str]) -> str | None:
    """The path inside, of the rewrite that takes a location's own path off or puts another in its place."""
    if args[2:] != ["break"] or args[0] not in (f"^{path}(.*)", f"^{path}(.*)$", f"^{path}?(.*)$"):
        return None
    return args[1].removesuffix("$1") if re.fullmatch(r"/[A-Za-z0-9._~/-]*\$1", args[1]) else None


def _close(facts: SiteFacts, place: Place) -> None:
    """A path of Nginx's without its last / stands for all that begins with it."""
    # A page whose path ends in / is, to a route, all that is below it
    is_alone = place.kind == "=" or place.path.endswith("/")
    facts.close(place.path if is_alone else f"{place.path}*")


def without_service(reading: SiteReading, place: Place, around: list[Tree], settings: RouteFields) -> None:
    """A redirect, files, or what is neither and so closed."""
    facts, remarks, location = reading.facts, reading.remarks, around[0]
    where, kind, path = place.where, place.kind, place.path
    public = path if kind == "=" or path.endswith("/") else f"{path}/"
    if all_of(location, "return") and (redirection := redirect(location, public)) and "$" not in str(redirection["to"]):
        if kind == "=" and public == "/":
            remarks.append(unfit(where, "redirects the page / alone, which a site cannot do: it is left out"))
        elif redirection["public"] not in {entry["public"] for entry in facts.redirects}:
            facts.redirects.append(redirection)
        return
    if any("https://$host" in " ".join(entry["args"]) for entry in all_of(location, "return")):
        # By HTTPS, to which the program sends all by itself
        return
    folder = _files(location, around[1])
    others = {entry["directive"] for entry in location} - OF_FILES
    directory = folder["args"][0].rstrip("/") if folder else ""
    if folder and folder["directive"] == "root" and path != "/":
        directory = f"{directory}{path.rstrip('/')}"
    tries = [arg for entry in all_of(location, "try_files") for arg in entry["args"]]
    last = tries[-1] if tries else ""
    fallback = last.removeprefix(path).split("?")[0] if last.startswith(path) and "$" not in last else None
    is_page = fallback is None or fallback.endswith((".html", ".htm"))
    plain = kind != "=" and path.endswith("/") and directory.startswith("/") and not has_variable(directory)
    if plain and is_page and not others and not last.startswith("@") and not facts.runs:
        cors = serving.cors(where, around, remarks)
        facts.static.append(
            {"public": path, "directory": directory, "fallback": fallback, "cors": cors or False, **settings}
        )
        return
    names = dict.fromkeys(entry["directive"] for entry in location if entry["directive"] != "#")
    why = ", of which a program runs some, or some are kept back" if facts.runs and plain else ""
    remarks.append(
        unfit(where, f"{', '.join(names) or 'files'}{why}: neither a route, nor files, nor a redirect: it is closed")
    )
    _close(facts, place)


def _files(block: Tree, server: Tree) -> Directive | None:
    """The directive that names the directory whose files a location serves."""
    own = next((candidate for name in ("alias", "root") for candidate in all_of(block, name)), None)
    return own or next(iter(all_of(server, "root")), None)


def _behind_files(entry: Directive, server: Tree) -> Tree:
    """What answers where there is no file: a named location that leads to a service; nothing where there is none."""
    tries = [arg for inner in all_of(inside(entry), "try_files") for arg in inner["args"]]
    blocks = [inside(other) for other in all_of(server, "location") if tries and other["args"] == tries[-1:]]
    return blocks[0] if blocks and tries[-1].startswith("@") and all_of(blocks[0], "proxy_pass") else []


def has_variable(text: str) -> bool:
    return bool(serving.VARIABLE.search(text))


def redirect(block: Tree, public: str) -> Redirection | None:
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


def _target(address: str, upstreams: dict[str, list[str]]) -> Target | str:
    """What the address of a `proxy_pass` leads to, or why that is no service."""
    if "$" in address:
        return "a variable, and a route leads to one service"
    parts = urlsplit(address)
    if parts.scheme != "http":
        return f"{parts.scheme}, and services are asked by http on the host itself"
    servers = upstreams.get(parts.netloc, [parts.netloc])
    if len(servers) != 1:
        return f"{len(servers)} servers take turns there, and a route leads to one service"
    try:
        place = urlsplit(f"//{servers[0]}")
        return Target(place.hostname or "", place.port or 80, parts.path or None)
    except ValueError:
        return "no host and port"
