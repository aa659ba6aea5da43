"""Caddy as a host's proxy: one file for each public name. For names that HTTP proves it gets certificates itself."""

import re
from dataclasses import replace

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.sites import Site
from catalogue.sizes import to_bytes
from rendering import cdns, certificates, sites
from rendering.files import File, HostFiles, Reaction
from rendering.monitor import PAGE
from rendering.proxy import Passwords, Proxy, SiteText
from rendering.sites import HIDDEN, PUBLIC, WEBROOT, view
from rendering.templates import fill

PLACE = "/etc/caddy"
GROUP = "caddy"
RELOAD = "/etc/letsencrypt/renewal-hooks/deploy/reload-caddy"
MAIN = "/etc/caddy/Caddyfile"
ADMIN = "/var/lib/caddy/admin.sock"  # as in agent/proxies/caddy.py
# A reload asks at the place that the new file names: a Caddy that listens at another one is restarted
RELOADED = "systemctl try-reload-or-restart caddy || systemctl restart caddy"
# Directives of a site's file, and the field of the site, the route or the directory that they come from
FIELDS = {
    r"max_size ": "max_body", r"response_header_timeout ": "timeout, or read_timeout",
    r"read_timeout ": "read_timeout", r"write_timeout ": "send_timeout", r"dial_timeout ": "connect_timeout",
    r"(flush_interval|buffer_responses)": "buffering", r"buffer_requests": "request_buffering",
    r"(header )?Strict-Transport-Security ": "hsts",
    r"header Access-Control-": "cors", r"header ": "headers", r"(header_up|request_header) ": "request_headers",
    r"@denied\d+ ": "deny", r"@outside\d+ ": "allow", r"basicauth": "basic_auth", r"forward_auth ": "forward_auth",
    r"encode ": "compress", r"log$": "access_log", r"trusted_ca_cert_file ": "client_ca", r"tls ": "certificate",
    r"redir ": "redirects", r"handle ": "routes, static, redirects, or closed", r"(root|file_server)": "static",
    r"reverse_proxy ": "port of the service, or internal of its route", r"import ": "snippet",
}  # fmt: skip


def of_site(catalogue: Catalogue, host: str, system: System, site: Site) -> HostFiles:
    """A site's file and what it serves by itself; its certificate where the name is proved by DNS, which Caddy cannot
    do."""
    site_view = replace(
        view(catalogue, system, site, PLACE),
        ipv6=catalogue.stack.hosts[host].ipv6,
        cdn=cdns.fronting(catalogue, system, site),
    )
    # The host's own page says by itself what it may load
    page_headers = {name: value for name, value in site_view.headers.items() if name != "Content-Security-Policy"}
    settings = {
        "webroot": WEBROOT,
        "page": PAGE,
        "public": PUBLIC,
        "hidden": HIDDEN,
        "in_bytes": to_bytes,
        "quoted": quote,
        "page_headers": page_headers,
        # It believes a CDN at every site, those without one too
        "believes_cdn": any(cdns.cdns_of(catalogue, host)),
    }
    content = fill("site.caddy.j2", catalogue.file_of(system), site=site_view, **settings)
    # What HTTP proves it obtains itself
    own = HostFiles("") if site.is_proved_by_http else certificates.needed_files(catalogue, site, GROUP)
    own_one = certificates.own_certificate(catalogue, system, site, PLACE, GROUP)
    return HostFiles(
        host="",
        files=[
            File(f"/etc/caddy/sites/{site_view.name}.caddy", content),
            *sites.files(catalogue, system, site, PLACE),
        ],
        environment_files=own_one.environment_files
        + sites.users(catalogue, system, site, Passwords(PLACE, GROUP, " ")),
        certificates=own.certificates,
        own_certificates=own_one.own_certificates,
        requirements=own.requirements,
        commands=["certbot"] if own.certificates else [],
        names=[site_view.name],
    )


def quote(value: str) -> str:
    """A header's value as Caddy reads it: between backticks all but its placeholders is text."""
    return "`" + value.replace("{", "\\{") + "`"


def once(catalogue: Catalogue, host: str) -> HostFiles:
    """The parts of Caddy's configuration that a host has once, whatever its sites are."""
    stack = catalogue.stack
    cdn = next(cdns.cdns_of(catalogue, host), None)
    own = [site for system in catalogue.systems_on(host) for site in system.sites if site.alias_of is None]
    # For all sites at once
    http2, http3 = all(site.http2 for site in own), any(site.http3 for site in own)
    values = {
        "http2": http2,
        "http3": http3,
        "cdn": cdn,
        "email": stack.acmeEmail,
        "directory": stack.acmeDirectory,
        "admin": ADMIN,
    }
    main = fill("Caddyfile.j2", f"Pulumi.{stack.name}.yaml", **values)
    return HostFiles(
        host="",
        files=[File(MAIN, main), File(RELOAD, b"#!/bin/sh\nexec systemctl reload caddy\n", mode=0o755)],
        reactions=[Reaction(["/etc/caddy/"], ["sh", "-c", RELOADED])],
        commands=["caddy"],
    )


PROXY = Proxy(
    name="caddy",
    package="caddy",
    of_site=of_site,
    once=once,
    site_text=SiteText(
        place=f"{PLACE}/sites/",
        suffix=".caddy",
        block=re.compile(r"^\thandle (/\S*?)\*? \{", re.MULTILINE),
        answers=re.compile(r"^\s+(?:reverse_proxy|root|file_server|redir) ?", re.MULTILINE),
        guard=re.compile(r"^\s+(?:basicauth|forward_auth|error @(?:denied|outside)\d+) ", re.MULTILINE),
        fields=FIELDS,
    ),
)
