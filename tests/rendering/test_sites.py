"""Sites behind either proxy: what is public, under which headers, with which limits."""

import re

import pytest

from agent.proxies import caddy as running_caddy
from catalogue.serving import Serving
from rendering.host import needs, render
from rendering.proxies import caddy, nginx
from rendering.sites import public_url, view
from tests.support import changed, put_by_hand, service, whole


def proxied(proxy):
    return lambda config: config["infra:hosts"]["services"].update(proxy=proxy)


def site(proxy, name="example.com"):
    files = {file.path: file.content.decode() for file in render(whole(proxied(proxy)), "services").files}
    return files[{"nginx": f"/etc/nginx/sites-available/{name}", "caddy": f"/etc/caddy/sites/{name}.caddy"}[proxy]]


def test_nginx_serves_the_routes_and_nothing_else():
    locations = re.findall(r"^    location (.*) {$", site("nginx"), re.MULTILINE)
    assert locations == [
        "/.well-known/acme-challenge/", "/", "= /.infra-pages/maintenance", "@restarting", "= /status", "/status/", "/ai/", "= /healthz", "= /readyz", "= /version", "/",
    ]  # fmt: skip
    last = site("nginx").rsplit("    location / {", 1)[1]
    assert last.split() == ["return", "404;", "}", "}"]


def test_caddy_serves_the_routes_and_nothing_else():
    handled = re.findall(r"^\thandle(?: (.*))? {$", site("caddy"), re.MULTILINE)
    own = ["/.well-known/acme-challenge/*", "", "/status/*"]
    assert handled == [*own, "/ai/*", "/ai", "/healthz", "/readyz", "/version", ""]
    assert site("caddy").rstrip().endswith("handle {\n\t\terror 404\n\t}\n}")


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_every_header_of_a_site_is_given(proxy):
    wanted = whole().systems["recall"].sites[0].all_headers
    mark = {"nginx": '"', "caddy": "`"}[proxy]
    assert len(wanted) == 5 and all(f"{name} {mark}{value}{mark}" in site(proxy) for name, value in wanted.items())


REPORT_TO = '{"group": "default", "max_age": 300}'


@pytest.mark.parametrize(
    ("proxy", "lines"),
    [
        (
            "nginx",
            ['X-A "a${infra_dollar}host \\\\ \\"; } %h"', 'X-B "{\\"group\\": \\"default\\", \\"max_age\\": 300}"'],
        ),
        ("caddy", ['X-A `a$host \\ "; } %h`', 'X-B `\\{"group": "default", "max_age": 300}`']),
    ],
)
def test_a_headers_value_means_itself(proxy, lines):
    headers = {"X-A": 'a$host \\ "; } %h', "X-B": REPORT_TO}
    made = changed(whole(proxied(proxy)), "recall", lambda data: data["sites"][0].update(headers=headers))
    files = {file.path: file.content.decode() for file in render(made, "services").files}
    text = next(text for path, text in files.items() if "example.com" in path)
    assert all(line in text for line in lines)
    assert ("geo $infra_dollar" in files.get("/etc/nginx/conf.d/infra-http.conf", "")) is (proxy == "nginx")


@pytest.mark.parametrize(
    ("proxy", "line"), [("nginx", "client_max_body_size 104857600;"), ("caddy", "max_size 104857600")]
)
def test_a_body_size_is_derived_from_the_services_own_configuration(proxy, line):
    assert line in site(proxy, "whisper.hey-watch.me") and "max" not in site(proxy).replace("max-age", "")


@pytest.mark.parametrize(
    ("proxy", "line"), [("nginx", "proxy_read_timeout 120s;"), ("caddy", "response_header_timeout 120s")]
)
def test_timeout_of_a_route_is_rendered(proxy, line):
    assert site(proxy).count(line) == 1


OWNERS = {"max_body": "200m", "timeout": 180, "connect_timeout": 180}


def text_of(proxy, **values):
    """WatchMe's site with more said of all of its routes."""
    made = changed(whole(lambda config: config["infra:hosts"]["watchme"].update(proxy=proxy)), "watchme",
                   lambda data: data["sites"][0].update(values))  # fmt: skip
    files = {file.path: file.content.decode() for file in render(made, "watchme").files}
    return next(text for path, text in files.items() if "hey-watch.me" in path and "/sites" in path)


