"""A CDN in front of a site: who is believed of its clients, who gets in, and what is open in the cloud."""

import re
from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from catalogue.cdns import Cdn, published_lists
from catalogue.checks import check
from catalogue.sites import Site
from components.network import openings
from rendering.host import render, switched_names, zone_names
from tests.catalogue.changes import both, configured, hosted
from tests.catalogue.sites import beside, saying
from tests.support import catalogue

OURS = {"ranges": ["198.51.100.0/24", "2001:db8::/32"]}
ONLY = {"provider": "cloudflare", "only": True}


def files_of(change, proxy="nginx"):
    made = catalogue(change, hosted(proxy=proxy))
    return {file.path: file.content.decode() for file in render(made, "watchme").files}


def site_of(change, proxy="nginx"):
    (text,) = [
        text for path, text in files_of(change, proxy).items() if "api.hey-watch.me" in path and "/sites" in path
    ]
    return text


def test_cloudflares_list_is_dated_and_whole():
    entry = published_lists()["cloudflare"]
    assert entry["as_of"].year >= 2026 and len(entry["ranges"]) == 22
    assert all(ip_network(text) for text in entry["ranges"])


def test_nginx_believes_the_cdn_alone():
    text = site_of(saying(cdn="cloudflare"))
    assert "real_ip_header CF-Connecting-IP;" in text and "real_ip_recursive on;" in text
    assert text.count("set_real_ip_from ") == 22 and "set_real_ip_from 2400:cb00::/32;" in text
    assert "geo $realip" not in text
    own = site_of(saying(cdn=OURS))
    assert "real_ip_header X-Forwarded-For;" in own and own.count("set_real_ip_from ") == 2


def test_caddy_believes_the_cdn_alone_and_goes_by_its_client():
    change = both(saying(cdn=OURS), saying(deny=["203.0.113.0/24"]))
    main = files_of(change, "caddy")["/etc/caddy/Caddyfile"]
    assert "trusted_proxies static 198.51.100.0/24 2001:db8::/32" in main
    assert "client_ip_headers X-Forwarded-For" in main
    assert "trusted_proxies_strict" in main, "what a client writes into the list before it is not believed"
    text = site_of(change, "caddy")
    assert "client_ip 203.0.113.0/24" in text and "header_up X-Forwarded-For {client_ip}" in text
    assert "remote_ip" not in text


GATE = {"service": "vault-api", "path": "/health", "headers": ["X-User"]}


def asking_the_gate(data):
    """Each way of a proxy to a service: one path asks another service first."""
    route = next(service for service in data["services"] if service["name"] == "avatar-uploader")["routes"][0]
    route["forward_auth"] = GATE


@pytest.mark.parametrize(
    ("change", "client"),
    [(saying(cdn=OURS), "{client_ip}"), (beside(cdn=OURS, challenge="dns-01"), "{remote_host}")],
)
def test_caddy_says_itself_what_a_cdn_passes_on_of_its_clients(change, client):
    """Caddy keeps X-Forwarded-* of addresses that it trusts, which a client of the CDN may have written; and it trusts
    them at each of its sites."""
    files = files_of(both(change, asking_the_gate), "caddy")
    text = files["/etc/caddy/sites/api.hey-watch.me.caddy"]
    blocks = re.findall(r"^\t+(?:reverse_proxy|forward_auth) \S+ \{\n.*?\n\t\t\t\}$", text, re.MULTILINE | re.DOTALL)
    assert len([block for block in blocks if "forward_auth" in block]) == 1 and len(blocks) > 2
    for block in blocks:
        for name, value in (("Host", "{host}"), ("Proto", "{scheme}"), ("For", client)):
            assert f"\t\t\t\theader_up X-Forwarded-{name} {value}\n" in block
        assert f"\t\t\t\theader_up X-Real-IP {client}\n" in block


def test_caddy_without_a_cdn_leaves_these_headers_to_itself():
    text = site_of(asking_the_gate, "caddy")
    assert "forward_auth " in text and "header_up X-Forwarded" not in text
    assert "\t\t\t\theader_up X-Real-IP {remote_host}\n" in text


