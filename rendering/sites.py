"""A public name and its paths in a form for any proxy: one location for each path, with all defaults resolved."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.service import Service
from catalogue.services import ComposeService
from catalogue.serving import Cors, FileKey, Rate, Serving
from catalogue.sites import Site
from rendering import certificates
from rendering.environment import secret_file
from rendering.files import EnvironmentFile, File
from rendering.proxy import Passwords
from rendering.site_view import Away, Location, SiteView

# A path with a part that begins with a dot, but for /.well-known/: for programs that look behind nothing
HIDDEN = (
    r"/\.($|[^w]|w[^e]|we[^l]|wel[^l]|well[^-]|well-[^k]|well-k[^n]|well-kn[^o]|well-kno[^w]|well-know[^n]"
    r"|well-known[^/])"
)
WEBROOT = "/var/www/html"
# What a release brings of a site: its folders, its error pages
PUBLIC = "/var/www/infra"
# Behind a secret's name: what is meant is the hash of its value (components/passwords.py)
HASHED = ":bcrypt"
# A snippet lies below the proxy's own directory, in a file of the site's name
BY_HAND = re.compile(r"/etc/[a-z]+/by-hand/(?P<site>[a-z0-9.-]+)\.conf")
# A file of a site's name here has the proxy answer 503: infra maintenance
MAINTENANCE = "/run/infra/maintenance"


def upstream(service: Service) -> str:
    """The address or upstream to which a proxy passes a service's requests: its port, or that of its slots or
    replicas."""
    if isinstance(service, ComposeService) and service.is_blue_green:
        return f"slot_{service.name}"
    if isinstance(service, ComposeService) and service.is_balanced:
        return f"replicas_{service.name}"
    return f"127.0.0.1:{service.listens}"


def serving_site(system: System, site: Site) -> Site:
    """The site whose paths are served under a site's name: itself, or the site that it is an alias of."""
    return (site.alias_of and system.site(site.alias_of)) or site


def view(
    catalogue: Catalogue, system: System, site: Site, place: str, leads_to: Callable[[Service], str] = upstream
) -> SiteView:
    """A site's locations, in catalogue order: a proxy takes the longest path whatever the order. `place` is the proxy's
    own directory, in which files with passwords lie; `leads_to` what it passes a service's requests to."""
    stack = catalogue.stack
    name, source = stack.public_name(site.name), serving_site(system, site)
    key = hashlib.sha256(name.encode()).hexdigest()[:8]
    rates: dict[str, Rate] = {}
    connections: list[str] = []
    origins: dict[str, list[str]] = {}

    def origin(cors: Cors | None) -> str:
        if not cors or not cors.methods or cors.is_for_all:
            return ""
        for existing, addresses in origins.items():
            if addresses == cors.origins:
                return existing
        origins[variable := f"infra_origin_{key}_{len(origins) + 1}"] = cors.origins
        return variable

    def complete(number: int, own: Serving, location: Location) -> Location:
        serving = location.serving
        # What the site says counts a client's requests together, wherever they lead
        rate = f"infra_rate_{key}_{number if own.rate else 0}" if serving.rate else ""
        busy = f"infra_connections_{key}_{number if own.connections else 0}" if serving.connections else ""
        if serving.rate:
            rates[rate] = serving.rate
        if busy and busy not in connections:
            connections.append(busy)
        bare = location.public[:-1] if location.public.endswith("/") else ""
        gate = next((other for other in system.active if other.name == serving.asks), None)
        assert gate or not serving.asks, "a path whose gate is not there would be open: the checks have seen to it"
        return replace(
            location,
            number=number,
            max_body=_max_body(catalogue, system, serving),
            users=_users_path(place, name, number if own.basic_auth is not None else 0) if serving.basic_auth else "",
            asks=leads_to(gate) if gate else "",
            upstream=leads_to(location.service) if location.service else "",
            rate=rate,
            connections=busy,
            origin=origin(serving.cors),
            cache=f"infra_cache_{key}_{number}" if location.kind == "files" else "",
            bare="" if bare in public_paths else bare,
            own_headers=own.headers,
        )

    pairs = list(_locations(catalogue, system, source, name))
    public_paths = {location.public for _, location in pairs}
    locations = [complete(number, *one) for number, one in enumerate(pairs, 1)]
    return SiteView(
        name=name,
        is_proved_by_http=site.is_proved_by_http,
        certificate=certificates.pair(catalogue, system, site, place),
        headers=source.all_headers,
        cors=source.cors if source.cors and source.cors.methods else None,
        origin=origin(source.cors),
        locations=locations,
        status=[str(network) for network in stack.statusCidrs or stack.adminCidrs],
        compress=[*source.compress],
        access_log=source.access_log,
        rates=rates,
        connections=connections,
        origins=origins,
        caches={one.cache: one.max_age for one in locations if one.cache},
        pages={int(status): f"{status}.html" for status in sorted(source.error_pages)},
        away=_away(source),
        client_ca=f"{place}/clients/{name}.pem" if source.client_ca else "",
        maintenance=MAINTENANCE,
        snippet=f"{place}/by-hand/{name}.conf" if _snippet(source, place) else "",
    )


def _away(site: Site) -> Away | None:
    if not site.maintenance:
        return None
    page = "maintenance.html" if site.maintenance.page else "503.html" if "503" in site.error_pages else ""
    after = site.maintenance.retry_after
    return Away(page, None if after == "end" else after)


