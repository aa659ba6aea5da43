"""What a site may say, held against the real proxies: one table of requests for both, and a server that shows what it
got. A container of a lab's machine image has them, without a network."""

import subprocess
import time
from email.utils import formatdate

import pytest

from lab import machine
from tests.rows import rows
from tests.serving import ALIAS, GUARDED, NAME, OLD, Answer, Proxy, serving, shop

pytestmark = pytest.mark.lab
APART = {"source": "127.0.0.2"}
ALICE, BOB = ("-u", "alice:correct horse"), ("-u", "bob:b$b:1")
PAGE, LOST, SOON = "<h1>shop</h1>", "<h1>nothing here</h1>", "<h1>back soon</h1>"


def asked(path, *options, **given):
    return (path, options, given)


def streamed(path, way):
    """Not one request alone: events, or a WebSocket, below a path."""
    return (path, (), {"way": way})


SENT = ("-H", "Expect:", "-X", "POST", "-T")


# What is asked; status, parts of its headers (None: it is not there), and what its body begins with
TABLE = {
    "a page of a folder": (asked("/"), 200, {"cache-control": "no-cache"}, PAGE),
    "a page of an application": (asked("/deep/link?a=1"), 200, {"cache-control": "no-cache"}, PAGE),
    "a file that browsers keep": (asked("/app.js"), 200, {"cache-control": "public, max-age=3600", "content-encoding": None}, "shop()"),
    "the same, compressed before": (asked("/app.js", "-H", "Accept-Encoding: gzip"), 200, {"content-encoding": "gzip"}, "compressed"),
    "the index of a folder in it": (asked("/sub/"), 200, {}, "<h1>sub</h1>"),
    "a folder below a path": (asked("/files/app.js"), 200, {"x-own": "a b", "x-frame-options": "DENY"}, "shop()"),
    "its path without the last /": (asked("/files?a=1"), 301, {"location": f"https://{NAME}/files/"}, ""),
    "a directory of the host": (asked("/docs/page.txt"), 200, {}, "page"),
    "for those who are denied": (asked("/docs/page.txt", **APART), 403, {}, ""),
    "a hidden file": (asked("/docs/.secret"), 404, {}, LOST),
    "a way out of a directory": (asked("/docs/../../../etc/passwd"), (200, 400), {}, None),
    "an encoded way out": (asked("/docs/..%2f..%2f..%2fetc/passwd"), (200, 400, 404), {}, None),
    "a hidden file below a known folder": (asked("/docs/.well-known/.env"), 404, {}, LOST),
    "what a known folder has": (asked("/docs/.well-known/x.txt"), 200, {}, "known"),
    "a file that is written to": (asked("/docs/page.txt", "-X", "POST"), 405, {}, None),
    "a kept path that is not there": (asked("/kept/none.js"), 404, {"cache-control": "no-store"}, LOST),
    "an application's page is asked for again": (asked("/files/index.html"), 200, {"cache-control": "no-cache"}, PAGE),
    "a module": (asked("/files/app.mjs"), 200, {"cache-control": None}, "module"),
    "a redirected path without the last /": (asked("/away?x=1"), 302, {"location": "https://other.example/x/?x=1"}, ""),
    "files for pages of others": (asked("/shared/app.js", "-H", "Origin: https://b.example"), 200, {"access-control-allow-origin": "https://b.example"}, "shop()"),
    "a file that is not there": (asked("/docs/none"), 404, {"cache-control": "no-store", "x-site": "yes"}, LOST),
    "a redirect": (asked("/old"), 301, {"location": f"https://{NAME}/new/"}, ""),
    "a redirect keeps the query": (asked("/old?a=1&b=%2F"), 301, {"location": f"https://{NAME}/new/?a=1&b=%2F"}, ""),
    "one page alone is redirected": (asked("/older"), 200, {}, PAGE),
    "the rest of a path goes along": (asked("/was/a%2Fb/c?d=1"), 308, {"location": f"https://{NAME}/api/a%2Fb/c?d=1"}, ""),
    "to another site": (asked("/away/q"), 302, {"location": "https://other.example/x/q"}, ""),
    "to a site of the product's": (asked("/store"), 301, {"location": f"https://{ALIAS}/a"}, ""),
    "no client names the target": (asked("/gone//evil.example"), 302, {"location": f"https://{NAME}/"}, ""),
    "a closed path": (asked("/internal/x"), 404, {}, LOST),
    "the same without the last /": (asked("/internal"), 404, {}, LOST),
    "all that begins so": (asked("/secret-plans.html"), 404, {}, LOST),
    "whatever is before it": (asked("//internal/x"), 404, {}, LOST),
    "a service": (asked("/api/x?y=1"), 200, {"strict-transport-security": "max-age=60; includeSubDomains", "x-site": "yes"}, None),
    "a header of a route's own": (asked("/api/x"), 200, {"x-frame-options": "SAMEORIGIN"}, None),
    "an origin that is known": (asked("/api/x", "-H", "Origin: https://b.example"), 200, {
        "access-control-allow-origin": "https://b.example", "access-control-allow-credentials": "true", "vary": "Origin"}, None),
    "an origin that is not": (asked("/api/x", "-H", "Origin: https://b.example.evil"), 200, {"access-control-allow-origin": None}, None),
    "a browser that asks before": (asked("/api/x", "-X", "OPTIONS", "-H", "Origin: https://a.example"), 204, {
        "access-control-allow-methods": "GET, POST", "access-control-max-age": "600", "x-frame-options": "SAMEORIGIN"}, ""),
    "a route without CORS": (asked("/plain/x", "-X", "OPTIONS", "-H", "Origin: https://a.example"), 200, {"access-control-allow-methods": None}, None),
    "for those who are allowed": (asked("/admin/x"), 200, {}, None),
    "for no others": (asked("/admin/x", **APART), 403, {}, None),
    "nor without the last /": (asked("/admin", **APART), 301, {"location": f"https://{NAME}/admin/"}, None),
    "nor with more of them": (asked("//admin/x", **APART), 403, {}, None),
    "with a password": (asked("/both/x", *ALICE), 200, {}, None),
    "without one": (asked("/both/x"), 401, {"www-authenticate": "Basic realm="}, None),
    "with another": (asked("/both/x", "-u", "alice:wrong"), 401, {}, None),
    "as a user of another list": (asked("/both/x", *BOB), 401, {}, None),
    "from elsewhere": (asked("/both/x", *ALICE, **APART), (401, 403), {}, None),
    "a browser asks without a password": (asked("/both/x", "-X", "OPTIONS"), 204, {}, ""),
    "an error that a page of another site reads": (asked("/api/missing", "-H", "Origin: https://b.example"), 404, {"access-control-allow-origin": "https://b.example"}, "{"),
    "another protocol": (asked("/api/x", "--http1.1", "-H", "Connection: Upgrade, HTTP2-Settings", "-H", "Upgrade: h2c", "-H", "HTTP2-Settings: x"), 200, {}, None),
    "a gate that is away": (asked("/gone-gate/x"), 503, {"retry-after": "10", "x-site": "yes"}, SOON),
    "who is not let in": (asked("/asks/x"), 401, {}, None),
    "who is": (asked("/asks/x", "-H", "X-Pass: yes"), 200, {}, None),
    "what a service answers stays": (asked("/api/missing"), 404, {"x-site": "yes"}, "{"),
    "a service that is away": (asked("/away-now/x"), 503, {"retry-after": "10", "x-site": "yes"}, SOON),
    "what is written by hand": (asked("/by-hand"), 200, {}, "hand"),
    "another name of the site": (asked("/api/x", name=ALIAS), 200, {"x-site": "yes"}, None),
    "its own redirects": (asked("/old", name=ALIAS), 301, {"location": f"https://{ALIAS}/new/"}, ""),
    "a name that is sent on": (asked("/a/b?c=1", name=OLD), 301, {"location": f"https://{NAME}/a/b?c=1"}, ""),
    "a site for members": (asked("/x", name=GUARDED), 401, {"strict-transport-security": None}, None),
    "a member of it": (asked("/x", *BOB, name=GUARDED), 200, {}, None),
    "what is open of it": (asked("/open/x", name=GUARDED), 200, {}, None),
    "a network of IPv6 alone": (asked("/six/x"), 403, {}, ""),
    "a WebSocket": (streamed("/api/", "socket"), 101, {"upgrade": "websocket"}, "HELLO"),
    "events as they are sent": (streamed("/api/", "events"), 200, {"content-type": "text/event-stream"}, "data: first\n\ndata: second"),
    "a large upload": (asked("/large/x", *SENT, "/tmp/large"), 200, {}, '{"path": "/x", "method": "POST"'),
    "a larger one than is taken": (asked("/large/x", "--http1.1", *SENT, "/tmp/larger"), 413, {}, ""),
    "a slow answer": (asked("/large/slow"), 200, {}, '{"path": "/slow"'),
    "one that is too slow": (asked("/stalls/slow"), 504, {}, ""),
    "a large request": (asked("/x", *BOB, "--http1.1", "-d", "x" * 2000, name=GUARDED), 413, {}, None),
}  # fmt: skip