def test_large_bodies_and_long_times_of_each_direction_are_rendered():
    """The owner's own site: 200 MB, and 180 s to connect, to send and to read."""
    text = text_of("nginx", **OWNERS)
    locations = text.count("\n        proxy_pass http://")
    assert locations > 10
    for line in ("read_timeout 180s", "send_timeout 180s", "connect_timeout 180s"):
        assert text.count(f"        proxy_{line};") >= locations - 2, line
    assert "client_max_body_size 200m;" in text
    text = text_of("nginx", timeout=180, read_timeout=20, send_timeout=30)
    assert (
        "proxy_read_timeout 20s;" in text
        and "proxy_send_timeout 30s;" in text
        and "proxy_read_timeout 180s" not in text
    )


def test_caddy_cuts_an_answer_that_stalls_only_where_read_timeout_says_so():
    """Its own limit counts while a connection rests too: such connections are not kept."""
    text = text_of("caddy", **OWNERS)
    assert "response_header_timeout 180s" in text and "dial_timeout 180s" in text
    assert not [word for word in ("\tread_timeout", "write_timeout", "keepalive") if word in text]
    text = text_of("caddy", read_timeout=20, send_timeout=30)
    assert text.count("response_header_timeout 20s") == text.count("\tread_timeout 20s") == text.count("keepalive off")
    assert text.count("write_timeout 30s") == text.count("\tread_timeout 20s") > 10


def test_a_routes_timeout_goes_before_its_sites_direction():
    site, route = Serving(read_timeout=20, send_timeout=30), Serving(timeout=5)
    assert (route.over(site).reading_limit, route.over(site).sending_limit) == (5, 5)
    assert (Serving().over(site).reading_limit, Serving(send_timeout=7).over(site).sending_limit) == (20, 7)


def test_caddy_obtains_http_certificates_and_is_given_dns_ones():
    host = render(whole(proxied("caddy")), "services")
    assert [(item.name, item.group) for item in host.certificates] == [("whisper.hey-watch.me", "caddy")]
    assert "tls /etc/letsencrypt/live/whisper.hey-watch.me/fullchain.pem" in site("caddy", "whisper.hey-watch.me")
    assert "tls " not in site("caddy") and host.names == ["whisper.hey-watch.me", "example.com"]


def test_caddy_replaces_the_public_path_by_the_internal_one():
    made = changed(whole(), "recall", lambda data: service(data, "recall-api")["routes"][0].update(internal="/v1/ai/"))
    seen = view(made, made.systems["recall"], made.systems["recall"].sites[0], "/etc/nginx").locations[0]
    assert (seen.public, seen.inside, seen.is_prefix) == ("/ai/", "/v1/ai/", True)
    made = changed(
        whole(proxied("caddy")),
        "recall",
        lambda data: service(data, "recall-api")["routes"][0].update(internal="/v1/ai/"),
    )
    text = next(f.content.decode() for f in render(made, "services").files if f.path.endswith("example.com.caddy"))
    assert "\t\t\turi strip_prefix /ai\n\t\t\trewrite * /v1/ai{uri}\n\t\t\treverse_proxy" in text


def test_cors_is_the_sites_and_a_route_may_say_otherwise():
    made = whole()
    watchme = made.systems["watchme"]
    locations = view(made, watchme, watchme.sites[0], "/etc/nginx").locations
    methods = {location.public: location.cors.methods for location in locations if location.cors}
    assert methods["/avatar/"] == ["GET", "POST", "DELETE", "OPTIONS"] and methods["/vault/"] == [
        "GET",
        "POST",
        "OPTIONS",
    ]
    assert "Access-Control" not in site("nginx") + site("caddy")


def test_a_page_alone_can_be_the_health_path():
    made = whole()
    recall = made.systems["recall"]
    assert public_url(made, recall, recall.active[0]) == "https://example.com/readyz"


