"""What was protected on a hand-made host is never an open route, in whatever words of Nginx, and what is left out falls
through to nothing else."""

import pytest
import yaml

from catalogue.masking import mask_secrets
from infra.adopt.host import by_run, nginx, on_host, sites, understanding
from tests.adopt.servers import AT, HEAD, read_of, seen
from tests.support import stack

P = f"{AT};"


def of(text: str, http: str = "", name: str = "a.example.com"):
    """Public paths that lead to a service or files, what is closed, and what was said."""
    server = text if "server {" in text else f"server {{ {HEAD} {text} }}"
    found = seen(server, http)
    read = found.facts.get(name, nginx.SiteFacts())
    public = {route.public for route in found.routes} | {entry["public"] for entry in read.static}
    return public, {*read.closed}, " ".join(remark.text for remark in found.remarks)


# What a server says; what is public of it, and what is closed
GUARDED = {
    "a condition before all locations": (f"if ($allowed = 0) {{ return 403; }} location / {{ {P} }}", set(), {"/"}),
    "an answer before all locations": (f"return 403; location / {{ {P} }}", set(), {"/"}),
    "locations within one": (f"location / {{ {P} location /admin/ {{ auth_basic x; {P} }} }}", set(), {"/"}),
    "programs among files": (
        f"location /b/ {{ alias /srv/b/; location ~ \\.php$ {{ fastcgi_pass unix:/x; }} }} location /a/ {{ {P} }}", {"/a/"}, {"/b/"},
    ),
    "files that a program runs": (
        "root /var/www; location / { try_files $uri $uri/ /index.php?$args; } location ~ \\.php$ { fastcgi_pass unix:/x; }", set(), {"/"},
    ),
    "files that are kept back": ("root /srv; location / { try_files $uri =404; } location ~ \\.(env|sql)$ { deny all; }", set(), {"/"}),
    "a page of a program for what is no file": ("root /srv; location / { try_files $uri /index.php; }", set(), {"/"}),
    "patterns that begin with a path": (
        f"location / {{ {P} }} location ~ ^/admin {{ auth_basic x; {P} }} location ~* ^/(wp-admin|x) {{ deny 10.0.0.0/8; {P} }}",
        {"/"}, {"/admin*", "/wp-admin*", "/x*"},
    ),
    "a pattern before the path that it is about": (
        f"location /admin/ {{ {P} }} location /admin/x/ {{ {P} }} location / {{ {P} }} location ~ ^/admin/ {{ auth_basic x; {P} }}",
        {"/"}, {"/admin*"},
    ),
    "files of a server that asks for a password": ("root /srv; auth_basic x; location /a/ { return 404; }", set(), {"/", "/a/"}),
    "a pattern of any path that lets in some": (f"location / {{ {P} }} location ~ secret {{ auth_basic x; {P} }}", set(), {"/"}),
    "a kind without its space": (f"location ^~/admin/ {{ auth_basic x; {P} }} location =/s {{ deny all; }} location / {{ {P} }}", {"/"}, {"/admin/", "/s"}),
    "a path with other signs": (f'location "/adm+x/" {{ auth_basic x; {P} }} location / {{ {P} }}', {"/"}, {"/adm*"}),
    "all that begins so": (f"location / {{ {P} }} location /wp-login {{ deny all; }} location /int {{ auth_basic x; {P} }}", {"/"}, {"/wp-login*", "/int*"}),
    "all that begins so, for some": (f"location / {{ {P} }} location /admin {{ allow 10.0.0.0/8; deny all; {P} }}", {"/", "/admin/"}, {"/admin*"}),
    "the page / alone": (f"location / {{ {P} }} location = / {{ auth_basic x; {P} }}", set(), {"/"}),
    "the page of a folder": (f"location /x/ {{ {P} }} location = /x/ {{ deny all; }} location / {{ {P} }}", {"/"}, {"/x/"}),
    "a condition that sends on": (f"location /x/ {{ if ($cookie_s = '') {{ return 302 /login; }} {P} }} location / {{ {P} }}", {"/"}, {"/x/"}),
    "a condition that leads elsewhere": (f"location /x/ {{ if ($arg_a) {{ proxy_pass http://127.0.0.1:9; }} {P} }}", set(), {"/x/"}),
    "an answer beside a service": (f"location /x/ {{ return 503; {P} }} location / {{ {P} }}", {"/"}, {"/x/"}),
    "a module's guard": (f'location /x/ {{ auth_ldap "x"; {P} }} location /y/ {{ access_by_lua_file x; {P} }}', set(), {"/x/", "/y/"}),
    "a name that only the host asks": (
        f"server {{ listen 127.0.0.1:443 ssl; server_name a.example.com; location / {{ {P} }} }} server {{ {HEAD} location /x/ {{ deny all; }} }}",
        set(), set(),
    ),
    "a second server of the name": (
        f"server {{ {HEAD} location /x/ {{ auth_basic x; {P} }} }} server {{ {HEAD} location /x/ {{ {P} }} }}", set(), {"/x/"},
    ),
    "a file that was not read": (f"location /x/ {{ include snippets/guard.conf; {P} }} location / {{ {P} }}", {"/"}, {"/x/"}),
    "addresses that a proxy before it says": (
        f"set_real_ip_from 10.0.0.0/8; location /x/ {{ allow 10.9.0.0/16; deny all; {P} }}", set(), {"/x/"},
    ),
    "a guard of what stands behind files": (f"auth_basic x; location / {{ auth_basic off; try_files $uri @app; }} location @app {{ {P} }}", set(), {"/"}),
    "names like the host's own page": (f"location /statuses/ {{ deny all; }} location = /status.json {{ deny all; }} location / {{ {P} }}", {"/"}, {"/statuses/", "/status.json"}),
    "another kind of service": (f"location /g/ {{ grpc_pass grpc://127.0.0.1:1; }} location /u {{ uwsgi_pass 127.0.0.1:2; }} location / {{ {P} }}", {"/"}, {"/g/", "/u*"}),
    "a rewrite": (f"location /b/ {{ rewrite ^/b/(.*)$ /c/$1 last; {P} }} location / {{ {P} }}", {"/"}, {"/b/"}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "public", "closed"), GUARDED.values(), ids=GUARDED)