@pytest.fixture(scope="module", params=rows(["nginx", "caddy"], always=["nginx"]))
def proxy(request, tmp_path_factory):
    machine.ensure_base_images()
    with_zstd = request.param == "caddy"
    made = shop(
        tmp_path_factory.mktemp(request.param), request.param,
        lambda text: text.replace("compress: true", "compress: [zstd, gzip]") if with_zstd else text,
    )  # fmt: skip
    with serving(made, request.param) as found:
        yield found


def answer(proxy: Proxy, what, version) -> Answer:
    path, options, given = what
    ways = {"events": proxy.events, "socket": proxy.socket}
    if way := ways.get(given.get("way", "")):
        return way(path, version)
    # Of a row that says its version that one counts, since curl takes the last
    return proxy.ask(path, version, *options, **given)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_site_answers_as_described(proxy, version):
    """One test, since the container is the same: each row that is wrong is named."""
    wrong = {}
    for name, (what, status, headers, begins) in TABLE.items():
        found = answer(proxy, what, version)
        statuses = status if isinstance(status, tuple) else (status,)
        if found.status not in statuses:
            wrong[name] = f"{found.status} {found.body[:60]}"
        elif begins is not None and begins and not found.body.startswith(begins):
            wrong[name] = found.body[:60]
        for header, value in headers.items():
            has = found.headers.get(header)
            if has is not None if value is None else not (has or "").startswith(value):
                wrong[name] = f"{header}: {has}"
    assert wrong == {}


