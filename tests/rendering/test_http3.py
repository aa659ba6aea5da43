"""HTTP/3 of a site: how the proxies listen for it, how clients come to know of it, and what is open in the cloud."""

import pytest

from agent.world import CommandResult
from components.network import openings
from rendering.host import render
from tests.agent.releases import applied, release, world_for
from tests.catalogue.changes import both, hosted
from tests.catalogue.sites import beside, saying
from tests.support import catalogue

NEW = "nginx version: nginx/1.26.3\nconfigure arguments: --with-http_v2_module --with-http_v3_module"
OLD = "nginx version: nginx/1.22.1\nconfigure arguments: --with-http_v2_module"


def files_of(change, **host):
    made = catalogue(change, hosted(**host))
    return {file.path: file.content.decode() for file in render(made, "watchme").files}


def site_of(files, name="api.hey-watch.me"):
    (text,) = [text for path, text in files.items() if path.endswith((f"available/{name}", f"sites/{name}.caddy"))]
    return text


def test_nginx_listens_for_it_once_for_all_its_workers():
    files = files_of(both(saying(http3=True), beside(http3=True, challenge="dns-01"), beside_plain))
    first, second, plain = (site_of(files, f"{name}.hey-watch.me") for name in ("api", "www", "plain"))
    assert "listen 443 quic reuseport;" in first and "listen [::]:443 quic reuseport;" in first and "http3 on;" in first
    assert "listen 443 quic;" in second and "http3 on;" in second
    assert "quic" not in plain and "Alt-Svc" not in plain
    # A location with headers of its own has it too
    assert first.count("add_header Alt-Svc") > 1


def beside_plain(data):
    data["sites"].append({"name": "plain.hey-watch.me"})


def test_a_host_without_ipv6_listens_there_for_nothing():
    assert "[::]" not in site_of(files_of(saying(http3=True), ipv6=False))


def test_another_name_of_a_site_has_it_too():
    change = both(
        saying(http3=True),
        lambda data: data["sites"].append({"name": "b.hey-watch.me", "alias_of": "api.hey-watch.me"}),
    )
    assert "listen 443 quic;" in site_of(files_of(change), "b.hey-watch.me")


def test_caddy_serves_it_where_a_site_wants_it():
    assert "protocols h1 h2 h3" in files_of(saying(http3=True), proxy="caddy")["/etc/caddy/Caddyfile"]
    plain = files_of(lambda data: None, proxy="caddy")
    assert "protocols h1 h2\n" in plain["/etc/caddy/Caddyfile"] and "Alt-Svc" not in site_of(plain)


def test_the_cloud_opens_udp_where_a_site_wants_it():
    udp = [
        (opening.first, opening.cidr)
        for opening in openings(catalogue(saying(http3=True)))
        if opening.protocol == "udp"
    ]
    assert udp == [(443, "0.0.0.0/0")]
    assert not [opening for opening in openings(catalogue()) if opening.protocol == "udp"]


@pytest.mark.parametrize(("version", "outcome"), [(NEW, "applied"), (OLD, "refused")])
def test_a_host_whose_nginx_has_none_refuses_it_before_the_switch(version, outcome):
    made = release(saying(http3=True))
    world = world_for(made)
    world.answers["nginx -V"] = CommandResult(0, version)
    ended = applied(world, made)
    assert ended.outcome == outcome
    if outcome == "refused":
        assert (
            "the Nginx of this host has no HTTP/3, but /etc/nginx/sites-available/api.hey-watch.me asks for it"
            in ended.line
        )


def test_a_release_without_it_asks_nothing():
    made = release()
    world = world_for(made)
    assert applied(world, made).code == 0 and not [line for line in world.ran if line.startswith("nginx -V")]
