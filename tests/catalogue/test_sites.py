"""What a site may not say, and what its words mean together."""

import pytest
from pydantic import ValidationError

from catalogue.checks import check
from catalogue.problems import CatalogueError
from catalogue.serving import Cors, Serving
from catalogue.sites import Hsts, Site
from catalogue.validation import Document, problems_of
from rendering.host import render
from tests import serving
from tests.catalogue import sites
from tests.serving import described, shop
from tests.support import catalogue


@pytest.mark.parametrize(("change", "said"), sites.REFUSED.values(), ids=sites.REFUSED)
def test_settings_that_no_proxy_supports_are_refused(change, said):
    with pytest.raises(ValidationError) as error:
        catalogue(change)
    document = Document("shop.yaml", lambda path: ".".join(map(str, path)))
    (problem,) = problems_of(error.value, document)
    assert said in str(problem)


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
    "another server": ("nginx", "} server { listen 1;", "closes a { that is not open"),
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
        "points to http://169.254.169.254/",
    ),
    "a block that stays open": ("nginx", "location /x {", "has a { or a quote that is not closed"),
    "a quote that stays open": ("nginx", 'return 200 "x;', "has a { or a quote that is not closed"),
    "a file of Caddy's": ("caddy", "handle /x {\n import /etc/passwd\n}", "has the directive import"),
    "a file of Caddy's in quotes": ("caddy", 'handle /x {\n "import" /etc/passwd\n}', "has the directive import"),
    "an escaped word": ("caddy", "im\\port /etc/passwd", "has \\ outside of quotes"),
    "a listener of Caddy's": ("caddy", "bind 0.0.0.0", "has the directive bind"),
    "another site of Caddy's": ("caddy", "}\nother.example {", "closes a { that is not open"),
    "another site behind a text of several lines": (
        "caddy",
        "respond /zz `\na {\n`\n}\nhttp://127.0.0.1:9998 {\n respond evil\n",
        "has a ` or <<",
    ),
    "Caddy's own door": (
        "caddy",
        "reverse_proxy unix//var/lib/caddy/admin.sock",
        "points to unix//var/lib/caddy/admin.sock",
    ),
    **{f"what is no space for Nginx: {sign!a}": ("nginx", f'set $a x{sign}"; }} server {{ listen 1; }} set $b y{sign}";', "has a control character") for sign in "\x0b\x0c\x1c\x1f\x85\xa0\u2028\u3000"},
    "what ends no line for Caddy": ("caddy", "respond a\x0bb", "has a control character"),
    "a sign that Caddy leaves out": ("caddy", "im\rport x", "has a control character"),
    "escaped braces": ("caddy", 'respond \\{\n}\nLocalhost {\nheader {\n\\} x\n}\nrespond "owned"\n', "has \\ outside of quotes"),
    "a comment that goes on below": ("caddy", "respond x # a \\\nimport y", "has a \\ at a line's end"),
    "a brace in quotes, which Caddy counts": ("caddy", 'handle /x {\n header X "}"\n}\nLocalhost {\n header Y "{"\n}', "has a { or }"),
    "a brace inside of a line": ("caddy", "handle /x {\n respond } 200\n}", "has a { or }"),
    **{f"files of the host: {text}": ("nginx", text, "serves files of") for text in (
        "location /f/ { alias /etc/; }", "location / { root /; }", "root /srv;", "alias /srv/shop/../../etc/;", "root html;", "root /opt/infra/x;",
        "root /srv/shop/$arg_x;", "root $document_root;", "alias /home/a/.ssh/;", "alias /var/lib/infra/;", "root /srv/shop/.ssh;",
        "try_files /../../etc/passwd =404;", "try_files $arg_x =404;", "set $x a; try_files /$x =404;", "try_files $args =404;", "index ../../etc/passwd;",
        "error_page 404 /../../etc/passwd;", "rewrite ^ /../../etc/passwd break;", "rewrite ^ $arg_x break;", "rewrite ^/a(.*)b(.*)$ /$1$2/x break;",
    )},
    **{f"files of the host: {text}": ("caddy", text, "serves files of") for text in (
        "root * /etc\nfile_server browse", "root /etc", "file_server {\n root /\n}", "root * {http.request.header.x}", "root * /srv/{path}", "vars root /etc",
        "vars {\n root /etc\n}", '@x {\n file {\n  root "/etc"\n }\n}',
    )},
    **{f"where Caddy works: {text}": ("caddy", text, "has a file_server without a root") for text in (
        "file_server browse", "handle /a {\n root * /srv/shop\n}\nhandle /b {\n file_server\n}", "root /x/* /srv/shop\nfile_server", "root @x /srv/shop\nfile_server {\n browse\n}",
    )},
    **{f"elsewhere: {text}": ("nginx", text, "points to") for text in (
        "proxy_pass http://2852039166/;", "set $h 169.25; proxy_pass http://${h}4.169.254/;", "proxy_pass http://127.0.0.1:2375;", "proxy_pass http://127.0.0.1;", "proxy_pass $x;",
        "proxy_pass http://0xa9fea9fe/;", "proxy_pass http://[::1]:8041;", "proxy_pass http://0:8041;", "proxy_pass http://127.1:8041;", "proxy_pass http://10.0.0.1:8041;",
        "proxy_pass http://localhost:22;", "proxy_pass http://x.localhost:22;", "fastcgi_pass 127.0.0.1:22;", "uwsgi_pass $x:8041;", "proxy_pass http://a@127.0.0.1:8041;",
        "proxy_pass http://127.0.0.1:8041@x;", "proxy_pass http://a.example:$x;", "proxy_pass http://a.example$x;", "proxy_pass http://instance-data/;",
    )},
    **{f"elsewhere: {text}": ("caddy", text, "points to") for text in (
        "reverse_proxy 127.0.0.1:2375", "reverse_proxy /x/* 127.0.0.1:8041 127.0.0.1:2019", "reverse_proxy {\n to :2019\n}", "forward_auth {http.request.host}", "reverse_proxy @x 2852039166",
        "reverse_proxy 127.0.0.1:8000-9000", "reverse_proxy http://localhost:2019", "reverse_proxy tcp/127.0.0.1:22",
    )},
    **{f"what the host keeps: {text}": ("caddy", text, "with which Caddy could publish data of the host") for text in (
        "respond {file./etc/passwd}", "respond {env.AWS_SECRET}", "respond {$SECRET}", "# {$SECRET}", "@x expression caddyPlaceholder(request, 'env.X') == 'a'",
    )},
    "files by a map": ("caddy", "map {host} {http.vars.root} {\n default /etc\n}", "has a map that sets vars"),
}  # fmt: skip
STAYING = {
    "an escaped end": ("nginx", "return 200 a\\;\ninclude x;"),
    "a word in a text": ("nginx", 'location /x { return 200 "include listen; }"; }'),
    "a variable": ("nginx", 'location /x { return 200 "${host}"; add_header X ${host}; }'),
    "nothing": ("nginx", "# nothing yet\n"),
    "a remark in another script": ("nginx", "  # 注意\u3000ここ\nreturn 204;\n"),
    "the same for Caddy": ("caddy", "# 注意\u3000ここ\nrespond 204\n"),
    "a pattern with a brace": ("nginx", 'location ~ "^/a{2}$" { return 204; }'),
    "another service": ("nginx", "location /x/ { proxy_pass http://127.0.0.1:8041/; proxy_set_header Host $host; }"),
    "a matcher of Caddy's": ("caddy", "@x path /x\nheader @x X-Y {host}\n"),
    "another service of Caddy's": (
        "caddy",
        'handle /x/* {\n reverse_proxy 127.0.0.1:8041 {\n  header_up Host "a b"\n }\n}\n',
    ),
    **{text: ("nginx", text) for text in (
        "location /a/ { alias /srv/shop/a/; try_files $uri $uri/ /index.html; }", "root /var/www/shop/web;", "root /var/www/shop;", "location / { root /opt/shop; index index.html a.php; }",
        "proxy_pass https://a.example;", "proxy_pass http://web;", "proxy_pass http://127.0.0.1:8040$request_uri;", "proxy_pass http://localhost:8040/a/$1?x=$arg_x;", "fastcgi_pass 127.0.0.1:8040;",
        "rewrite ^/a/(.*)$ /b/$1 last;", "rewrite ^/a/(.*)/(.*)$ /b?x=$1&y=$2;", "rewrite ^/a/(.*)/(.*)$ https://b.example/$1/$2;", "rewrite ^/(.*)/(.*)$ /$2/$1 permanent;",
        "try_files $uri /index.php$is_args$args;", "error_page 404 =200 /a.html;", "error_page 403 = @away;", "set $a b;\r\nset $c d;\r\n",
    )},
    **{text: ("caddy", text) for text in (
        "root * /srv/shop\nfile_server", "file_server\nroot * /var/www/shop", "file_server /x/* {\n root /opt/shop\n}", "handle /x {\n root /srv/shop\n route {\n  file_server\n }\n}",
        "@x path_regexp \"\\.php$\"", "reverse_proxy /x/* web:80 https://a.example", "reverse_proxy :8040", 'respond "{}" 200', "respond {host}\r\n",
    )},
}  # fmt: skip


