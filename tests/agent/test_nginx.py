"""What Nginx takes in beside a release's sites, by its own dump of its configuration."""

import pytest

from agent.proxies import nginx
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, longer, release, serving

NAME, PATH, OTHER = "api.hey-watch.me", "/etc/nginx/sites-enabled/api.hey-watch.me", "/etc/nginx/conf.d/x.conf"
OURS = f"server {{ listen 443 ssl; listen [::]:443 ssl; server_name {NAME}; }}"
SAME = f"also has the public name {NAME}: Nginx uses only the first site that it reads"
TWO_DEEP = "# configuration file /etc/nginx/a:\ninclude b;\n# configuration file /etc/nginx/b:\ninclude a; server_name"
PROXIED = "has proxy_protocol at port 443, which Nginx then requires from the clients of every site"
FOUND = {
    "a range of ports": ("server { listen 8000-8010; }", None),
    "a range with a site's": (f"server {{ listen 400-500; server_name {NAME}; }}", SAME),
    "all addresses": ("server { listen [::0]:443; listen [0:0:0:0:0:0:0:0]:80; listen 0.0.0.0:80; listen *:443; }", None),
    "one address, in full": (
        "server { listen [2001:db8::1]:443; }",
        "listens at [2001:db8::1]:443 only, which Nginx prefers to the sites that listen at all addresses",
    ),
    "this host itself": (f"server {{ listen [0::1]:443; listen 127.1.2.3:443; server_name {NAME}; }}", None),
    "two files deep, in a circle": (f"server {{ listen 443; include a; }}\n{TWO_DEEP} {NAME};", SAME),
    "the host's own name": ("server { listen 443; server_name $hostname; }", SAME),
    "proxy_protocol": ("server { listen 443 ssl proxy_protocol; server_name x; }", PROXIED),
    "proxy_protocol at another port": ("server { listen 8443 ssl proxy_protocol; server_name x; }", None),
}  # fmt: skip


def world(*files: tuple[str, str]) -> FakeWorld:
    made = FakeWorld()
    made.files["/proc/sys/kernel/hostname"] = (f"{NAME}\n".encode(), 0o444, "root", "root")
    made.answers["nginx -T -q"] = CommandResult(
        0, "\n".join(f"# configuration file {path}:\n{text}" for path, text in files)
    )
    return made


@pytest.mark.parametrize(("text", "found"), FOUND.values(), ids=FOUND)
def test_other_nginx_server_of_a_site_is_found(text, found):
    made = world((nginx.MAIN, "http { }"), (PATH, OURS), (OTHER, text))
    assert nginx.others(made, [NAME], {PATH}, serves=True) == ([(OTHER, found)] if found else [])


def test_a_site_that_nginx_does_not_read_is_not_served():
    made = world((nginx.MAIN, "http { include conf.d/*.conf; }"))
    (found,) = nginx.others(made, [NAME], {PATH}, serves=True)
    assert found == (nginx.MAIN, f"does not include {PATH}: that site is not served")
    # The files of a release that is yet to come are not there
    assert nginx.others(made, [NAME], {PATH}) == []


REFUSES = "outside any site, which applies to the requests of every site"
BASIC = 'auth_basic "closed"; auth_basic_user_file /etc/x;'
WIDE = {
    "a password": (BASIC, "auth_basic"),
    "a question": ("auth_request /ask;", "auth_request"),
    "addresses": ("allow 10.0.0.0/8; deny all;", "deny"),
    "in a file that it takes in": ("include deep.conf;", None),
    "none": ("auth_basic off; auth_request off; allow all;", None),
    "limits": ("client_max_body_size 1k; keepalive_timeout 1s; limit_req zone=a; add_header X y;", None),
    "of a site": (f"server {{ server_name x; {BASIC} deny all; location / {{ deny all; }} }}", None),
    "of a map": ("map $a $b { deny 1; auth_basic 2; }", None),
    "in a comment": ("# deny all;", None),
    "of single addresses": ("deny 192.0.2.1; deny 198.51.100.0/24;", None),
}


@pytest.mark.parametrize(("text", "guard"), WIDE.values(), ids=WIDE)
def test_directive_that_refuses_requests_of_every_site_is_found(text, guard):
    main = (nginx.MAIN, "events { } http { include conf.d/*.conf; include sites-enabled/*; }")
    deep = ("/etc/nginx/deep.conf", "deny all;")
    made = world(main, (OTHER, text), *([deep] if "deep" in text else []), (PATH, OURS))
    expected = [(OTHER, f"has {guard} {REFUSES}")] if guard else []
    expected += [(deep[0], f"has deny {REFUSES}")] if "deep" in text else []
    assert nginx.others(made, [NAME], {PATH}) == expected


def test_global_guards_are_read_from_the_main_file_only():
    snippet, stream = "/etc/nginx/conf.d/snippets/x.conf", "/etc/nginx/streams.conf"
    body = "events { } stream { include streams.conf; deny all; } http { include conf.d/*.conf; %s }"
    files = [
        (OTHER, "server { server_name x; include conf.d/snippets/x.conf; }"),
        (snippet, BASIC),
        (stream, "deny all;"),
    ]
    assert nginx.others(world((nginx.MAIN, body % ""), *files, (PATH, OURS)), [NAME], {PATH}) == []
    (found,) = nginx.others(world((nginx.MAIN, body % BASIC), *files, (PATH, OURS)), [NAME], {PATH})
    assert found == (nginx.MAIN, f"has auth_basic {REFUSES}")


def test_guard_of_the_release_is_not_reported():
    made = world((nginx.MAIN, "http { include conf.d/*.conf; }"), (OTHER, "deny all;"))
    assert nginx.others(made, [NAME], {OTHER}) == []


READS = {
    "none of it": (f"# configuration file {nginx.MAIN}:\nevents {{ }} http {{ }}", False),
    "it": (f"# configuration file {nginx.MAIN}:\nhttp {{ }}\n# configuration file {PATH}:\n{OURS}", True),
    "no answer that it knows": ("nginx: [warn] x", True),
}


@pytest.mark.parametrize(("dump", "is_read"), READS.values(), ids=READS)
def test_a_site_that_nginx_would_not_read_is_refused_before_the_switch(dump, is_read):
    made = serving(release())
    made.answers["unshare"] = CommandResult(0, dump)
    before = made.seen_by_programs()
    outcome = applied(made, release(longer))
    assert outcome.outcome == ("applied" if is_read else "refused")
    if not is_read:
        assert f"nothing touched: {nginx.MAIN} does not include {PATH}" in outcome.line
        assert made.seen_by_programs() == before
