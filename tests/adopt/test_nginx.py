"""Nginx's locations as routes, as people write them."""

import pytest

from infra.adopt.host.drafts import RouteDraft
from infra.adopt.host.nginx import shared_cors
from infra.errors import InfraError
from tests.adopt.servers import AT, HEAD, read_of, seen
from tests.support import GOLDEN


def route(public: str, internal: str | None = None, host: str = "127.0.0.1", port: int = 8017, **more) -> RouteDraft:
    return RouteDraft("a.example.com", public, internal, host, port, "", **more)


FITS = {
    "a path of its own": (f"location /x/ {{ {AT}/; }}", route("/x/")),
    "the whole site": (f"location / {{ {AT}/; }}", route("/")),
    "another path inside": (f"location /x/ {{ {AT}/api/x/; }}", route("/x/", "/api/x/")),
    "the same path inside": (f"location /x/ {{ {AT}; }}", route("/x/", "/x/")),
    "the whole site as it is": (f"location / {{ {AT}; }}", route("/")),
    "a page alone": (f"location = /version {{ {AT}/version; }}", route("/version")),
    "a page alone as it is": (f"location = /version {{ {AT}; }}", route("/version")),
    "first of all": (f"location ^~ /x/ {{ {AT}/; }}", route("/x/")),
    "localhost": ("location /x/ { proxy_pass http://localhost:8017/; }", route("/x/", host="localhost")),
    "a container's address": ("location /x/ { proxy_pass http://172.27.0.17:8017/; }", route("/x/", host="172.27.0.17")),
    "a size": (f"location /x/ {{ {AT}/; client_max_body_size 10M; }}", route("/x/", max_body="10M")),
    "a size in bytes": (f"location /x/ {{ {AT}/; client_max_body_size 1048576; }}", route("/x/", max_body="1m")),
    "a Host of its own": (f"location /x/ {{ {AT}/; proxy_set_header Host app.internal; }}", route("/x/", host_header="app.internal")),
    "the client's Host": (f"location /x/ {{ {AT}/; proxy_set_header Host $http_host; }}", route("/x/")),
    "a timeout": (f"location /x/ {{ {AT}/; proxy_read_timeout 2m; }}", route("/x/", timeout=120)),
    "CORS": (f'location /x/ {{ {AT}/; add_header "Access-Control-Allow-Methods" "GET, POST"; }}', route("/x/", cors={"methods": ["GET", "POST"]})),
}  # fmt: skip


@pytest.mark.parametrize(("location", "expected"), FITS.values(), ids=FITS)
def test_a_location_is_a_route(location, expected):
    found = seen(f"server {{ {HEAD} {location} }}")
    assert (found.routes, found.remarks) == ([expected], [])


BENT = {
    "without its last slash": (f"location /x {{ {AT}; }}", "is taken as /x/, /x/ inside", [route("/x/", "/x/")]),
    "slashes that do not match": (f"location /x {{ {AT}/; }}", "is taken as /x/, / inside", [route("/x/")]),
    "any size": (f"location /x/ {{ {AT}/; client_max_body_size 0; }}", "taken as 1g", [route("/x/", max_body="1g")]),
    "endless digits": (
        f"location /x/ {{ {AT}/; proxy_read_timeout {'9' * 5000}; }}",
        "taken as 3600",
        [route("/x/", timeout=3600)],
    ),
    "days": (f"location /x/ {{ {AT}/; proxy_read_timeout 1d; }}", "taken as 3600", [route("/x/", timeout=3600)]),
    "a connection of days": (
        f"location /x/ {{ {AT}/; proxy_connect_timeout 2h; }}",
        "proxy_connect_timeout 2h: connect_timeout is 1 to 3600 whole seconds; taken as 3600",
        [route("/x/", more={"connect_timeout": 3600})],
    ),
    "a part of a second": (
        f"location /x/ {{ {AT}/; proxy_send_timeout 1500ms; }}",
        "taken as 1",
        [route("/x/", more={"send_timeout": 1})],
    ),
    "a pattern": (
        r"location ~ \.php$ { proxy_pass http://127.0.0.1:1; }",
        "is a pattern, but a route must be a path",
        [],
    ),
    "a page that is another inside": (
        f"location = /x {{ {AT}/y; }}",
        "leads to /y: a single page must keep its path",
        [],
    ),
    "a variable": ("location /x/ { proxy_pass http://$where; }", "a variable, and a route leads to one service", []),
    "TLS inside": ("location /x/ { proxy_pass https://127.0.0.1:8443/; }", "https, and services are asked by http", []),
    "a Host that is made up": (
        f"location /x/ {{ {AT}/; proxy_set_header Host $host:8443; }}",
        "Host $host:8443: a route's host is a name",
        [route("/x/")],
    ),
    "a strange method": (
        f'location /x/ {{ {AT}/; add_header Access-Control-Allow-Methods "GET, BREW"; }}',
        "CORS for BREW",
        [route("/x/", cors={"methods": ["GET"]})],
    ),
}