@pytest.mark.parametrize(("proxy", "text", "said"), REACHING.values(), ids=REACHING)
def test_snippet_that_affects_other_sites_is_refused(tmp_path, proxy, text, said):
    name = "shop/snippet.conf" if proxy == "nginx" else "shop/snippet.caddy"
    found = refused(tmp_path, proxy, static={name: text})
    assert said in found and f"files/static/{name}" in found


@pytest.mark.parametrize(("proxy", "text"), STAYING.values(), ids=STAYING)
def test_snippet_that_affects_only_its_site_is_accepted(tmp_path, proxy, text):
    name = "shop/snippet.conf" if proxy == "nginx" else "shop/snippet.caddy"
    assert refused(tmp_path, proxy, static={name: text}) == ""


def test_limits_of_clients_are_nginxs(tmp_path):
    limited = ("    access_log: false\n", "    rate: {requests: 5}\n    connections: 10\n")
    assert refused(tmp_path, "nginx", limited) == ""
    assert "rate and connections on host box, whose proxy Caddy does not support that" in refused(
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
    assert "which redirects in a loop" in refused(tmp_path, "nginx", change)


def test_redirect_to_an_answered_path_is_no_loop(tmp_path):
    change = (
        '    redirects: [{public: /, to: "https://shop.hey-watch.me/"}]',
        "    redirects: [{public: /, to: /app/}]\n    closed: [/app/]",
    )
    assert refused(tmp_path, "nginx", change) == ""


@pytest.mark.parametrize("value", ["{env.HOME}", "a {host}", "{header.Authorization}", "{{x}}"])
def test_caddy_placeholders_in_header_values_are_refused_for_caddy(tmp_path, value):
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


def test_route_inherits_cors_fields_of_its_site():
    site = Site(name="a.example.com", cors=Cors(methods=["GET"], origins=["https://a.example"], credentials=True))
    own = Serving.model_validate({"cors": ["DELETE"]}).over(site).cors
    assert own == Cors(methods=["DELETE"], origins=["https://a.example"], credentials=True)
    assert Serving.model_validate({"cors": False}).over(site).cors == Cors()
    assert Serving.model_validate({"cors": {"origins": ["*"], "credentials": False}}).over(site).cors == Cors(
        methods=["GET"]
    )


def test_fallback_must_be_a_file_of_the_site(tmp_path):
    found = refused(tmp_path, "nginx", ("fallback: index.html", "fallback: none.html"))
    assert "fallback none.html is not in files/static/shop/web/" in found


def test_an_authority_is_a_certificate(tmp_path):
    found = refused(tmp_path, "nginx", ("    compress: true\n", "    client_ca: shop/404.html\n"))
    assert "client_ca files/static/shop/404.html has no certificate" in found


def test_a_password_is_no_longer_than_a_proxy_reads(tmp_path, monkeypatch):
    monkeypatch.setitem(serving.SECRETS["shop"], "ALICE", "é" * 37)
    found = refused(tmp_path, "nginx")
    assert "longer than 72 bytes" in found and "é" not in found


def test_route_overrides_settings_of_its_site():
    site = Site(name="a.example.com", max_body="1m", timeout=5, headers={"X-A": "1", "X-B": "2"}, basic_auth={"u": "P"})
    own = Serving(timeout=9, headers={"x-a": "3"}, basic_auth={}).over(site)
    assert (own.max_body, own.timeout, own.headers) == ("1m", 9, {"X-B": "2", "x-a": "3"})
    assert not own.is_guarded and Serving().over(site).is_guarded


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, Hsts().value), (False, None), ({"max_age": 5, "preload": True}, "max-age=5; preload")],
)
def test_hsts_has_a_short_and_a_long_form(given, value):
    found = Site.model_validate({"name": "a.example.com", "hsts": given}).all_headers
    assert found.get("Strict-Transport-Security") == value


def test_cors_has_a_short_and_a_long_form():
    assert Site.model_validate({"name": "a.example.com", "cors": ["GET"]}).cors == Cors(methods=["GET"])
    assert Serving.model_validate({"cors": False}).cors == Cors(methods=[])
