"""What a site may not say, and what its words mean together."""

import pytest
from pydantic import ValidationError

from catalogue.checks import check
from catalogue.problems import CatalogueError
from catalogue.sites import Cors, Hsts, Serving, Site
from catalogue.validation import problems_of
from rendering.host import render
from tests import serving
from tests.catalogue import sites
from tests.serving import described, shop
from tests.support import catalogue


@pytest.mark.parametrize(("change", "said"), sites.REFUSED.values(), ids=sites.REFUSED)
def test_what_no_proxy_could_be_given_is_refused(change, said):
    with pytest.raises(ValidationError) as error:
        catalogue(change)
    found = [str(problem) for problem in problems_of(error.value, "shop.yaml", lambda path: ".".join(map(str, path)))]
    assert len(found) == 1 and said in found[0]


def refused(tmp_path, proxy, *changes, static=()):
    """What `infra check` says of the shop."""

    def changed(text: str) -> str:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return text

    try:
        shop(tmp_path, proxy, changed, dict(static))
    except CatalogueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_the_shop_itself_is_sound(tmp_path, proxy):
    assert refused(tmp_path, proxy) == ""


REACHING = {
    "another port": ("nginx", "listen 8080;", "has the directive listen"),
    "another server": ("nginx", "} server { listen 1;", "closes a { that it has not opened"),
    "another file": ("nginx", "location /x { include /etc/passwd; }", "has the directive include"),
    "in quotes": ("nginx", "\"include\" '/etc/passwd';", "has the directive include"),
    "behind a comment": ("nginx", "# a { comment\ninclude x;", "has the directive include"),
    "between two quotes inside of words": (
        "nginx",
        'set $x a";\ninclude /etc/nginx/more.conf;\nset $y b";',
        "has the directive include",
    ),
    "behind an apostrophe": ("nginx", "return 200 it's;\nlisten 1;\nreturn 200 it's;", "has the directive listen"),
    "behind a variable's brace": ("nginx", "set $x ${host}; include x;", "has the directive include"),
    "a log of its own": ("nginx", "access_log /etc/cron.d/evil;", "has the directive access_log"),
    "a directory that is given away": ("nginx", "fastcgi_temp_path /etc/ssh;", "has the directive fastcgi_temp_path"),
    "who clients are": ("nginx", "set_real_ip_from 0.0.0.0/0;", "has the directive set_real_ip_from"),
    "one guard for two": ("nginx", "satisfy any;", "has the directive satisfy"),
    "the metadata service": (
        "nginx",
        "location /x { proxy_pass http://169.254.169.254/; }",
        "leads to http://169.254.169.254/",
    ),
    "a block that stays open": ("nginx", "location /x {", "has a { or a quote that is not closed"),
    "a quote that stays open": ("nginx", 'return 200 "x;', "has a { or a quote that is not closed"),
    "a file of Caddy's": ("caddy", "handle /x {\n import /etc/passwd\n}", "has the directive import"),
    "a file of Caddy's in quotes": ("caddy", 'handle /x {\n "import" /etc/passwd\n}', "has the directive import"),
    "an escaped word": ("caddy", "im\\port /etc/passwd", "has the directive import"),
    "a listener of Caddy's": ("caddy", "bind 0.0.0.0", "has the directive bind"),
    "another site of Caddy's": ("caddy", "}\nother.example {", "closes a { that it has not opened"),
    "another site behind a text of several lines": (
        "caddy",
        "respond /zz `\na {\n`\n}\nhttp://127.0.0.1:9998 {\n respond evil\n",
        "has a ` or <<",
    ),
    "Caddy's own door": (
        "caddy",
        "reverse_proxy unix//var/lib/caddy/admin.sock",
        "leads to unix//var/lib/caddy/admin.sock",
    ),
}
STAYING = {
    "an escaped end": ("nginx", "return 200 a\\;\ninclude x;"),
    "a word in a text": ("nginx", 'location /x { return 200 "include listen; }"; }'),
    "a variable": ("nginx", 'location /x { return 200 "${host}"; add_header X ${host}; }'),
    "nothing": ("nginx", "# nothing yet\n"),
    "a pattern with a brace": ("nginx", 'location ~ "^/a{2}$" { return 204; }'),
    "another service": ("nginx", "location /x/ { proxy_pass http://127.0.0.1:9000/; proxy_set_header Host $host; }"),
    "a matcher of Caddy's": ("caddy", "@x path /x\nheader @x X-Y {host}\n"),
    "another service of Caddy's": (
        "caddy",
        'handle /x/* {\n reverse_proxy 127.0.0.1:9000 {\n  header_up Host "a b"\n }\n}\n',
    ),
}


@pytest.mark.parametrize(("proxy", "text", "said"), REACHING.values(), ids=REACHING)
def test_what_is_written_by_hand_reaches_no_further_than_its_site(tmp_path, proxy, text, said):
    name = "shop/snippet.conf" if proxy == "nginx" else "shop/snippet.caddy"
    found = refused(tmp_path, proxy, static={name: text})
    assert said in found and f"files/static/{name}" in found


@pytest.mark.parametrize(("proxy", "text"), STAYING.values(), ids=STAYING)
def test_what_concerns_the_site_alone_is_taken(tmp_path, proxy, text):
    name = "shop/snippet.conf" if proxy == "nginx" else "shop/snippet.caddy"
    assert refused(tmp_path, proxy, static={name: text}) == ""


