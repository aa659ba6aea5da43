"""Nginx as a host's proxy: a site file for each public name, and how it is led between places of a service."""

import re
from dataclasses import replace

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.sites import Site
from rendering import cdns, certificates, holding, sites
from rendering.files import File, HostFiles, Link, Reaction
from rendering.monitor import PAGE
from rendering.proxy import Leading, Passwords, Proxy, SiteText
from rendering.sites import HIDDEN, PUBLIC, WEBROOT, view
from rendering.templates import fill

PLACE = "/etc/nginx"
GROUP = "www-data"  # of its workers, which read users' passwords at each request
# Nginx's own hash of names: one of more characters, or more of them, do not fit without these settings
LONGEST_NAME, MOST_NAMES = 46, 128
RELOAD = "/etc/letsencrypt/renewal-hooks/deploy/reload-nginx"
# Directives of a site's file, and the field of the site, the route or the directory that they come from
FIELDS = {
    r"client_max_body_size ": "max_body", r"proxy_read_timeout ": "timeout, or read_timeout",
    r"proxy_send_timeout ": "timeout, or send_timeout",
    r"proxy_connect_timeout ": "connect_timeout", r"proxy_buffering ": "buffering",
    r"proxy_request_buffering ": "request_buffering", r"limit_req": "rate",
    r"limit_conn": "connections", r'add_header "?Strict-Transport-Security': "hsts",
    r'add_header "?Access-Control-': "cors", r"add_header ": "headers", r"proxy_set_header ": "request_headers",
    r"allow ": "allow", r"deny ": "deny", r"auth_basic": "basic_auth", r"auth_request": "forward_auth",
    r"gzip": "compress", r"access_log ": "access_log", r"ssl_client_certificate ": "client_ca",
    r"ssl_certificate": "certificate", r"error_page ": "error_pages", r"return 30\d ": "redirects",
    r"location ": "routes, static, redirects, or closed", r"(root|alias) ": "static",
    r"proxy_pass ": "port of the service, or internal of its route", r"server_name ": "name (infra:names)",
    r"(expires|gzip_static) ": "max_age, or precompressed", r"include ": "snippet",
}  # fmt: skip


def of_site(catalogue: Catalogue, host: str, system: System, site: Site) -> HostFiles:
    """A site's file, its link, its certificate, and what it serves by itself."""
    served = sites.serving_site(system, site)
    site_view = replace(
        view(catalogue, system, site, PLACE, holding.leads_to),
        ipv6=catalogue.stack.hosts[host].ipv6 and served.ip == "both",
        http2=served.http2,
        cdn=cdns.fronting(catalogue, system, site),
        quic=_quic(catalogue, host, system, site),
    )
    settings = {"webroot": WEBROOT, "page": PAGE, "public": PUBLIC, "hidden": HIDDEN, "quoted": quote}
    content = fill("site.conf.j2", catalogue.file_of(system), site=site_view, **settings)
    available = f"/etc/nginx/sites-available/{site_view.name}"
    own = certificates.needed_files(catalogue, site)
    own_one = certificates.own_certificate(catalogue, system, site, PLACE, "root")
    return HostFiles(
        host="",
        files=[File(available, content), *sites.files(catalogue, system, site, PLACE)],
        environment_files=own_one.environment_files
        + sites.users(catalogue, system, site, Passwords(PLACE, GROUP, ":")),
        links=[Link(f"/etc/nginx/sites-enabled/{site_view.name}", available)],
        certificates=own.certificates,
        own_certificates=own_one.own_certificates,
        requirements=own.requirements,
        names=[site_view.name],
    )


def _quic(catalogue: Catalogue, host: str, system: System, site: Site) -> str:
    """The parameters at which a site listens for HTTP/3, "" for none. The first one's holds for all: each worker has a
    socket of its own, so that the packets of a connection come to one."""
    names = [
        catalogue.stack.public_name(one.name)
        for other in catalogue.systems_on(host)
        for one in other.sites
        if sites.serving_site(other, one).http3
    ]
    if not sites.serving_site(system, site).http3:
        return ""
    return "quic reuseport" if catalogue.stack.public_name(site.name) == min(names) else "quic"


def quote(value: str) -> str:
    """A header's value as Nginx reads it; a `$` comes from a variable (http.conf.j2)."""
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${infra_dollar}")
    return f'"{text}"'


def once(catalogue: Catalogue, host: str) -> HostFiles:
    """The parts of Nginx's configuration that a host has once, whatever its sites are."""
    stack = catalogue.stack
    systems = catalogue.systems_on(host)
    names = [stack.public_name(site.name) for system in systems for site in system.sites]
    entries = [one for system in systems for site in system.sites for one in (site, *site.static)]
    entries += [route for system in systems for service in system.active for route in service.routes]
    values = [value for one in entries for headers in (one.headers, one.request_headers) for value in headers.values()]
    settings = {
        "hash": _names_hash(names),
        "has_dollar": any("$" in value for value in values),
        "insiders": stack.statusCidrs or stack.adminCidrs,
    }
    source = f"Pulumi.{stack.name}.yaml"
    return HostFiles(
        host="",
        files=[
            *holding.waiting_place(catalogue, host, GROUP),
            File(RELOAD, b"#!/bin/sh\nexec systemctl reload nginx\n", mode=0o755),
            File("/etc/nginx/conf.d/infra-http.conf", fill("http.conf.j2", source, **settings)),
        ],
        reactions=[Reaction(["/etc/nginx/"], ["systemctl", "try-reload-or-restart", "nginx"])],
        commands=["nginx", "certbot"],
    )


def _names_hash(names: list[str]) -> dict[str, int]:
    """Sizes of Nginx's hash table of server names; {} if the defaults are enough."""
    if len(names) <= MOST_NAMES and all(len(name) <= LONGEST_NAME for name in names):
        return {}
    return {"bucket_size": 128, "max_size": max(512, 4 * 2 ** len(names).bit_length())}


def to_one(name: str, address: str) -> str:
    return f"upstream {name} {{ server {address}; }}\n"


def to_all(name: str, folder: str) -> str:
    return f"upstream {name} {{\n    least_conn;\n    include {folder}/*.conf;\n}}\n"


def member(address: str) -> str:
    # None is left out for a while after one request: the next one may find it again
    return f"server {address} max_fails=0;\n"


PROXY = Proxy(
    name="nginx",
    package="nginx",
    of_site=of_site,
    once=once,
    site_text=SiteText(
        place=f"{PLACE}/sites-available/",
        block=re.compile(r"^    location (?:= )?(/\S*) \{", re.MULTILINE),
        answers=re.compile(r"^\s+(?:proxy_pass|root|alias|return 30\d) ?", re.MULTILINE),
        guard=re.compile(r"^\s+(?:deny|auth_basic|auth_request) ", re.MULTILINE),
        # What comes before is the redirect to HTTPS
        begins="listen 443",
        fields=FIELDS,
    ),
    leading=Leading(PLACE, to_one, to_all, member),
)
