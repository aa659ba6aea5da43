"""How a location of Nginx serves: who may ask, with which headers, limits and times, as a route says it. What guards a
path and cannot be said closes it: a path that was protected is never an open route. Pure."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import NotRequired, TypedDict, get_args

from catalogue.fields import HOST_NAME, Method
from catalogue.masking import MARK
from catalogue.shapes import CorsFields, RouteFields
from catalogue.site_values import HSTS, OWN_HEADERS
from catalogue.sizes import format_size
from infra.adopt.host.remarks import Remark, unfit

METHODS = get_args(Method)
OWN_ADDRESS = re.compile(r"http://(127\.0\.0\.1|localhost)(:\d+)?/")
OWN_PAGES = ("/.infra-", "@restarting", "@gate")  # of the program's own sites
MISSING = "MISSING"  # stands where a file is included that was not read
VARIABLE = re.compile(r"\$[A-Za-z0-9_{]")
CORS = "access-control-allow-"
# Of Nginx's own `if`: a browser's question, which the proxy answers here too
PREFLIGHT = re.compile(r"\(?\$request_method\s*=\s*[\"']?OPTIONS[\"']?\)?")
HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
# Directives that let in only some, in words that a site has not: of known modules, and of others by their names
OTHER_GUARDS = re.compile(
    r"secure_link\w*|valid_referers|limit_except|auth_(?!basic|request)\w+|access_by\w*|\w+_by_lua\w*|js_(?!import|path|var)\w+"
    r"|modsecurity|MISSING"
)
# What a location says and a route does not, and what becomes of that
LOST = re.compile(
    r"proxy_(redirect|cookie_\w+|hide_header|cache\w*|intercept_errors|method|set_body)"
    r"|sub_filter\w*|limit_rate\w*|error_page|mirror\w*|expires|more_\w+_headers|limit_req_(status|dry_run)|addition_types"
    r"|add_(before|after)_body|image_filter\w*|charset|real_ip_header|set_real_ip_from"
)


class Directive(TypedDict):
    """As crossplane has it: `block` of those that have one, `comment` of a line that is one."""

    directive: str
    args: list[str]
    block: NotRequired["Tree"]
    comment: NotRequired[str]


Tree = list[Directive]


@dataclass
class LocationSettings:
    """`settings` are fields of a route; `closed` says why the path cannot be public, "" where it can."""

    settings: RouteFields = field(default_factory=RouteFields)
    closed: str = ""


def _is_own(entry: Directive) -> bool:
    """What Nginx does anyway, and our sites say: the service's own address in a redirect is that of its path."""
    if entry["directive"] != "proxy_redirect":
        return False
    return entry["args"][0] == "default" or bool(OWN_ADDRESS.match(entry["args"][0]) and entry["args"][-1][:1] == "/")


def location_settings(where: str, around: list[Tree], remarks: list[Remark]) -> LocationSettings:
    """Of a location: `around` are its own directives, its server's and all servers'."""
    result = LocationSettings()
    guards(around, result)
    _limits(where, around, result.settings, remarks)
    _headers(where, around, result.settings, remarks)
    _request_headers(where, around, result.settings, remarks)
    directives = [entry for block in around[:2] for entry in block if LOST.fullmatch(entry["directive"])]
    directives = [entry for entry in directives if not (entry["args"][-1].startswith(OWN_PAGES) or _is_own(entry))]
    lost = [entry["directive"] for entry in directives]
    if lost:
        remarks.append(unfit(where, f"{', '.join(dict.fromkeys(lost))}: not taken over"))
    if (result.settings.get("allow") or result.settings.get("deny")) and any(
        all_of(block, "set_real_ip_from") for block in around
    ):
        result.closed = "lets in networks by addresses that a proxy before it says (set_real_ip_from)"
    return result


def inside(entry: Directive) -> Tree:
    """What stands in a directive's block; nothing where it has none."""
    return entry.get("block", [])


def all_of(block: Tree, name: str) -> Tree:
    return [entry for entry in block if entry["directive"] == name]


def _nearest(around: list[Tree], name: str) -> Tree:
    """Those of the nearest level that has some."""
    return next(filter(None, (all_of(block, name) for block in around)), Tree())


def nearest_value(around: list[Tree], name: str) -> str | None:
    """The first word of what is nearest."""
    return next(
        (entries[-1]["args"][0] for block in around if (entries := all_of(block, name)) and entries[-1]["args"]), None
    )