def test_service_gets_the_expected_request(proxy):
    headers = proxy.ask("/api/x", "-H", "X-Gone: here").got["headers"]
    assert "X-Gone" not in headers
    assert headers["X-From"] == "the $proxy" and headers["Host"] == NAME
    # A client cannot say who it is
    headers = proxy.ask("/asks/x", "-H", "X-Pass: yes", "-H", "X-User: mallory").got["headers"]
    assert headers["X-User"] == "alice"
    # Nor by a name that many programs take for the same, nor where the gate says nothing of it
    headers = proxy.ask("/asks/x", "-H", "X-Pass: yes", "-H", "X_User: mallory", "-H", "X-Role: admin").got["headers"]
    assert headers["X-User"] == "alice" and not {"X_User", "X-Role", "X_Role"} & {*headers}
    assert (
        "Upgrade"
        not in proxy.ask("/api/x", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: h2c").got["headers"]
    )


def test_site_in_maintenance_answers_only_allowed_clients(proxy):
    proxy.run("touch", f"/run/infra/maintenance/{NAME}")
    try:
        away = proxy.ask("/api/x", **APART)
        assert (away.status, away.body.strip(), away.headers["retry-after"]) == (503, SOON, "10")
        assert away.headers["x-site"] == "yes"
        assert proxy.ask("/api/x", "-X", "POST", **APART).status == 503
        # This host itself, and infra:statusCidrs
        assert proxy.ask("/api/x").status == proxy.ask("/api/x", source="127.0.0.3").status == 200
        assert proxy.ask("/status/", **APART).status == 403
        assert proxy.ask("/open/x", name=GUARDED, **APART).status == 200
    finally:
        proxy.run("rm", f"/run/infra/maintenance/{NAME}")
    assert proxy.ask("/api/x", **APART).status == 200


def test_maintenance_has_its_own_page_and_says_when_it_ends(proxy):
    end, place = int(time.time()) + 3600, "/run/infra/maintenance"
    note = (
        f"echo '{{\"until\": {end}}}' > {place}/{GUARDED}; touch --date=@{end} {place}/{GUARDED}; touch {place}/{OLD}"
    )
    proxy.run("sh", "-c", note)
    try:
        for options in ((), ("-X", "POST", "-d", "a=1")):
            away = proxy.ask("/open/x", *options, name=GUARDED, **APART)
            assert (away.status, away.body.strip()) == (503, "<h1>being rebuilt {{now}}</h1>")
            assert away.headers["retry-after"] == formatdate(end, usegmt=True)
            assert away.headers["content-type"].startswith("text/html") and away.headers["cache-control"] == "no-store"
        # Without a page, and with a number of seconds
        away = proxy.ask("/x", name=OLD, **APART)
        assert (away.status, away.headers["retry-after"]) == (503, "120")
        assert proxy.ask("/open/x", name=GUARDED).status == 200
    finally:
        proxy.run("sh", "-c", f"rm {place}/{GUARDED} {place}/{OLD}")
    assert proxy.ask("/open/x", name=GUARDED, **APART).status == 200


def test_answer_that_stalls_is_cut(proxy):
    """After two seconds of silence, of eight."""
    measured = ["curl", "-sk", "-o", "/dev/null", "-w", "%{time_total}", "--resolve", f"{NAME}:443:127.0.0.1"]
    assert 1.5 < float(proxy.attempt(*measured, f"https://{NAME}/stalls/stall")) < 6
    # A connection that rested in between has its whole time again
    assert proxy.ask("/stalls/x").status == 200
    time.sleep(1.5)
    assert proxy.ask("/stalls/x").status == 200


def test_service_gets_a_slow_upload_whole_or_as_it_comes(proxy):
    slow = ("--limit-rate", "20k", "-H", "Expect:", "-d", "x" * 80000)
    assert proxy.ask("/whole/x", *slow).got["waited"] <= 1
    streamed_upload = proxy.ask("/stream/x", *slow).got
    assert streamed_upload["waited"] >= 2 and streamed_upload["bytes"] == 80000


def test_log_has_only_requests_that_are_logged(proxy):
    proxy.ask("/plain/logged")
    proxy.ask("/open/unlogged", name=GUARDED)
    log = proxy.run("cat", {"nginx": "/var/log/nginx/access.log", "caddy": "/tmp/caddy.log"}[proxy.kind])
    assert "/plain/logged" in log and "/open/unlogged" not in log


def test_a_text_is_compressed(proxy):
    """With Caddy by zstd too (in the fixture), where the client takes it."""
    for encoding in ("gzip", "zstd") if proxy.kind == "caddy" else ("gzip",):
        found = proxy.run(
            "curl", "-sk", "-o", "/dev/null", "-D", "-", "-H", f"Accept-Encoding: {encoding}", "--resolve",
            f"{NAME}:443:127.0.0.1", f"https://{NAME}/api/{'x' * 3000}",
        )  # fmt: skip
        assert f"content-encoding: {encoding}" in found.lower()


@pytest.mark.nightly
def test_more_than_the_limit_are_answered_429(tmp_path):
    """Nginx alone has limits of clients."""
    machine.ensure_base_images()
    limits = "    rate: {requests: 2, per: minute}\n    access_log: false\n"
    with serving(
        shop(tmp_path, "nginx", lambda text: text.replace("    access_log: false\n", limits)), "nginx"
    ) as found:
        statuses = [found.ask("/open/x", name=GUARDED, **APART).status for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        # Another client has a number of its own, and this host none
        assert found.ask("/open/x", name=GUARDED, source="127.0.0.4").status == 200
        assert [found.ask("/open/x", name=GUARDED).status for _ in range(9)] == [200] * 9


def made_by(folder, name):
    """A certificate authority and a client of it: the authority's certificate, and the client's with its key."""
    say = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    quiet = {"check": True, "capture_output": True, "cwd": folder, "timeout": 60}
    subprocess.run([*say, "-subj", f"/CN={name}-ca", "-keyout", f"{name}-ca.key", "-out", f"{name}-ca.pem"], **quiet)
    own = ["-CA", f"{name}-ca.pem", "-CAkey", f"{name}-ca.key"]
    subprocess.run([*say, *own, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"], **quiet)
    return tuple((folder / f"{name}{end}").read_text() for end in ("-ca.pem", ".pem", ".key"))


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_site_accepts_only_client_certificates_of_its_authority(tmp_path, kind):
    """Also over a connection that was opened under another name, or under none."""
    machine.ensure_base_images()
    own, others = made_by(tmp_path, "own"), made_by(tmp_path, "others")

    def guarded(text):
        text = text.replace("    access_log: false\n", "    client_ca: shop/own.pem\n")
        return text.replace(
            "  - name: www.hey-watch.me\n", "  - name: www.hey-watch.me\n    client_ca: shop/others.pem\n"
        )

    static = {"shop/own.pem": own[0], "shop/others.pem": others[0]}
    with serving(shop(tmp_path / "project", kind, guarded, static), kind) as proxy:
        for name, (_, certificate, key) in (("own", own), ("others", others)):
            proxy.run("tee", f"/tmp/{name}.pem", stdin=(certificate + key).encode())
        options = (*BOB, "--cert", "/tmp/own.pem")
        assert proxy.ask("/x", *options, name=GUARDED).status == 200
        for name in ("own", "others"):
            # To an address no name is sent with the handshake
            asked = ["curl", "-sk", "-u", BOB[1], "--cert", f"/tmp/{name}.pem", "-o", "/dev/null", "-w", "%{http_code}"]
            said = proxy.attempt(*asked, "-H", f"Host: {GUARDED}", "https://127.0.0.1/x")
            assert said in ("400", "403", "421", "000"), (name, said)
        assert proxy.attempt(*asked, "--resolve", f"{GUARDED}:443:127.0.0.1", f"https://{GUARDED}/x") in ("400", "000")
        nothing = [word for word in asked if word not in ("--cert", "/tmp/others.pem")]
        assert proxy.attempt(*nothing, "--resolve", f"{GUARDED}:443:127.0.0.1", f"https://{GUARDED}/x") in (
            "400",
            "000",
        )