def _locations(catalogue: Catalogue, system: System, site: Site, name: str) -> Iterator[tuple[Serving, Location]]:
    """The locations with their own settings, before the numbers that are unique in the whole site."""
    base = Serving.model_construct(**{field: getattr(site, field) for field in Serving.model_fields})
    base = base.model_copy(update={"headers": site.all_headers})
    for service in system.active:
        for route in service.routes:
            if system.site_of(route) == site:
                serving = system.serving(route).model_copy(update={"headers": route.over(base).headers})
                yield (
                    route,
                    Location(
                        "service", service.purpose, route.public, serving, inside=route.inside,
                        service=service, host=route.host,
                    ),
                )  # fmt: skip
    for number, entry in enumerate(site.static):
        directory = entry.directory or f"{_folder(name)}/static-{number}"
        yield (
            entry,
            Location(
                "files", f"Files of {entry.source or entry.directory}", entry.public, entry.over(base),
                directory=directory, fallback=entry.fallback, max_age=entry.max_age, precompressed=entry.precompressed,
            ),
        )  # fmt: skip
    for redirect in site.redirects:
        keeps_rest = redirect.public.endswith("/") and redirect.to.endswith("/")
        yield (
            Serving(),
            Location(
                "redirect", "Elsewhere", redirect.public, base, to=_target(catalogue, system, redirect.to, name),
                status=redirect.status, keeps_rest=keeps_rest,
            ),
        )  # fmt: skip
    for path in site.closed:
        yield Serving(), Location("closed", "Not public", path, base)


def _target(catalogue: Catalogue, system: System, to: str, name: str) -> str:
    """The whole address; a site's name in it is its name in this stack. A path alone is one of this site: with no name
    before it, a second / at its beginning would make a name of what a client wrote."""
    parts = urlsplit(to)
    if not parts.netloc:
        return f"https://{name}{to}"
    if not system.site(parts.netloc):
        return to
    return f"https://{catalogue.stack.public_name(parts.netloc)}{parts.path}"


def _max_body(catalogue: Catalogue, system: System, serving: Serving) -> str | None:
    """The proxy's limit for a request body; derived from the service's limit, so that both agree."""
    if isinstance(serving.max_body, FileKey):
        return str(catalogue.value_of(system, serving.max_body))
    return serving.max_body


def _snippet(site: Site, place: str) -> str | None:
    """The snippet file of a site that its owner wrote for this proxy."""
    return (site.snippet or {}).get(place.rsplit("/", 1)[1])


def _folder(name: str) -> str:
    return f"{PUBLIC}/{name}"


def _users_path(place: str, name: str, number: int) -> str:
    return f"{place}/users/{name}-{number or 'site'}"


def files(catalogue: Catalogue, system: System, site: Site, place: str) -> list[File]:
    """What a site serves by itself: its folders of `files/static/` and error pages; whose certificates it takes."""
    name, source = catalogue.stack.public_name(site.name), serving_site(system, site)
    site_files = [
        File(f"{_folder(name)}/static-{number}/{path.removeprefix(f'{entry.source}/')}", content)
        for number, entry in enumerate(source.static)
        for path, content in catalogue.sources.items()
        if entry.source and path.startswith(f"{entry.source}/")
    ]
    site_files += [
        File(f"{_folder(name)}/pages/{status}.html", catalogue.sources[path])
        for status, path in sorted(source.error_pages.items())
    ]
    if source.maintenance and source.maintenance.page:
        content = catalogue.sources[source.maintenance.page]
        site_files.append(File(f"{_folder(name)}/pages/maintenance.html", content))
    if source.client_ca:
        site_files.append(File(f"{place}/clients/{name}.pem", catalogue.sources[source.client_ca]))
    if snippet := _snippet(source, place):
        site_files.append(File(f"{place}/by-hand/{name}.conf", catalogue.sources[snippet]))
    return site_files


def users(catalogue: Catalogue, system: System, site: Site, form: Passwords) -> list[EnvironmentFile]:
    """A file of users and the hashes of their passwords for each list of users."""
    name, source = catalogue.stack.public_name(site.name), serving_site(system, site)
    by_path: dict[str, EnvironmentFile] = {}
    for number, (own, location) in enumerate(_locations(catalogue, system, source, name), 1):
        users = location.serving.basic_auth
        if not users:
            continue
        path = _users_path(form.place, name, number if own.basic_auth is not None else 0)
        plain_file = secret_file(path, system.system, sorted({*users.values()}), catalogue.secrets, catalogue.stack)
        by_path[path] = replace(
            plain_file,
            secrets={user: f"{plain_file.secrets[secret]}{HASHED}" for user, secret in users.items()},
            versions={f"{secret}{HASHED}": version for secret, version in plain_file.versions.items()},
            between=form.between,
            mode=0o640,
            group=form.group,
        )
    return list(by_path.values())


def public_url(catalogue: Catalogue, system: System, service: Service) -> str | None:
    """Where a service can be looked at from outside: where a route says so, else its health path; not where only some
    clients are answered."""
    for route in service.routes:
        if route.look and (site := system.site_of(route)):
            return f"https://{catalogue.stack.public_name(site.name)}{route.look}"
    path = service.health_path
    for route in service.routes:
        site = system.site_of(route)
        if not path or not site or not route.covers(path) or site.client_ca or system.serving(route).is_guarded:
            continue
        rest = path.removeprefix(route.inside) if route.is_prefix else ""
        return f"https://{catalogue.stack.public_name(site.name)}{route.public}{rest}"
    return None