def test_packages_of_a_host_follow_its_systems():
    made = whole()
    web = ["certbot", "python3-certbot-dns-route53", "logrotate"]
    assert needs(made, "watchme") == ["docker", "skopeo", "nginx", *web]
    assert needs(made, "services") == ["skopeo", "nginx", *web, "rsync"]
    assert needs(made, "home") == ["skopeo", "libpam-systemd"]
    assert needs(put_by_hand(made), "home") == ["libpam-systemd"]
    assert needs(whole(proxied("caddy")), "services")[1] == "caddy"


@pytest.mark.parametrize(
    ("proxy", "line"), [("nginx", "proxy_set_header Host app.internal;"), ("caddy", "header_up Host app.internal")]
)
def test_upstream_host_header_is_rendered(proxy, line):
    made = changed(
        whole(proxied(proxy)),
        "recall",
        lambda data: service(data, "recall-api")["routes"][0].update(host="app.internal"),
    )
    text = "".join(file.content.decode() for file in render(made, "services").files if "example.com" in file.path)
    assert text.count(line) == 1 and line not in site(proxy)


def test_nginx_forwards_unrewritten_paths_unchanged():
    leads = r"location (.*) {\n.*\n\s+proxy_pass http://127.0.0.1:\d+(.*);"
    assert re.findall(leads, site("nginx")) == [("/ai/", ""), ("= /healthz", ""), ("= /readyz", ""), ("= /version", "")]
    rewritten = changed(
        whole(), "recall", lambda data: service(data, "recall-api")["routes"][0].update(internal="/v1/")
    )
    files = {file.path: file.content.decode() for file in render(rewritten, "services").files}
    assert re.findall(leads, files["/etc/nginx/sites-available/example.com"])[0] == ("/ai/", "/v1/")


def nginx_files(config=lambda config: None):
    return {file.path: file.content.decode() for file in render(whole(config), "services").files}


def test_a_machine_without_ipv6_listens_on_none():
    assert site("nginx").count("listen [::]:") == 2
    without = nginx_files(lambda config: config["infra:hosts"]["services"].update(ipv6=False))
    assert (
        "[::]" not in "".join(without.values())
        and "listen 443 ssl http2;" in without["/etc/nginx/sites-available/example.com"]
    )


def test_long_server_names_enlarge_the_nginx_hash():
    path = "/etc/nginx/conf.d/infra-http.conf"
    assert "server_names_hash" not in nginx_files()[path] and "$infra_connection" in nginx_files()[path]
    long = f"{'a' * 43}.com"
    files = nginx_files(lambda config: config.update({"infra:names": {"example.com": long}}))
    assert "server_names_hash_bucket_size 128;\nserver_names_hash_max_size 512;" in files[path]
    assert nginx._names_hash([f"a{number}.example.com" for number in range(200)]) == {
        "bucket_size": 128,
        "max_size": 1024,
    }


def test_caddys_administration_is_out_of_other_accounts_reach():
    """At its usual port every account could give it another configuration, and read any certificate's key by it."""
    host = render(whole(proxied("caddy")), "services")
    (main,) = [file.content.decode() for file in host.files if file.path == caddy.MAIN]
    assert f"\n\tadmin unix/{running_caddy.ADMIN}\n" in main and caddy.ADMIN == running_caddy.ADMIN
    (reaction,) = [one for one in host.reactions if "/etc/caddy/" in one.paths]
    # The one that runs may still listen where the file before said
    assert reaction.run[-1] == "systemctl try-reload-or-restart caddy || systemctl restart caddy"


def test_outside_check_of_a_route_can_have_its_own_path():
    def change(data):
        found = service(data, "recall-api")
        found["routes"][0].update(look="/ai/login?x=1")
        del found["health"]

    made = changed(whole(), "recall", change)
    recall = made.systems["recall"]
    assert public_url(made, recall, recall.active[0]) == "https://example.com/ai/login?x=1"
    probes = [probe for probe in render(made, "services").probes if probe.service == "recall-api"]
    assert [probe.public for probe in probes] == ["https://example.com/ai/login?x=1"]


def test_guarded_site_has_no_outside_check():
    made = changed(whole(), "recall", lambda data: data["sites"][0].update(allow=["10.0.0.0/8"]))
    recall = made.systems["recall"]
    assert public_url(made, recall, recall.active[0]) is None