def test_the_page_for_what_comes_past_the_cdn_is_not_refused_in_its_turn():
    """Nginx looks at the rule again when it asks itself for the page: ten times, and then it would answer 500."""
    pages = {"403": "watchme/403.html", "404": "watchme/404.html"}
    made = catalogue(saying(cdn=ONLY, error_pages=pages), hosted(proxy="nginx"))
    made.sources.update(dict.fromkeys(pages.values(), b"<h1>no</h1>"))
    (text,) = [
        file.content.decode() for file in render(made, "watchme").files if file.path.endswith("/api.hey-watch.me")
    ]
    (pattern,) = re.findall(r'if \(\$uri ~ "(\S+)"\) \{\n        set \$infra_direct "";', text)
    assert re.search(pattern, "/.infra-pages/403.html") and re.search(pattern, "/.infra-pages/404.html")
    # Whatever has no page there leads to the site's own paths
    for path in ("/.infra-pages/x", "/.infra-pages/403.html/x", "/x/.infra-pages/403.html", "/.infra-pages/403xhtml"):
        assert not re.search(pattern, path)
    rule = text.index("if ($infra_direct)")
    assert text.index("set $infra_direct $infra_direct_") < text.index('set $infra_direct "";') < rule
    assert "location = /.infra-pages/403.html {\n        internal;" in text
    assert "if ($infra_direct_" not in text


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_without_one_nothing_of_it_is_there(proxy):
    files = files_of(lambda data: None, proxy)
    words = ("real_ip", "trusted_proxies", "client_ip")
    assert not [path for path, text in files.items() if any(word in text for word in words)]


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_a_site_for_the_cdn_only_lets_in_administrators_too(proxy):
    text = site_of(saying(cdn=ONLY), proxy)
    made = catalogue(saying(cdn=ONLY), hosted(proxy=proxy))
    admin = str(made.stack.adminCidrs[0])
    block = text[text.index({"nginx": "geo $realip_remote_addr", "caddy": "@direct not remote_ip"}[proxy]) :]
    assert admin in block.split("server {")[0] and "127.0.0.1" in block and "172.64.0.0/13" in block
    assert {"nginx": "return 403;", "caddy": "error @direct 403"}[proxy] in text
    assert [problem for problem in check(made) if problem.level == "error"] == []


def test_another_name_of_a_site_has_its_cdn():
    change = both(
        saying(cdn=OURS),
        lambda data: data["sites"].append({"name": "b.hey-watch.me", "alias_of": data["sites"][0]["name"]}),
    )
    assert "set_real_ip_from 198.51.100.0/24" in files_of(change)["/etc/nginx/sites-available/b.hey-watch.me"]


def networks(made, port):
    return [opening.cidr for opening in openings(made) if opening.first == port]


def test_the_group_is_closed_to_all_but_the_cdn_where_each_site_is_for_it_only():
    config = configured(adminCidrs=["203.0.113.7/32"], statusCidrs=["203.0.113.0/28"])
    made = catalogue(saying(cdn=ONLY), config)
    assert networks(made, 443) == [
        *(text for text in published_lists()["cloudflare"]["ranges"] if ":" not in text), "203.0.113.7/32", "203.0.113.0/28",
    ]  # fmt: skip
    assert networks(made, 80) == networks(made, 443)
    for other in (saying(cdn="cloudflare"), both(saying(cdn=ONLY), beside())):
        assert networks(catalogue(other, config), 443) == ["0.0.0.0/0"]


def test_what_http_proves_is_asked_from_anywhere():
    made = catalogue(both(saying(cdn=ONLY), saying(challenge="http-01")))
    assert networks(made, 80) == ["0.0.0.0/0"] and "0.0.0.0/0" not in networks(made, 443)


@pytest.mark.parametrize("value", [{}, {"ranges": []}, {"only": True}])
def test_one_without_ranges_is_none(value):
    with pytest.raises(ValidationError, match="cloudflare, or ranges"):
        Cdn.model_validate(value)


@pytest.mark.parametrize("value", ["fastly", {"ranges": ["198.51.100.1/24"]}, {"ranges": ["all"]}])
def test_what_is_no_cdn_is_refused(value):
    with pytest.raises(ValidationError):
        Site.model_validate({"name": "a.example.com", "cdn": value})


def test_all_of_the_world_is_no_cdn():
    made = catalogue(saying(cdn={"ranges": ["0.0.0.0/1", "128.0.0.0/1"]}))
    (line,) = [problem.message for problem in check(made) if problem.level == "error"]
    assert "its ranges are all of the internet, or almost" in line


def test_caddy_has_one_cdn_for_all_sites():
    change = both(saying(cdn="cloudflare"), beside(cdn=OURS, challenge="dns-01"))
    faults = [
        problem.message for problem in check(catalogue(change, hosted(proxy="caddy"))) if problem.level == "error"
    ]
    assert any(
        "another cdn than site api.hey-watch.me of host watchme, whose proxy is Caddy" in line for line in faults
    )
    assert not [problem for problem in check(catalogue(change)) if "another cdn" in problem.message]


@pytest.mark.parametrize(("dns", "waits"), [({}, True), ({"provider": "external"}, False)])
def test_a_move_waits_for_no_record_that_a_person_has_led_to_a_cdn(dns, waits):
    made = catalogue(saying(cdn="cloudflare"), configured(dns=dns))
    assert (switched_names(made, "watchme") == zone_names(made, "watchme")) is waits
