"""What a public site may say: paths that are one's alone, pages that are there, what its proxy can do."""

import re
from collections.abc import Iterator
from operator import attrgetter
from urllib.parse import urlsplit

from catalogue import pem
from catalogue.encrypted_values import ENCRYPTED, is_sealed
from catalogue.loading import STATIC, Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.proxies import abilities, description, remedy, reserved_users, with_snippets
from catalogue.rules import snippets
from catalogue.rules.contents import ROOTS, plain
from catalogue.rules.hosts_own import is_the_hosts
from catalogue.rules.places import OWN_PAGE
from catalogue.serving import Serving
from catalogue.sites import CertificateSecrets, Redirect, Site

LONGEST_PASSWORD = 72  # bytes: what bcrypt, which both proxies know, reads of one
OWN_FOLDERS = (OWN_PAGE, "/.infra-")
# What is more than text in a header's value, to a proxy that takes placeholders
PLACEHOLDER = re.compile(r"\{\$?[A-Za-z]")
# How the fault of a snippet begins → what is allowed
OF_SNIPPETS = {
    "has the directive": "directives that concern this site alone, such as location, return or add_header",
    "points to": "a port of one of this host's services, such as 127.0.0.1:8017, or another machine by its name",
    "serves files of": "files below /srv/NAME/, /opt/NAME/ or /var/www/NAME/, or in a directory of the system",
}
SYNTAX = "a text with matching braces and quotes, complete directives and no ambiguous characters"
# What a site can have where its host's proxy can: abilities of the same name
OF_PROXIES = ("http3", "client_ca", "cdn")
# What a directory of files has nothing to do with
OF_SERVICES = (
    "max_body", "timeout", "read_timeout", "send_timeout", "connect_timeout", "buffering",
    "request_buffering", "request_headers",
)  # fmt: skip


def _sites(catalogue: Catalogue) -> Iterator[tuple[str, System, Site, str]]:
    for system in catalogue.running.values():
        for site in system.sites:
            yield catalogue.file_of(system), system, site, f"site {site.name}"


def _all_serving(system: System) -> Iterator[tuple[str, Serving]]:
    """What says how it is served: sites, their directories, and services' routes, each by what a person calls it."""
    for site in system.sites:
        yield f"site {site.name}", site
        yield from ((f"site {site.name}: static {entry.public}", entry) for entry in site.static)
    for service in system.active:
        yield from ((f"service {service.name}: route {route.public}", route) for route in service.routes)


def aliases(catalogue: Catalogue) -> Iterator[Problem]:
    """Another name of a site serves what that one serves, and has nothing of its own but its certificate."""
    own = (
        "redirects",
        "static",
        "closed",
        "error_pages",
        "maintenance",
        "snippet",
        "client_ca",
        "cdn",
        "http2",
        "ip",
        "http3",
        *Serving.model_fields,
    )
    for file, system, site, where in _sites(catalogue):
        if site.alias_of is None:
            continue
        origin = system.site(site.alias_of)
        if origin is None or origin.alias_of is not None or origin is site:
            names = ", ".join(other.name for other in system.sites if other.alias_of is None)
            yield Problem(
                file,
                where,
                f"alias_of {site.alias_of}",
                f"must be another site of this system that is not an alias: {names}",
            )
        if fields := sorted(name for name in own if getattr(site, name) != Site.model_fields[name].default):
            rule = f"set them at {site.alias_of}: an alias has only name, challenge, certificate and alias_of"
            yield Problem(file, where, f"an alias with {', '.join(fields)}", rule)
        for service in system.active:
            for route in [route for route in service.routes if route.site == site.name]:
                fault = f"route {route.public} is on {site.name}, which is another name of {site.alias_of}"
                yield Problem(file, f"service {service.name}", fault, f"site: {site.alias_of}")