def guards(around: list[Tree], result: LocationSettings) -> None:
    location = around[0]
    if all_of(location, "internal"):
        result.closed = "internal: only Nginx itself asks there"
    realm = nearest_value(around, "auth_basic")
    if realm not in (None, "off"):
        file = nearest_value(around, "auth_basic_user_file") or "a file"
        result.closed = f"asks for passwords of {file}, which their hashes do not reveal: add basic_auth, and set them"
    gate = nearest_value(around, "auth_request")
    if gate not in (None, "off"):
        result.closed = f"asks {gate} first (auth_request): add forward_auth with the service that answers there"
    if nearest_value(around, "satisfy") == "any":
        result.closed = "lets in those of a network, or with a password (satisfy any): a route asks for both"
    if nearest_value(around, "ssl_verify_client") not in (None, "off"):
        file = nearest_value(around, "ssl_client_certificate") or "a file"
        result.closed = f"asks for clients' certificates of {file}: put it below files/static/, and say client_ca"
    for entry in [entry for block in around for entry in block]:
        if OTHER_GUARDS.fullmatch(entry["directive"]):
            what = (
                "includes a file that cannot be read" if entry["directive"] == MISSING else f"has {entry['directive']}"
            )
            result.closed = f"{what}, for which a route has no word"
    for entry in [entry for block in around[:2] for entry in all_of(block, "if")]:
        condition = " ".join(entry["args"])
        if _decides(inside(entry)) and not (PREFLIGHT.search(condition) or _is_of_scheme(condition)):
            result.closed = f"decides by a condition, if {condition}, for which a route has no word"
    if any(not is_of_hidden_files(entry) for entry in all_of(location, "location")):
        result.closed = "has locations in it, for which a route has no word"
    if not result.closed:
        result.closed = _networks(around, result.settings)


def _decides(block: Tree) -> bool:
    """Does what stands below a condition give another answer, or lead elsewhere."""
    return any(entry["directive"] in ("return", "rewrite", "proxy_pass", "deny", "allow", "break") for entry in block)


def _is_of_scheme(condition: str) -> bool:
    """Is it about HTTPS alone, which the program sends all to, or of the program's own."""
    return bool(re.search(r"\$infra_|\$(scheme|https|server_port|http_x_forwarded_proto)\b", condition))


def is_of_hidden_files(entry: Directive) -> bool:
    """Does a location within another only keep hidden files back, as the program's own sites do."""
    return entry["args"][:1] in (["~"], ["~*"]) and entry["args"][1].startswith(r"/\.") and refuses(inside(entry))


def refuses(block: Tree) -> bool:
    """Is the answer, for all clients, that there is nothing."""
    codes = [entry["args"][0] for entry in all_of(block, "return") if entry["args"]]
    rules = [(e["directive"], *e["args"]) for e in block if e["directive"] in ("allow", "deny")]
    return (bool(codes) and bool(re.fullmatch(r"[45]\d\d", codes[0]))) or rules[:1] == [("deny", "all")]


def _networks(around: list[Tree], settings: RouteFields) -> str:
    """Adds allow and deny; or why they cannot be said. A level with some has none of those above it."""
    of_levels = ([e for e in block if e["directive"] in ("allow", "deny")] for block in around)
    rules = next(filter(None, of_levels), Tree())
    networks: dict[str, list[str]] = {"allow": [], "deny": []}
    ends = ""
    for number, entry in enumerate(rules):
        kind, what = entry["directive"], entry["args"][0]
        if what == "all":
            if number == 0 and kind == "deny":
                return "is closed to all (deny all)"
            ends = kind
            break
        try:
            network = ip_network(what, strict=False)
        except ValueError:
            network = None
        # Python takes whatever follows a %
        if network is None or "%" in what:
            return f"has {kind} {what}, which is no network"
        if kind == "deny" and networks["allow"]:
            return "has deny after allow; in a route, deny takes precedence"
        networks[kind].append(str(network))
    if ends == "deny" and not networks["allow"]:
        return "is closed to all (deny all)"
    # Without `deny all` what is allowed is what would be anyhow
    settings |= {"deny": networks["deny"]} if networks["deny"] else {}
    settings |= {"allow": networks["allow"]} if ends == "deny" else {}
    return ""


def _limits(where: str, around: list[Tree], settings: RouteFields, remarks: list[Remark]) -> None:
    for directive, name in (("limit_req", "rate"), ("limit_conn", "connections")):
        limits = _nearest(around, directive)
        if not limits:
            continue
        args = limits[0]["args"]
        zone = args[0].removeprefix("zone=")
        zone_args = [
            e["args"]
            for e in all_of(around[2], f"{directive}_zone")
            if any(a.startswith(f"zone={zone}:") for a in e["args"])
        ]
        client = zone_args and zone_args[0][0] in ("$binary_remote_addr", "$remote_addr")
        if len(limits) > 1 or not client:
            remarks.append(
                unfit(
                    where, f"{directive} {' '.join(args)}: a limit of a route counts clients by address, once; left out"
                )
            )
        elif (
            name == "connections"
            and len(args) > 1
            and re.fullmatch(r"[0-9]{1,5}", args[1])
            and 0 < int(args[1]) < 65536
        ):
            settings[name] = int(args[1])
        elif rate := re.search(r"rate=([0-9]+)r/([sm])", " ".join(zone_args[0])):
            burst = min(next((int(a[6:][:9]) for a in args if re.fullmatch(r"burst=[0-9]+", a)), 0), 100000)
            settings[name] = {
                "requests": int(rate[1][:9]),
                "per": {"s": "second", "m": "minute"}[rate[2]],
                "burst": burst,
            }


def headers_of(block: Tree) -> dict[str, str]:
    return {entry["args"][0]: entry["args"][1] for entry in all_of(block, "add_header") if len(entry["args"]) > 1}


