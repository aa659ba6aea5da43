"""Nginx's locations as routes, as people write them."""

import pytest

from infra.adopt.host.nginx import Found, shared_cors, sites
from infra.errors import InfraError
from tests.support import GOLDEN

HEAD = "listen 443 ssl; server_name a.example.com;"


def seen(server: str, http: str = "", files: dict[str, str] | None = None):
    main = f"http {{ {http} include /etc/nginx/sites-enabled/*; }}"
    return sites({"/etc/nginx/nginx.conf": main, "/etc/nginx/sites-enabled/a": server, **(files or {})})


def route(public: str, internal: str | None = None, host: str = "127.0.0.1", port: int = 8017, **more) -> Found:
    return Found("a.example.com", public, internal, host, port, "", **more)


AT = "proxy_pass http://127.0.0.1:8017"
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
    "a Host of its own": (f"location /x/ {{ {AT}/; proxy_set_header Host app.internal; }}", route("/x/", asked_as="app.internal")),
    "the client's Host": (f"location /x/ {{ {AT}/; proxy_set_header Host $http_host; }}", route("/x/")),
    "a timeout": (f"location /x/ {{ {AT}/; proxy_read_timeout 2m; }}", route("/x/", timeout=120)),
    "CORS": (f'location /x/ {{ {AT}/; add_header "Access-Control-Allow-Methods" "GET, POST"; }}', route("/x/", methods=["GET", "POST"])),
}  # fmt: skip


@pytest.mark.parametrize(("location", "expected"), FITS.values(), ids=FITS)
def test_a_location_is_a_route(location, expected):
    found = seen(f"server {{ {HEAD} {location} }}")
    assert (found.routes, found.remarks) == ([expected], [])


BENT = {
    "without its last slash": (f"location /x {{ {AT}; }}", "is taken as /x/, /x/ inside", [route("/x/", "/x/")]),
    "slashes that do not match": (f"location /x {{ {AT}/; }}", "is taken as /x/, / inside", [route("/x/")]),
    "any size": (f"location /x/ {{ {AT}/; client_max_body_size 0; }}", "taken as 1g", [route("/x/", max_body="1g")]),
    "days": (f"location /x/ {{ {AT}/; proxy_read_timeout 1d; }}", "taken as 3600", [route("/x/", timeout=3600)]),
    "a pattern": (r"location ~ \.php$ { proxy_pass http://127.0.0.1:1; }", "a pattern: a route is a path", []),
    "a page that is another inside": (f"location = /x {{ {AT}/y; }}", "leads to /y: a page alone keeps its path", []),
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
        [route("/x/", methods=["GET"])],
    ),
}


@pytest.mark.parametrize(("location", "said", "expected"), BENT.values(), ids=BENT)
def test_what_does_not_fit_is_said(location, said, expected):
    found = seen(f"server {{ {HEAD} {location} }}")
    assert found.routes == expected
    assert said in " ".join(remark.text for remark in found.remarks)


def test_a_size_of_the_server_or_of_all_servers_counts():
    server = f"server {{ {HEAD} client_max_body_size 5m; location /x/ {{ {AT}/; }} location /y/ {{ {AT}/; client_max_body_size 7m; }} }}"
    assert [r.max_body for r in seen(server).routes] == ["5m", "7m"]
    assert [
        r.max_body for r in seen(f"server {{ {HEAD} location /x/ {{ {AT}/; }} }}", "client_max_body_size 3m;").routes
    ] == ["3m"]


def test_an_upstream_of_one_server_is_that_server_and_of_two_is_none():
    http = "upstream one { server 127.0.0.1:8017; } upstream two { server 127.0.0.1:1; server 127.0.0.1:2; }"
    server = (
        f"server {{ {HEAD} location /x/ {{ proxy_pass http://one/; }} location /y/ {{ proxy_pass http://two/; }} }}"
    )
    found = seen(server, http)
    assert found.routes == [route("/x/")]
    assert "2 servers take turns there" in found.remarks[0].text


def test_what_is_included_is_in_place():
    snippet = {"/etc/nginx/snippets/proxy.conf": "proxy_read_timeout 90;"}
    server = f"server {{ {HEAD} location /x/ {{ {AT}/; include snippets/*.conf; }} }}"
    assert seen(server, files=snippet).routes == [route("/x/", timeout=90)]


SERVERS = {
    "no name": ("server { listen 80; location / { proxy_pass http://127.0.0.1:1; } }", "no public name"),
    "several names": (f"server {{ {HEAD} server_name b.example.com; location / {{ {AT}; }} }}", "its other names b.example.com"),
    "no encryption": (f"server {{ listen 80; server_name a.example.com; location / {{ {AT}; }} }}", "without encryption"),
}  # fmt: skip


@pytest.mark.parametrize(("server", "said"), SERVERS.values(), ids=SERVERS)
def test_what_a_server_lacks_is_said(server, said):
    assert said in seen(server).remarks[0].text


def test_a_server_that_leads_nowhere_is_no_site():
    found = seen("server { listen 80; server_name a.example.com; return 301 https://$host$request_uri; }")
    assert (found.routes, found.headers, found.remarks) == ([], {}, [])


def test_headers_of_the_server_are_the_sites_but_for_what_the_program_adds():
    headers = 'add_header X-Frame-Options DENY always; add_header Strict-Transport-Security "max-age=63072000" always;'
    assert seen(f"server {{ {HEAD} {headers} location / {{ {AT}; }} }}").headers == {
        "a.example.com": {"X-Frame-Options": "DENY"}
    }


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
    assert [(r.public, r.host, r.port, r.methods, r.max_body) for r in found.routes] == [
        ("/behavior-features/", "localhost", 8017, ["GET", "POST", "OPTIONS"], None),
        ("/avatar/", "localhost", 8014, ["GET", "POST", "DELETE", "OPTIONS"], "10M"),
    ]
    assert shared_cors(found.routes) == ["GET", "POST", "OPTIONS"]


def test_what_nginx_could_not_read_either_is_said():
    with pytest.raises(InfraError, match=r"/etc/nginx/sites-enabled/a: Nginx's configuration cannot be read"):
        seen("server { location / {")