def test_limits_of_clients_are_nginxs(tmp_path):
    limited = ("    access_log: false\n", "    rate: {requests: 5}\n    connections: 10\n")
    assert refused(tmp_path, "nginx", limited) == ""
    assert "rate and connections on host box, whose proxy is Caddy, which has none" in refused(
        tmp_path, "caddy", limited
    )


ROUND = {
    "two that lead to each other": (
        "- {public: /old, to: /new/}",
        "- {public: /old, to: /new}\n      - {public: /new, to: /old}",
    ),
    "by another name": (
        '- {public: /store, to: "https://store.hey-watch.me/a"}',
        '- {public: /store, to: "https://store.hey-watch.me/store"}',
    ),
}


@pytest.mark.parametrize("change", ROUND.values(), ids=ROUND)
def test_redirects_that_never_end_are_refused(tmp_path, change):
    assert "which is redirected again, for ever" in refused(tmp_path, "nginx", change)


def test_a_redirect_to_what_something_else_answers_ends(tmp_path):
    change = (
        '    redirects: [{public: /, to: "https://shop.hey-watch.me/"}]',
        "    redirects: [{public: /, to: /app/}]\n    closed: [/app/]",
    )
    assert refused(tmp_path, "nginx", change) == ""


@pytest.mark.parametrize("value", ["{env.HOME}", "a {host}", "{header.Authorization}", "{{x}}"])
def test_what_caddy_would_fill_in_is_refused_there(tmp_path, value):
    change = ('X-Site: "yes"', f'X-Site: "{value}"')
    assert refused(tmp_path, "nginx", change) == ""
    assert "a header's value with { and a letter, on host box" in refused(tmp_path, "caddy", change)


def test_an_instance_has_a_gate_and_an_alias_of_its_own(tmp_path):
    made = described(tmp_path, "nginx")
    names = {f"{name}.hey-watch.me": f"{name}-staging.hey-watch.me" for name in ("shop", "store", "www", "members")}
    given = {"system": "shop", "as": "shop-staging", "names": names}
    made = described(tmp_path, "nginx", systems=["shop", given], secrets={"shop-staging": serving.SECRETS["shop"]})
    assert [str(problem) for problem in check(made) if problem.level == "error"] == []
    text = {file.path: file.content.decode() for file in render(made, "box").files if "sites-available" in file.path}
    found = text["/etc/nginx/sites-available/shop-staging.hey-watch.me"]
    gate = next(s for s in made.systems["shop-staging"].active if s.name == "shop-staging-gate")
    assert f"proxy_pass http://service_{gate.name}/verify;" in found and "auth_request /.infra-asks/" in found
    upstreams = {file.path: file.content.decode() for file in render(made, "box").files}
    assert f"server 127.0.0.1:{gate.listens};" in upstreams[f"/etc/nginx/upstreams/{gate.name}.serving"]
    assert "return 301 https://store-staging.hey-watch.me/a" in found


def test_cors_that_a_route_does_not_say_is_its_sites():
    site = Site(name="a.example.com", cors=Cors(methods=["GET"], origins=["https://a.example"], credentials=True))
    own = Serving.model_validate({"cors": ["DELETE"]}).over(site).cors
    assert own == Cors(methods=["DELETE"], origins=["https://a.example"], credentials=True)
    assert Serving.model_validate({"cors": False}).over(site).cors == Cors()
    assert Serving.model_validate({"cors": {"origins": ["*"], "credentials": False}}).over(site).cors == Cors(
        methods=["GET"]
    )


def test_a_fallback_is_one_of_its_files(tmp_path):
    found = refused(tmp_path, "nginx", ("fallback: index.html", "fallback: none.html"))
    assert "fallback none.html is not in files/static/shop/web/" in found


def test_an_authority_is_a_certificate(tmp_path):
    found = refused(tmp_path, "nginx", ("    compress: true\n", "    client_ca: shop/404.html\n"))
    assert "client_ca files/static/shop/404.html has no certificate" in found


def test_a_password_is_no_longer_than_a_proxy_reads(tmp_path, monkeypatch):
    monkeypatch.setitem(serving.SECRETS["shop"], "ALICE", "é" * 37)
    found = refused(tmp_path, "nginx")
    assert "longer than 72 bytes" in found and "é" not in found


def test_a_route_has_its_own_word_or_its_sites():
    site = Site(name="a.example.com", max_body="1m", timeout=5, headers={"X-A": "1", "X-B": "2"}, basic_auth={"u": "P"})
    own = Serving(timeout=9, headers={"x-a": "3"}, basic_auth={}).over(site)
    assert (own.max_body, own.timeout, own.headers) == ("1m", 9, {"X-B": "2", "x-a": "3"})
    assert not own.is_guarded and Serving().over(site).is_guarded


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, Hsts().value), (False, None), ({"max_age": 5, "preload": True}, "max-age=5; preload")],
)
def test_hsts_is_said_in_one_word_or_in_full(given, value):
    found = Site.model_validate({"name": "a.example.com", "hsts": given}).all_headers
    assert found.get("Strict-Transport-Security") == value


def test_cors_is_said_in_one_word_or_in_full():
    assert Site.model_validate({"name": "a.example.com", "cors": ["GET"]}).cors == Cors(methods=["GET"])
    assert Serving.model_validate({"cors": False}).cors == Cors(methods=[])
