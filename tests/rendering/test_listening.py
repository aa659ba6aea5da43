"""How a site listens: by which versions of HTTP, and at which addresses."""

import pytest

from catalogue.checks import check
from catalogue.problems import errors
from rendering.host import render
from tests.catalogue.changes import both, hosted
from tests.catalogue.sites import beside, saying
from tests.support import catalogue, unchanged

NAME, OTHER = "api.hey-watch.me", "www.hey-watch.me"


def made(change, proxy="nginx", **host):
    return catalogue(change, hosted(proxy=proxy, **host))


def files_of(change, proxy="nginx", **host):
    return {file.path: file.content.decode() for file in render(made(change, proxy, **host), "watchme").files}


def listens(text):
    return [line.strip() for line in text.splitlines() if line.strip().startswith("listen ")]


def site(change, name=NAME, **host):
    return files_of(change, **host)[f"/etc/nginx/sites-available/{name}"]


def test_site_without_a_word_has_http2_at_all_addresses():
    assert listens(site(unchanged)) == [
        "listen 80;",
        "listen [::]:80;",
        "listen 443 ssl http2;",
        "listen [::]:443 ssl http2;",
    ]
    assert "\t\tprotocols h1 h2\n" in files_of(unchanged, "caddy")["/etc/caddy/Caddyfile"]


def test_http2_is_left_out_where_a_site_says_so():
    alone = saying(http2=False)
    assert listens(site(alone))[2:] == ["listen 443 ssl;", "listen [::]:443 ssl;"]
    # Another name of it listens as it does
    assert listens(site(both(alone, beside(alias_of=NAME)), OTHER))[2:] == ["listen 443 ssl;", "listen [::]:443 ssl;"]
    assert "\t\tprotocols h1\n" in files_of(alone, "caddy")["/etc/caddy/Caddyfile"]
    assert "\t\tprotocols h1 h3\n" in files_of(saying(http2=False, http3=True), "caddy")["/etc/caddy/Caddyfile"]
    for proxy in ("nginx", "caddy"):
        assert errors(check(made(alone, proxy))) == []


def test_site_is_left_out_at_addresses_of_ipv6():
    change = both(saying(ip=4), beside())
    assert listens(site(change)) == ["listen 80;", "listen 443 ssl http2;"]
    assert listens(site(change, OTHER)) == [
        "listen 80;",
        "listen [::]:80;",
        "listen 443 ssl http2;",
        "listen [::]:443 ssl http2;",
    ]
    assert listens(site(both(saying(ip=4), beside(alias_of=NAME)), OTHER)) == ["listen 80;", "listen 443 ssl http2;"]
    assert "[::]" not in site(change, OTHER, ipv6=False)
    assert errors(check(made(change))) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            saying(ip=4),
            "ip: 4 on host watchme, whose proxy Caddy does not support that; proxy: nginx of infra:hosts.watchme, or a site",
        ),
        (
            both(saying(http2=False), beside()),
            f"http2: false, but site {OTHER} of host watchme has HTTP/2 at the same address",
        ),
    ],
    ids=["one family", "HTTP/2 at one of two"],
)
def test_caddy_is_refused_what_it_cannot_do_for_one_site(change, line):
    assert line in "\n".join(str(problem) for problem in check(made(change, "caddy")))