def test_guarded_location_is_closed(text, public, closed):
    found, shut, said = of(text)
    assert (found, shut) == (public, closed)
    assert said or "deny all" in text or "return 503" in text


OPEN = {
    "hidden files that are kept back": (f"location / {{ {P} }} location ~ /\\. {{ deny all; }}", {"/"}),
    "the path that a rewrite takes off": (f"location /api/ {{ rewrite ^/api/(.*) /$1 break; {P} }}", {"/api/"}),
    "HTTPS by a condition": (
        f"if ($scheme = http) {{ return 301 https://$host$request_uri; }} location / {{ {P} }}",
        {"/"},
    ),
    "a browser's question": (f"location / {{ if ($request_method = 'OPTIONS') {{ return 204; }} {P} }}", {"/"}),
    "a variable that is set": (f"location / {{ if ($http_x) {{ set $y 1; }} {P} }}", {"/"}),
}


@pytest.mark.parametrize(("text", "public"), OPEN.values(), ids=OPEN)
def test_open_location_stays_open(text, public):
    assert of(text)[:2] == (public, set())


def test_redirect_of_a_whole_path_becomes_one_redirect():
    found = read_of(
        f"server {{ {HEAD} location /was {{ return 301 https://b.example.com$request_uri; }} location / {{ {P} }} }}"
    )
    assert found.redirects == [{"public": "/was/", "to": "https://b.example.com/was/", "status": 301}]


def test_cleared_request_header_stays_cleared():
    found = seen(f'server {{ {HEAD} location /x/ {{ proxy_set_header X-Remote-User ""; {P} }} }}')
    assert found.routes[0].more == {"request_headers": {"X-Remote-User": ""}}