def plain_headers(where: str, block: Tree, remarks: list[Remark]) -> dict[str, str]:
    """Those of answers that are no CORS, and mean what they say."""
    own = headers_of(block)
    headers = {name: value for name, value in own.items() if not name.lower().startswith("access-control-")}
    for name in [name for name, value in headers.items() if VARIABLE.search(value) or MARK in value]:
        why = "may hold a secret" if MARK in headers[name] else "contains an Nginx variable"
        text = f"header {name} is left out: its value {why}, and the catalogue takes literal values only"
        remarks.append(unfit(where, text))
        del headers[name]
    return headers


def _headers(where: str, around: list[Tree], settings: RouteFields, remarks: list[Remark]) -> None:
    """Those that a location has beside its server's, which it has again where it has any."""
    of_server = {"Strict-Transport-Security": HSTS, **headers_of(around[1])}
    headers = plain_headers(where, around[0], remarks)
    if own := {name: value for name, value in headers.items() if of_server.get(name) != value}:
        settings["headers"] = own
    if headers and (more := sorted({*plain_headers(where, around[1], [])} - {*headers})):
        text = f"has headers of its own, and so none of its server's: it gets {', '.join(more)} too"
        remarks.append(unfit(where, text))


def _request_headers(where: str, around: list[Tree], settings: RouteFields, remarks: list[Remark]) -> None:
    directives = _nearest(around, "proxy_set_header")
    headers: dict[str, str] = {}
    for name, value in (entry["args"] for entry in directives if len(entry["args"]) == 2):
        if name.lower() in OWN_HEADERS or name.lower() in ("http2-settings",):
            continue
        if MARK in value:
            text = (
                f"its request header {name} has a secret for a value, which no file of the project may have: left out"
            )
            remarks.append(unfit(where, text))
        elif VARIABLE.search(value):
            remarks.append(unfit(where, f"its request header {name} has a variable for a value: left out"))
        else:
            headers[name] = value
    if headers:
        settings["request_headers"] = headers


def cors(where: str, around: list[Tree], remarks: list[Remark]) -> CorsFields | None:
    """What CORS allows, by the fields of the catalogue, without what is the default; None where there is none. A
    location with headers of its own has none of its server's."""
    headers = next((own for block in around if (own := headers_of(block))), dict[str, str]())
    by_lower_name = {name.lower(): value for name, value in headers.items()}
    methods = by_lower_name.get(f"{CORS}methods")
    if methods is None:
        return None
    method_names = [name for name in re.split(r"[,\s]+", methods.upper()) if name]
    if strange := [name for name in method_names if name not in METHODS]:
        remarks.append(unfit(where, f"CORS for {', '.join(strange)}: the catalogue has {', '.join(METHODS)}"))
    policy: CorsFields = {"methods": [name for name in method_names if name in METHODS]}
    origin = by_lower_name.get(f"{CORS}origin", "*")
    if ORIGIN.fullmatch(origin):
        policy["origins"] = [origin]
        if by_lower_name.get(f"{CORS}credentials") == "true":
            policy["credentials"] = True
    elif origin != "*":
        text = f"CORS for {origin}: origins are * or such as https://app.example.com; taken as *, without cookies"
        remarks.append(unfit(where, text))
    names = re.split(r"[,\s]+", by_lower_name.get(f"{CORS}headers", ""))
    request_headers = [name for name in names if HEADER.fullmatch(name)]
    if request_headers and {name.lower() for name in request_headers} != {"content-type", "authorization"}:
        policy["headers"] = request_headers
    exposed = [
        name
        for name in re.split(r"[,\s]+", by_lower_name.get("access-control-expose-headers", ""))
        if HEADER.fullmatch(name)
    ]
    policy |= {"exposed": exposed} if exposed else {}
    age = by_lower_name.get("access-control-max-age", "")
    return policy | ({"max_age": min(int(age[:9]), 86400)} if re.fullmatch(r"[0-9]+", age) else {})


def size(where: str, value: str | None, remarks: list[Remark]) -> str | None:
    if value is None or re.fullmatch(r"[1-9]\d*[kmgKMG]", value):
        return value
    if re.fullmatch(r"[0-9]{1,15}", value) and int(value) and int(value) % 1024 == 0:
        kibibytes = int(value) // 1024
        return f"{kibibytes}k" if kibibytes % 1024 else format_size(kibibytes * 1024)
    remarks.append(unfit(where, f"client_max_body_size {value}: max_body is a whole number and k, m or g; taken as 1g"))
    return "1g"


def host_header(where: str, around: list[Tree], remarks: list[Remark]) -> str | None:
    """The Host that the service gets. A location with such headers of its own has none of its server's."""
    directives = _nearest(around, "proxy_set_header")
    headers = {entry["args"][0].lower(): entry["args"][1] for entry in directives if len(entry["args"]) == 2}
    host = headers.get("host", "$proxy_host")
    if host in ("$host", "$http_host", "$proxy_host", "$server_name"):
        return None
    if re.fullmatch(HOST_NAME, host):
        return host
    remarks.append(unfit(where, f"Host {host}: a route's host is a name such as api.example.com; left out"))
    return None