@pytest.mark.parametrize(("location", "said", "expected"), BENT.values(), ids=BENT)
def test_unsupported_directives_are_reported(location, said, expected):
    found = seen(f"server {{ {HEAD} {location} }}")
    assert found.routes == expected
    assert said in " ".join(remark.text for remark in found.remarks)


LONG = "proxy_connect_timeout 180s; proxy_send_timeout 180s; proxy_read_timeout 180s; client_max_body_size 200M;"


def test_large_bodies_and_long_times_are_read_exactly_and_rendered_again():
    """As the owner's own site has them: on some routes with CORS, on others without."""
    cors = 'add_header "Access-Control-Allow-Methods" "GET, POST";'
    found = seen(f"server {{ {HEAD} location / {{ {AT}; {LONG} }} location /x/ {{ {AT}/; {LONG} {cors} }} }}")
    more = {"connect_timeout": 180}
    assert found.remarks == []
    assert found.routes == [
        route("/", timeout=180, max_body="200M", more=more),
        route("/x/", timeout=180, max_body="200M", more=more, cors={"methods": ["GET", "POST"]}),
    ]


def test_a_size_of_the_server_or_of_all_servers_counts():
    server = f"server {{ {HEAD} client_max_body_size 5m; location /x/ {{ {AT}/; }} location /y/ {{ {AT}/; client_max_body_size 7m; }} }}"
    assert [r.max_body for r in seen(server).routes] == ["5m", "7m"]
    assert [
        r.max_body for r in seen(f"server {{ {HEAD} location /x/ {{ {AT}/; }} }}", "client_max_body_size 3m;").routes
    ] == ["3m"]


def test_upstream_is_resolved_only_when_it_has_one_server():
    http = "upstream one { server 127.0.0.1:8017; } upstream two { server 127.0.0.1:1; server 127.0.0.1:2; }"
    server = (
        f"server {{ {HEAD} location /x/ {{ proxy_pass http://one/; }} location /y/ {{ proxy_pass http://two/; }} }}"
    )
    found = seen(server, http)
    assert found.routes == [route("/x/")]
    assert "2 servers take turns there" in found.remarks[0].text


def test_included_files_are_read_in_place():
    snippet = {"/etc/nginx/snippets/proxy.conf": "proxy_read_timeout 90;"}
    server = f"server {{ {HEAD} location /x/ {{ {AT}/; include snippets/*.conf; }} }}"
    assert seen(server, files=snippet).routes == [route("/x/", timeout=90)]


SERVERS = {
    "no name": ("server { listen 80; location / { proxy_pass http://127.0.0.1:1; } }", "no public name"),
    "a name that is a pattern": (f"server {{ {HEAD} server_name *.example.com; location / {{ {AT}; }} }}", "a site needs whole names"),
    "no encryption": (f"server {{ listen 80; server_name a.example.com; location / {{ {AT}; }} }}", "without encryption"),
}  # fmt: skip


@pytest.mark.parametrize(("server", "said"), SERVERS.values(), ids=SERVERS)
def test_missing_parts_of_a_server_are_reported(server, said):
    assert said in seen(server).remarks[0].text


def test_server_that_only_redirects_to_https_is_no_site():
    found = seen("server { listen 80; server_name a.example.com; return 301 https://$host$request_uri; }")
    assert (found.routes, found.facts, found.remarks) == ([], {}, [])


def test_headers_of_a_server_become_the_sites_except_hsts():
    headers = 'add_header X-Frame-Options DENY always; add_header Strict-Transport-Security "max-age=63072000" always;'
    found = read_of(f"server {{ {HEAD} {headers} location / {{ {AT}; }} }}")
    assert found.headers == {"X-Frame-Options": "DENY"} and found.has_hsts
    assert not read_of(f"server {{ {HEAD} location / {{ {AT}; }} }}").has_hsts


def test_other_names_become_aliases_and_redirecting_servers_redirects():
    server = f"""server {{ {HEAD} server_name b.example.com; location / {{ {AT}; }} }}
        server {{ listen 443 ssl; server_name www.example.com; return 301 https://a.example.com$request_uri; }}
        server {{ listen 80; server_name a.example.com; return 301 https://$host$request_uri; }}"""
    found = seen(server)
    assert (found.facts["a.example.com"].aliases, found.remarks) == (["b.example.com"], [])
    assert found.facts["www.example.com"].redirects == [{"public": "/", "to": "https://a.example.com/", "status": 301}]