def unique_targets(catalogue: Catalogue) -> Iterator[Problem]:
    """Each path of a site leads to one thing. The order of what is written does not matter: the longest path wins."""
    for file, system, site, where in _sites(catalogue):
        routes = [
            (route.public, f"service {service.name}'s")
            for service in system.active
            for route in service.routes
            if system.site_of(route) == site
        ]
        own = [*site.static, *site.redirects]
        kinds = [*("a static directory's" for _ in site.static), *("a redirect's" for _ in site.redirects)]
        owners = dict(routes)
        for path, kind in [
            *zip((entry.public for entry in own), kinds, strict=True),
            *((p, "closed") for p in site.closed),
        ]:
            if path in owners:
                fault = f"path {path} is {owners[path]} and {kind}"
                yield Problem(file, where, fault, "each path of a site leads to one target: remove one of the two")
            owners.setdefault(path, kind)
            if f"{path}/".startswith(OWN_FOLDERS):
                yield Problem(file, where, f"path {path} is reserved for the host", "must be another path")


def redirects(catalogue: Catalogue) -> Iterator[Problem]:
    """None leads to itself, by itself or by others."""
    for file, system, site, where in _sites(catalogue):
        for redirect in site.redirects:
            if _is_loop(system, site, redirect):
                fault = f"redirect {redirect.public} leads to {redirect.to}, which redirects in a loop"
                yield Problem(file, where, fault, "must lead to a path that no redirect covers, or to another site")


def _is_loop(system: System, site: Site, redirect: Redirect) -> bool:
    visited: list[Redirect] = []
    at: Redirect | None = redirect
    while at is not None:
        if at in visited:
            return True
        visited.append(at)
        parts = urlsplit(at.to)
        target = system.site(parts.netloc) if parts.netloc else site
        if target is None:
            return False
        site = target
        origin = (site.alias_of and system.site(site.alias_of)) or site
        at = _redirect_of(system, origin, parts.path)
    return False


def _redirect_of(system: System, site: Site, path: str) -> Redirect | None:
    """The redirect that has a path of a site: none where something else has a longer part of it."""
    others = [route.public for service in system.active for route in service.routes if system.site_of(route) == site]
    others += [*(entry.public for entry in site.static), *site.closed]
    matches = [(redirect.public, redirect) for redirect in site.redirects if _covers(redirect.public, path)]
    longest = max((public for public, _ in matches), key=len, default="")
    if not longest or any(len(public) > len(longest) for public in others if _covers(public, path)):
        return None
    return dict(matches)[longest]


def _covers(public: str, path: str) -> bool:
    return path.startswith(public.removesuffix("*")) if public.endswith(("/", "*")) else path == public


