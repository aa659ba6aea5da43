"""What is read off Nginx as a system says it: its sites, and the routes of its services. Pure."""

from typing import Any

from catalogue.rules.places import OWN_PAGE
from catalogue.stack import Stack
from infra.adopt.host import nginx
from infra.adopt.host.reading import Facts
from infra.adopt.host.remarks import Remark, unfit


def close(served: nginx.Sites, routes: list[nginx.Found]) -> None:
    """What is left out is closed, or the route above it would have its requests."""
    for route in routes:
        if not f"{route.public}/".startswith(OWN_PAGE) and route.public != "/":
            served.read[route.site].close(route.public)


def route_of(route: nginx.Found, several: bool, cors: dict[str, Any]) -> dict[str, Any]:
    own = {**(route.cors or {}), "methods": cors.get("methods")} if route.cors else None
    methods = route.cors["methods"] if route.cors and own == cors and route.cors != cors else None
    said: Any = None
    if cors and route.cors is None:
        said = False
    elif route.cors and route.cors != cors and methods is None:
        said = route.cors
    return {
        "public": route.public, "internal": route.internal, "site": route.site if several else None,
        "methods": methods, "cors": said, "max_body": route.max_body, "timeout": route.timeout,
        "host": route.asked_as, **route.more,
    }  # fmt: skip


def sites_of(
    served: nginx.Sites,
    led: set[tuple[str, str]],
    cors: dict[str, dict[str, Any]],
    facts: Facts,
    stack: Stack,
    remarks: list[Remark],
) -> list[dict[str, Any]]:
    made = []
    for name, read in served.read.items():
        taken = {public for site, public in led if site == name}
        taken |= {entry["public"] for entry in [*read.redirects, *read.static]}
        said = {
            "cors": cors[name] or None, "headers": read.headers or None, "redirects": read.redirects or None,
            "static": read.static or None, "compress": read.compress or None,
            "hsts": None if read.has_hsts else False,
            "closed": [path for path in read.closed if path not in taken] or None,
        }  # fmt: skip
        made.append({"name": name, "challenge": _challenge(name, facts, stack, remarks), **said})
        for alias in read.aliases:
            if alias not in served.read:
                made.append({"name": alias, "challenge": _challenge(alias, facts, stack, remarks), "alias_of": name})
    return made


def _challenge(name: str, facts: Facts, stack: Stack, remarks: list[Remark]) -> str:
    challenge, way = "dns-01" if stack.in_zone(name) else "http-01", facts["certificates"].get(name)
    if way is None:
        remarks.append(unfit(f"site {name}", "no certificate of certbot's has this name: it gets one"))
    elif way.startswith("dns-") != (challenge == "dns-01"):
        of = "inside" if challenge == "dns-01" else "outside"
        text = f"its certificate came by {way}: a name {of} infra:zone ({stack.zone}) is proved by {challenge}"
        remarks.append(unfit(f"site {name}", text))
    return challenge