NOT_SERVICES = {
    "a page elsewhere": ("location = /old { return 301 /new; }", {"redirects": [{"public": "/old", "to": "/new", "status": 301}]}),
    "all below it elsewhere": (
        "location /was/ { return 302 https://b.example.com$request_uri; }",
        {"redirects": [{"public": "/was/", "to": "https://b.example.com/was/", "status": 302}]},
    ),
    "files": ("location /docs/ { alias /srv/docs/; }", {"static": [{"public": "/docs/", "directory": "/srv/docs", "fallback": None, "cors": False}]}),
    "files below a root": ("location /docs/ { root /srv; }", {"static": [{"public": "/docs/", "directory": "/srv/docs", "fallback": None, "cors": False}]}),
    "an application": (
        "root /srv/web; location / { try_files $uri $uri/ /index.html; }",
        {"static": [{"public": "/", "directory": "/srv/web", "fallback": "index.html", "cors": False}]},
    ),
    "files for some": (
        "location /docs/ { alias /srv/docs/; allow 10.0.0.0/8; deny all; }",
        {"static": [{"public": "/docs/", "directory": "/srv/docs", "fallback": None, "cors": False, "allow": ["10.0.0.0/8"]}]},
    ),
    "nothing there": ("location /x/ { return 404; }", {"closed": ["/x/"]}),
    "no one": ("location = /x { deny all; }", {"closed": ["/x"]}),
    "Nginx itself": (f"location /x/ {{ internal; {AT}/; }}", {"closed": ["/x/"]}),
    "a script": ("location /x/ { fastcgi_pass unix:/run/php.sock; }", {"closed": ["/x/"]}),
    "a variable elsewhere": ("location /x/ { return 301 https://$cookie_a/; }", {"closed": ["/x/"]}),
}  # fmt: skip


@pytest.mark.parametrize(("location", "expected"), NOT_SERVICES.values(), ids=NOT_SERVICES)
def test_location_without_a_service_is_reported_or_closed(location, expected):
    found = seen(f"server {{ {HEAD} {location} location /else/ {{ {AT}; }} }}")
    assert [r.public for r in found.routes] == ["/else/"]
    read = found.facts["a.example.com"]
    assert {kind: getattr(read, kind) for kind in ("redirects", "static", "closed") if getattr(read, kind)} == expected


# What guards a path, and the fields of a route that say the same; none where it is closed instead
GUARDS = {
    "networks": ("allow 10.1.2.0/24; allow 192.0.2.7; deny all;", {"allow": ["10.1.2.0/24", "192.0.2.7/32"]}),
    "all but some": ("deny 10.0.0.0/8; allow all;", {"deny": ["10.0.0.0/8"]}),
    "some, and of IPv6": (
        "allow 10.0.0.0/8; allow 2001:db8::/32; deny all;",
        {"allow": ["10.0.0.0/8", "2001:db8::/32"]},
    ),
    "no one but those denied": ("deny 10.0.0.0/8; deny all;", None),
    "no one": ("deny all; allow 10.0.0.0/8;", None),
    "others than those of IPv6": ("deny 2001:db8::/32;", {"deny": ["2001:db8::/32"]}),
    "IPv6 alone": ("allow 2001:db8::/32; deny all;", {"allow": ["2001:db8::/32"]}),
    "an address with more behind it": ('allow "2001:db8::%x; return 200 y; allow ::1"; deny all;', None),
    "one of a network": ("allow 10.0.0.0/8; deny 10.1.0.0/16; deny all;", None),
    "a password": ('auth_basic "x"; auth_basic_user_file /etc/nginx/htpasswd;', None),
    "a password or a network": ("satisfy any; allow 10.0.0.0/8; deny all; auth_basic x;", None),
    "another that is asked": ("auth_request /auth;", None),
    "a key in a header": ('if ($http_x_key != "k") { return 403; }', None),
    "some methods": ("limit_except GET { deny all; }", None),
    "a signature": ("secure_link $arg_md5;", None),
    "no guard": ("if ($request_method = OPTIONS) { return 204; }", {}),
    "a guard that is off": ("auth_basic off; auth_request off; satisfy all;", {}),
}


@pytest.mark.parametrize("at", ["location", "server", "http"])
@pytest.mark.parametrize(("guard", "expected"), GUARDS.values(), ids=GUARDS)
def test_guarded_location_never_becomes_an_open_route(guard, expected, at):
    if at == "http" and ("if" in guard or "limit_except" in guard):
        at = "location"
    put = {place: guard if place == at else "" for place in ("location", "server", "http")}
    if at == "server" and ("if" in guard or "limit_except" in guard):
        put = {"location": guard, "server": "", "http": ""}
    found = seen(f"server {{ {HEAD} {put['server']} location /x/ {{ {AT}/; {put['location']} }} }}", put["http"])
    if expected is None:
        assert found.routes == [] and found.facts["a.example.com"].closed == ["/x/"]
    else:
        assert found.routes == [route("/x/", more=expected)] and found.facts["a.example.com"].closed == []