def static(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, site, where in _sites(catalogue):
        for entry in site.static:
            place = f"{where}: static {entry.public}"
            if not entry.public.endswith("/"):
                yield Problem(
                    file,
                    place,
                    f"public path {entry.public!r}",
                    f"must be a path that ends in /, such as {entry.public}/",
                )
            if (entry.source is None) == (entry.directory is None):
                rule = (
                    f"must have source: (a folder below {STATIC}/) or directory: (of the host, such as an artefact's)"
                )
                yield Problem(file, place, "has both" if entry.source else "has neither source nor directory", rule)
            if options := [name for name in OF_SERVICES if getattr(entry, name)]:
                yield Problem(
                    file,
                    place,
                    f"has {', '.join(options)}",
                    "must be without these fields: static files have no service",
                )
            directory = plain(entry.directory) if entry.directory else ""
            if is_the_hosts(directory) or ROOTS.fullmatch(directory):
                fault = f"directory {entry.directory} belongs to the host or the agent"
                yield Problem(file, place, fault, "must be a directory of the product, such as an artefact's into")
            if entry.source:
                inside = [path for path in catalogue.sources if path.startswith(f"{entry.source}/")]
                if not inside:
                    yield Problem(
                        file, place, f"{STATIC}/{entry.source}/ has no file", "must be a folder with the site's files"
                    )
                elif entry.fallback and f"{entry.source}/{entry.fallback}" not in inside:
                    yield Problem(
                        file,
                        place,
                        f"fallback {entry.fallback} is not in {STATIC}/{entry.source}/",
                        "must be an existing page",
                    )


def pages(catalogue: Catalogue) -> Iterator[Problem]:
    """The single files that a site names are there, and are what they are named for."""
    for file, _, site, where in _sites(catalogue):
        if site.hsts and site.hsts.preload and not site.hsts.include_subdomains:
            yield Problem(
                file, where, "hsts with preload alone, which browsers' preload lists reject", "include_subdomains: true"
            )
        for name in site.pages:
            if name not in catalogue.sources:
                yield Problem(file, where, f"{STATIC}/{name} is missing", "put the file there, or correct its name")
        if site.client_ca and b"-----BEGIN CERTIFICATE-----" not in catalogue.sources.get(
            site.client_ca, b"-----BEGIN CERTIFICATE-----"
        ):
            fault = f"client_ca {STATIC}/{site.client_ca} has no certificate"
            yield Problem(file, where, fault, "must be the CA certificates that clients are checked against, in PEM")


def site_snippets(catalogue: Catalogue) -> Iterator[Problem]:
    """What is written by hand stays inside of its site: no listener, no other site, no other file."""
    for _, system, site, where in _sites(catalogue):
        own = _own(catalogue, system)
        for proxy in with_snippets():
            name, kind = (site.snippet or {}).get(proxy), description(proxy)
            if not name or not kind.snippet_faults:
                continue
            text = catalogue.sources.get(name, b"").decode(errors="replace")
            rules = {**OF_SNIPPETS, **kind.snippet_rules}
            for fault in dict.fromkeys(kind.snippet_faults(text, own)):
                rule = next((rule for words, rule in rules.items() if fault.startswith(words)), SYNTAX)
                yield Problem(f"{STATIC}/{name}", where, f"its snippet {fault}", f"{rule} (docs/sites.md)")


def _own(catalogue: Catalogue, system: System) -> snippets.Own:
    """What a system's snippets may lead to: its own directories, and services of the hosts that run it."""
    beside = [catalogue.systems_on(host) for host in catalogue.stack.hosts]
    near = [other for systems in beside if system in systems for other in systems]
    ports = {port for other in near for service in other.active for port in service.ports}
    directories = [item.path for item in system.directories]
    directories += [artefact.into for service in system.native_services for artefact in service.artefact]
    return snippets.Own(frozenset(ports), tuple(directories))


def serving(catalogue: Catalogue) -> Iterator[Problem]:
    """What is said of how requests are served can be done, by browsers and by the host's proxy."""
    for system in catalogue.running.values():
        file = catalogue.file_of(system)
        for where, one in _all_serving(system):
            if one.cors and one.cors.credentials and one.cors.is_for_all:
                fault = "cors with credentials for all origins, which browsers reject"
                yield Problem(file, where, fault, "origins: the sites whose pages may send cookies")
            if one.cors and one.cors.model_fields_set - {"methods"} and not one.cors.methods and where.count(":") == 0:
                yield Problem(file, where, "cors without methods", "methods: [GET, POST], or cors: false")
            gate = {name.lower() for name in one.forward_auth.headers} if one.forward_auth else set[str]()
            for name in [name for name in one.request_headers if name.lower() in gate]:
                fault = f"the request header {name} is set by forward_auth, but also has a value here"
                yield Problem(file, where, fault, "must have one of the two")
            for user, proxy in reserved_users():
                if user in (one.basic_auth or {}):
                    fault = f"a user called {user}, which {proxy} would read as a directive"
                    yield Problem(file, where, fault, "must be another name")
            if one.asks and not any(service.name == one.asks and service.listens for service in system.active):
                names = ", ".join(service.name for service in system.active if service.listens)
                yield Problem(
                    file, where, f"forward_auth of {one.asks}", f"must be a service of this system with a port: {names}"
                )
        for service in system.active:
            for route in service.routes:
                if route.cors and route.methods is not None:
                    rule = "must have methods in cors only"
                    yield Problem(file, f"service {service.name}: route {route.public}", "has cors and methods", rule)
        passwords = catalogue.stack.secrets.get(system.system, {})
        for name in sorted(system.passwords & {*passwords}):
            if not passwords[name]:
                place = f"infra:secrets.{system.system}.{name}"
                yield Problem(
                    catalogue.stack.file,
                    place,
                    "the password is empty",
                    "must be a password with at least one character",
                )
            if not is_sealed(passwords[name]) and len(passwords[name].encode()) > LONGEST_PASSWORD:
                fault = f"the password is longer than {LONGEST_PASSWORD} bytes, which is the most that a proxy reads"
                yield Problem(
                    catalogue.stack.file, f"infra:secrets.{system.system}.{name}", fault, "must be a shorter password"
                )


def own_certificates(catalogue: Catalogue) -> Iterator[Problem]:
    """Secrets that are a certificate or a key look like one: the rest is looked at on the host, before the switch."""
    for _, system, site, where in _sites(catalogue):
        own, values = site.certificate, catalogue.stack.secrets.get(system.system, {})
        if not isinstance(own, CertificateSecrets):
            continue
        for name, fault_of, rule in (
            (
                own.chain_secret,
                pem.chain_fault,
                "must be certificates in PEM, the name's own first",
            ),
            (own.key_secret, pem.key_fault, "must be the certificate's private key in PEM, without a passphrase"),
        ):
            value = values.get(name, ENCRYPTED)
            if not is_sealed(value) and (fault := fault_of(value)):
                place = f"infra:secrets.{system.system}.{name}"
                yield Problem(catalogue.stack.file, place, f"of {where} {fault}", rule)


def proxy_abilities(catalogue: Catalogue) -> Iterator[Problem]:
    """Not every proxy limits clients' requests; a snippet is written for one proxy."""
    for name, host in catalogue.stack.hosts.items():
        can, proxy = abilities(host.proxy), host.proxy.capitalize()
        if host.ipv6 and not can.ipv6 and any(system.sites for system in catalogue.systems_on(name)):
            fault = f"its proxy {proxy} does not support IPv6"
            rule = f"ipv6: false, or {remedy(lambda can: can.ipv6)}"
            yield Problem(catalogue.stack.file, f"infra:hosts.{name}", fault, rule)
        for system in catalogue.systems_on(name):
            file = catalogue.file_of(system)
            for where, one in _all_serving(system):
                options = [field for field in ("rate", "connections") if getattr(one, field) is not None]
                values = [value for part in (one.headers, one.request_headers) for value in part.values()]
                if can.takes_placeholders and any(PLACEHOLDER.search(value) for value in values):
                    fault = f"a header's value with {{ and a letter, on host {name}, whose proxy is {proxy}"
                    instead = remedy(lambda can: not can.takes_placeholders)
                    rule = f"must be a value without them, or {instead} of infra:hosts.{name}"
                    yield Problem(file, where, fault, rule)
                if options and not can.limits_clients:
                    fault = f"{' and '.join(options)} on host {name}, whose proxy {proxy} does not support that"
                    instead = remedy(lambda can: can.limits_clients)
                    rule = f"{instead} of infra:hosts.{name}, or a limit in the service itself or in a CDN"
                    yield Problem(file, where, fault, rule)
            for site in system.sites:
                for field in [field for field in OF_PROXIES if getattr(site, field) and not getattr(can, field)]:
                    fault = f"{field} on host {name}, whose proxy {proxy} does not support that"
                    instead = remedy(attrgetter(field))
                    rule = f"{instead} of infra:hosts.{name}, or a site without {field}"
                    yield Problem(file, f"site {site.name}", fault, rule)
                if unknown := [name for name in site.compress if name not in can.compressions]:
                    fault = f"compress with {', '.join(unknown)} on host {name}, whose proxy {proxy} does not have that"
                    instead = remedy(lambda can, unknown=unknown: {*unknown} <= {*can.compressions})
                    rule = f"{', '.join(can.compressions)}; or {instead} of infra:hosts.{name}"
                    yield Problem(file, f"site {site.name}", fault, rule)
                if site.snippet and host.proxy not in site.snippet:
                    fault = f"its snippet is not for the proxy of host {name}, {host.proxy}"
                    can_have = host.proxy in with_snippets()
                    rule = f"snippet: {{{host.proxy}: FILE}}" if can_have else "a site without snippet, on that host"
                    yield Problem(file, f"site {site.name}", fault, rule)
