"""What is read off Nginx as a system says it: its sites, and the routes of its services. Pure."""

from typing import Any

from pydantic import ValidationError

from catalogue.rules.places import OWN_PAGE
from catalogue.serving import Cors
from catalogue.shapes import CorsFields, RouteFields, SiteFields
from catalogue.sites import Site
from catalogue.stack import Stack
from catalogue.validation import Document, problems_of
from infra.adopt.host import nginx
from infra.adopt.host.documents import Facts
from infra.adopt.host.remarks import Remark, unfit


def close(served: nginx.Sites, routes: list[nginx.RouteDraft]) -> None:
    """What is left out is closed, or the route above it would have its requests."""
    for route in routes:
        if not f"{route.public}/".startswith(OWN_PAGE) and route.public != "/":
            served.facts[route.site].close(route.public)


# What goes without saying of CORS
WHOLE = Cors().model_dump(exclude={"methods", "max_age"})


def route_of(route: nginx.RouteDraft, several: bool, cors: CorsFields) -> RouteFields:
    """What a route does not say of CORS its site says: so it says all that is other."""
    methods = None
    cors_value: Any = None
    if cors and route.cors is None:
        cors_value = False
    elif route.cors and route.cors != cors:
        if {**route.cors, "methods": 0} == {**cors, "methods": 0}:
            methods = route.cors.get("methods")
        else:
            cors_value = {**WHOLE, **route.cors} if cors else route.cors
    return {
        "public": route.public, "internal": route.internal, "site": route.site if several else None,
        "methods": methods, "cors": cors_value, "max_body": route.max_body, "timeout": route.timeout,
        "host": route.host_header, **route.more,
    }  # fmt: skip


def sites_of(
    served: nginx.Sites, led: set[tuple[str, str]], facts: Facts, stack: Stack, remarks: list[Remark]
) -> list[SiteFields]:
    """The sites as the catalogue has them; `led` are the paths of each that lead to a service (site, path)."""
    cors = served.cors
    site_entries: list[SiteFields] = []
    for name, own in served.facts.items():
        public_paths = {public for site, public in led if site == name}
        public_paths |= {entry["public"] for entry in [*own.redirects, *own.static]}
        static = [
            {**entry, "cors": {**WHOLE, **entry["cors"]} if cors[name] and entry["cors"] else entry["cors"]}
            if cors[name] or entry["cors"]
            else {key: value for key, value in entry.items() if key != "cors"}
            for entry in own.static
        ]
        fields = {
            "cors": cors[name] or None, "headers": own.headers or None, "redirects": own.redirects or None,
            "static": static or None, "compress": own.compress or None,
            "hsts": None if own.has_hsts else False,
            "closed": [path for path in own.closed if path not in public_paths] or None,
        }  # fmt: skip
        entry = {"name": name, "challenge": _challenge(name, facts, stack, remarks), **fields}
        site_entries.append(_fitting(entry, remarks))
        for alias in own.aliases:
            if alias not in served.facts:
                site_entries.append(
                    {"name": alias, "challenge": _challenge(alias, facts, stack, remarks), "alias_of": name}
                )
    return site_entries


def _fitting(entry: SiteFields, remarks: list[Remark]) -> SiteFields:
    """A site, or one that is closed where the catalogue takes something of it for wrong."""
    try:
        Site.model_validate({key: value for key, value in entry.items() if value is not None})
    except ValidationError as error:
        for problem in problems_of(error, Document("", lambda path: ".".join(map(str, path))), Site):
            text = f"{problem.where}: {problem.found}; {problem.allowed}: the site is closed until that is said"
            remarks.append(unfit(f"site {entry['name']}", text))
        return {"name": entry["name"], "challenge": entry["challenge"], "closed": ["/"]}
    return entry


def _challenge(name: str, facts: Facts, stack: Stack, remarks: list[Remark]) -> str:
    by_dns = stack.in_zone(name) and (stack.dns.is_ours or stack.dns.challenges)
    challenge, way = "dns-01" if by_dns else "http-01", facts["certificates"].get(name)
    if way is None:
        remarks.append(unfit(f"site {name}", "certbot has no certificate of this name: it gets one"))
    elif way.startswith("dns-") != (challenge == "dns-01"):
        of = "inside" if stack.in_zone(name) else "outside"
        text = f"its certificate came by {way}: a name {of} infra:zone ({stack.zone}) is proved by {challenge}"
        remarks.append(unfit(f"site {name}", text))
    return challenge