def test_a_location_may_lift_its_servers_guard():
    text = f"auth_basic x; location /x/ {{ {AT}/; }} location /y/ {{ {AT}/; auth_basic off; }}"
    found = seen(f"server {{ {HEAD} {text} }}")
    assert found.routes == [route("/y/")] and found.facts["a.example.com"].closed == ["/x/"]


MORE = {
    "limits": ("limit_req zone=one burst=5 nodelay; limit_conn two 9;", {"rate": {"requests": 3, "per": "second", "burst": 5}, "connections": 9}),
    "a limit of something else": ("limit_req zone=odd;", {}),
    "times": ("proxy_connect_timeout 2s; proxy_buffering on;", {"buffering": True, "connect_timeout": 2}),
    "a long connection": ("proxy_connect_timeout 180s;", {"connect_timeout": 180}),
    "the usual connection": ("proxy_connect_timeout 5s;", {}),
    "sending alone": ("proxy_send_timeout 180;", {"send_timeout": 180}),
    "requests as they come": ("proxy_request_buffering off;", {"request_buffering": False}),
    "requests taken whole": ("proxy_request_buffering on;", {}),
    "headers": ('add_header X-A "1"; add_header X-B $host;', {"headers": {"X-A": "1"}}),
    "request headers": ('proxy_set_header X-C "2"; proxy_set_header X-D $host; proxy_set_header Host $host;', {"request_headers": {"X-C": "2"}}),
    "a secret header": ("proxy_set_header X-Key __masked__0123456789ab;", {}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MORE.values(), ids=MORE)
def test_supported_directives_become_fields_of_the_route(text, expected):
    http = """limit_req_zone $binary_remote_addr zone=one:1m rate=3r/s; limit_req_zone $uri zone=odd:1m rate=3r/s;
        limit_conn_zone $binary_remote_addr zone=two:1m;"""
    found = seen(f"server {{ {HEAD} location /x/ {{ {AT}/; {text} }} }}", http)
    assert found.routes == [route("/x/", more=expected)]


def test_files_before_a_service_are_the_services():
    text = f"location / {{ try_files $uri @app; }} location @app {{ {AT}; }}"
    found = seen(f"server {{ {HEAD} {text} }}")
    assert found.routes == [route("/")] and "the service answers all requests" in found.remarks[0].text


def test_cors_is_read_with_its_origin_headers_and_cookies():
    headers = (
        "add_header Access-Control-Allow-Methods GET; add_header Access-Control-Allow-Origin https://b.example.com;"
        "add_header Access-Control-Allow-Credentials true; add_header Access-Control-Allow-Headers X-A;"
        "add_header Access-Control-Max-Age 60;"
    )
    cors = {
        "methods": ["GET"],
        "origins": ["https://b.example.com"],
        "credentials": True,
        "headers": ["X-A"],
        "max_age": 60,
    }
    found = seen(f"server {{ {HEAD} location /x/ {{ {AT}/; {headers} }} }}")
    assert found.routes == [route("/x/", cors=cors)]
    found = seen(
        f"server {{ {HEAD} location /x/ {{ {AT}/; {headers.replace('https://b.example.com', '$http_origin')} }} }}"
    )
    assert found.routes[0].cors == {"methods": ["GET"], "headers": ["X-A"], "max_age": 60}
    assert "CORS for $http_origin" in found.remarks[0].text


def test_the_documents_own_locations():
    """As they stand there, Japanese comments and localhost included."""
    template = (GOLDEN / "watchme/template-location.conf").read_text()
    ast = (
        template.replace("[公開URLパス]", "behavior-features")
        .replace("[ポート番号]", "8017")
        .replace("/[内部APIパス]/", "/")
    )
    avatar = (GOLDEN / "watchme/avatar-location.conf").read_text()
    found = seen(f"server {{ listen 443 ssl; server_name api.hey-watch.me;\n{ast}\n{avatar}\n}}")
    assert found.remarks == []
    assert [(r.public, r.host, r.port, r.cors, r.max_body) for r in found.routes] == [
        ("/behavior-features/", "localhost", 8017, {"methods": ["GET", "POST", "OPTIONS"]}, None),
        ("/avatar/", "localhost", 8014, {"methods": ["GET", "POST", "DELETE", "OPTIONS"]}, "10M"),
    ]
    assert shared_cors(found.routes) == {"methods": ["GET", "POST", "OPTIONS"]}


def test_invalid_nginx_configuration_is_reported():
    with pytest.raises(InfraError, match=r"/etc/nginx/sites-enabled/a: Nginx's configuration cannot be read"):
        seen("server { location / {")