def test_cors_of_a_route_states_every_field_that_its_site_sets():
    site = {"methods": ["GET"], "origins": ["https://b.example.com"], "credentials": True}
    own = nginx.RouteDraft(
        "a", "/z/", None, "127.0.0.1", 1, "", {"methods": ["GET"], "origins": ["https://c.example.com"]}
    )
    said = sites.route_of(own, False, site)["cors"]
    assert (said["credentials"], said["origins"]) == (False, ["https://c.example.com"])
    assert sites.route_of(nginx.RouteDraft("a", "/z/", None, "h", 1, ""), False, site)["cors"] is False


SECRET = {
    "an address": "location /x/ {\n    proxy_pass http://127.0.0.1:8018/api/?key=hunter2;\n    auth_basic \"x\";\n}\n",
    "a variable": "location /x/ {\n    set $q token=hunter2;\n    auth_basic x;\n    proxy_pass http://127.0.0.1:1;\n}\n",
    "a redirect": "location = /l {\n    return 301 https://x/?access_token=hunter2;\n}\nlocation /x/ {\n    auth_basic x;\n    proxy_pass http://127.0.0.1:1;\n}\n",
}  # fmt: skip


@pytest.mark.parametrize("text", SECRET.values(), ids=SECRET)
def test_masking_keeps_the_guards_of_a_location(text):
    shown = mask_secrets("/etc/nginx/sites-enabled/a", text)
    assert "hunter2" not in shown
    public, closed, _ = of(shown)
    assert "/x/" in closed and not public


def test_every_file_that_is_included_is_read(tmp_path):
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets/a.conf").write_text("# a\n")
    (tmp_path / "snippets/b.conf").write_text("auth_basic x;\n")
    main = tmp_path / "nginx.conf"
    main.write_text('http { server { add_header X "#1"; include snippets/a.conf; include snippets/b.conf; } }\n')
    found = on_host._read_with_includes(str(main), str(tmp_path), lambda path, text: text)
    assert {path.rsplit("/", 1)[1] for path in found} == {"nginx.conf", "a.conf", "b.conf"}


WRONG = {
    "a name that is sent on by a variable": f"server {{ {HEAD} location / {{ {P} }} }} server {{ listen 443 ssl; server_name www.example.com; return 301 $scheme://a.example.com$request_uri; }}",
    "a directory without its root": f"server {{ {HEAD} location / {{ root html; }} location /a/ {{ {P} }} }}",
    "an address for a name": f"server {{ listen 443 ssl; server_name 10.0.0.5; location / {{ {P} }} }}",
    "two slashes": f"server {{ {HEAD} location /a//b/ {{ deny all; }} location / {{ {P} }} }}",
    "a header that is a variable": f'server {{ {HEAD} location / {{ add_header Access-Control-Allow-Methods GET; add_header Access-Control-Allow-Headers "$http_x"; {P} }} }}',
}  # fmt: skip


@pytest.mark.parametrize("server", WRONG.values(), ids=WRONG)
def test_unsupported_settings_do_not_abort_the_adoption(server):
    """Whatever is read off it can be a site of the catalogue's."""
    found = seen(server)
    facts = {"certificates": {}}
    made = sites.sites_of(found, {(r.site, r.public) for r in found.routes}, facts, stack(), [])
    for entry in made:
        sites.Site.model_validate(understanding._without_none(entry))


def test_values_of_docker_run_are_escaped_for_compose_and_masked():
    body = {"environment": {"CONFIG": '{"db": {"password": "hunter2"}}', "B": "${X}y", "C": "it's"}}
    text = by_run.yaml_text({"services": {"a": body}})
    assert yaml.safe_load(text)["services"]["a"]["environment"]["B"] == "$${X}y"
    shown = mask_secrets("/opt/a/docker-compose.prod.yml", text)
    assert "hunter2" not in shown and yaml.safe_load(shown)["services"]["a"]["environment"]["C"] == "it's"
