"""Recall API behind Nginx and behind Caddy: what Recall API's "FL.5.2 Ops" promises, seen."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from lab.table import PublicClient
from tests.rows import rows
from tests.system.conftest import System
from tests.system.faults import Load
from tests.system.on import main_pid, systemctl, until, wait_until_well
from tests.system.proxied import passes_as_it_is

pytestmark = pytest.mark.lab
HOST, UNIT, NAME = "services", "recall-api.service", "example.com"
YAML, BASE = "files/systems/recall.yaml", "    environment_file: /etc/recall/recall.env\n"
LIVE = "/etc/letsencrypt/live/example.com"
EXPOSED = {
    "/ai/propose": 200, "/healthz": 200, "/readyz": 200, "/version": 200,
    "/": 404, "/internal": 404, "/healthz/x": 404, "/static/x": 404,
}  # fmt: skip
HEADERS = {
    "Strict-Transport-Security": "max-age=63072000", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}  # fmt: skip


def on(system: System, *argv: str) -> str:
    return system.on_host(*argv, host=HOST).output


def get(system: System, path: str):
    return system.ask("GET", path, name=NAME)


def version(system: System) -> str:
    return json.loads(get(system, "/version")[2])["version"]


def looks_right(system: System) -> None:
    """Exposed is what should be, with its headers, and HTTP leads to HTTPS."""
    for path, status in EXPOSED.items():
        found, headers, _ = get(system, path)
        assert found == status, path
        assert HEADERS.items() <= headers.items(), (path, headers)
    at = system.inner_address(HOST)
    answer = on(system, "curl", "-sI", "-H", f"Host: {NAME}", f"http://{at}/readyz")
    assert answer.splitlines()[0].split()[1] in ("301", "308") and f"https://{NAME}/readyz" in answer


@pytest.fixture
def recall(system: System) -> Iterator[System]:
    """The system as it is in the repository before and after."""
    yield system
    system.restore_all()


def with_environment(system: System, **values: str) -> None:
    system.restore(YAML)
    system.edit(YAML, BASE, f"{BASE}    environment: {json.dumps(values)}\n")


def test_gunicorn_runs_with_the_expected_workers(system):
    pid = main_pid(system, HOST, UNIT)
    assert on(system, "readlink", f"/proc/{pid}/cwd") == "/srv/recall"
    assert on(system, "readlink", "/srv/recall/venv").startswith("/opt/infra/artefacts/recall-api-")
    assert "/srv/recall/venv/bin/gunicorn" in on(system, "ps", "-o", "args=", "-p", pid)
    workers = len(on(system, "ps", "--ppid", pid, "-o", "user=").split())
    assert workers == int(on(system, "nproc")) * 2 + 1
    assert set(on(system, "ps", "--ppid", pid, "-o", "user=").split()) == {"recall"}
    listening = on(system, "ss", "-Hltn", "sport = :8000").split()
    assert listening[3] == "127.0.0.1:8000"
    assert on(system, "stat", "-c", "%a %U", "/etc/recall/recall.env") == "600 recall"


def test_recall_is_exposed_correctly_by_nginx(system):
    looks_right(system)


@pytest.mark.nightly
def test_a_secret_goes_into_the_private_file_and_nowhere_else(recall):
    recall.edit(YAML, BASE, f"{BASE}    secrets: [API_KEY]\n")
    value = "sesame-4711"
    set_ = ["pulumi", "config", "set", "--stack", "lab", "--secret", "--path", "infra:secrets.recall-api.API_KEY"]
    before = recall.lab.config_file.read_text()
    assert recall.command(*set_, stdin=value).code == 0
    output = recall.must_up()
    assert json.loads(get(recall, "/ai/propose")[2])["has_key"] is True
    assert value not in output and value not in on(recall, "systemctl", "show", UNIT)
    assert value not in on(recall, "ps", "-eo", "args")
    recall.lab.config_file.write_text(before)


@pytest.mark.nightly
def test_reload_and_release_under_load_lose_no_request(recall, record_property):
    """At least 10,000 requests, each on a connection of its own; p95 before and during."""
    paths = ["/readyz", "/healthz", "/version", "/ai/propose"]
    with Load(recall, paths, name=NAME, host=HOST, pause=0).going() as load:
        until("a calm beginning", lambda: load.count > 3000, 400)
        calm = load.count
        on(recall, "systemctl", "reload", UNIT)
        time.sleep(3)
        with_environment(recall, VERSION="2")
        recall.must_up()
        on(recall, "systemctl", "reload", "nginx")
        until("enough requests", lambda: load.count >= 10_000, 900)
        during = load.count
    assert load.lost() == {} and load.count >= 10_000 and version(recall) == "2"
    figures = {"requests": load.count, "p95 before (ms)": load.p95(0, calm), "p95 during (ms)": load.p95(calm, during)}
    record_property("recall under load", figures)
    print(f"requests: {load.count}, slowest {load.slowest:.1f} s, p95 {load.p95(0, calm):.0f} ms before, "
          f"{load.p95(calm, during):.0f} ms during")  # fmt: skip


@pytest.mark.nightly
def test_unhealthy_release_is_rolled_back_and_the_old_one_serves(recall):
    with_environment(recall, FAILS="always", VERSION="3")
    with recall.configured(healthDeadline="12"):
        ran = recall.up()
        assert ran.code != 0 and "rolled back on services: recall-api answered 503" in ran.output
        assert get(recall, "/readyz")[0] == 200 and version(recall) == "1"


def test_logs_rotate(system):
    get(system, "/healthz")
    assert on(system, "logrotate", "--force", "/etc/logrotate.d/nginx") == ""
    assert on(system, "ls", "/var/log/nginx/access.log.1") == "/var/log/nginx/access.log.1"
    get(system, "/version")
    until("the new log", lambda: "/version" in on(system, "cat", "/var/log/nginx/access.log"))
    before = on(system, "sh", "-c", "ls /var/log/journal/*/ | wc -l")
    on(system, "journalctl", "--rotate")
    assert int(on(system, "sh", "-c", "ls /var/log/journal/*/ | wc -l")) > int(before)
    get(system, "/version")
    until("Gunicorn's line", lambda: "GET /version" in on(system, "journalctl", "-u", UNIT, "-n", "5", "-o", "cat"))


def alerts(system: System) -> str:
    return system.command("infra", "status", "--stack", "lab", "--host", HOST).output


def _kill_often(system: System) -> None:
    for _ in range(4):
        pid = main_pid(system, HOST, UNIT)
        on(system, "kill", "-9", pid)
        until("a new process", lambda pid=pid: main_pid(system, HOST, UNIT) not in ("0", pid))


def _break_often(system: System) -> None:
    address = system.inner_address(HOST)
    for _ in range(30):
        assert system.ask("GET", "/ai/broken", name=NAME, address=address)[0] == 500


PROBE = "/usr/local/share/ca-certificates/probe.crt"
# A certificate that the host trusts, for the right name, and whose day is over
EXPIRE = f"""
set -e
cp -a {LIVE} /root/kept
cd /root
openssl req -new -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=example.com
echo subjectAltName=DNS:example.com > names
openssl x509 -req -in request.pem -signkey key.pem -days -1 -extfile names -out {PROBE}
update-ca-certificates
rm {LIVE}/fullchain.pem {LIVE}/privkey.pem
cp {PROBE} {LIVE}/fullchain.pem
cp key.pem {LIVE}/privkey.pem
systemctl reload nginx
"""
RENEW = f"""
rm -rf {LIVE} {PROBE}
mv /root/kept {LIVE}
update-ca-certificates --fresh
systemctl reload nginx
"""


def _expired(system: System) -> None:
    done = system.on_host("sh", "-c", EXPIRE, host=HOST)
    assert done.code == 0, done.output


CAUSES: dict[str, tuple[Callable[[System], object], str, str]] = {
    "unit-down": (
        lambda system: on(system, "systemctl", "stop", "whisper-backend"),
        "alert unit-down: whisper-backend.service is not running",
        "systemctl start whisper-backend",
    ),
    "unit-restarts": (_kill_often, "alert unit-restarts: recall-api.service was restarted 4 times in the last 600 s", "journalctl -q --rotate; journalctl -q --vacuum-size=1"),
    "proxy-errors": (_break_often, "of nginx.service's responses in the last 300 s were server errors", "rm -f /var/log/nginx/access.log; systemctl kill -s USR1 nginx"),
    "proxy-down": (
        lambda system: on(system, "systemctl", "stop", "nginx"),
        "alert proxy-down: nginx.service is not running",
        "systemctl start nginx",
    ),
    "certificate": (
        _expired,
        "alert certificate: the certificate for example.com is missing, not trusted or about to expire: certificate has expired",
        RENEW,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", rows(CAUSES, always=["unit-down", "proxy-errors"]))
def test_alert_is_raised_by_its_cause(system, name):
    cause, text, cure = CAUSES[name]
    assert text not in alerts(system)
    try:
        cause(system)
        ran = system.command("infra", "status", "--stack", "lab", "--host", HOST)
        assert text in ran.output and ran.code == 2, ran.output
    finally:
        on(system, "sh", "-c", cure)
    if name != "unit-restarts":
        until("its end", lambda: text not in alerts(system))


def serial(system: System, name: str) -> str:
    script = (
        f"echo | openssl s_client -connect 127.0.0.1:443 -servername {name} 2>/dev/null | openssl x509 -noout -serial"
    )
    return on(system, "sh", "-c", script)


@pytest.mark.nightly
def test_a_forced_renewal_is_served(system):
    before = {name: serial(system, name) for name in (NAME, "whisper.hey-watch.me")}
    assert all(before.values())
    done = system.on_host("certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew", host=HOST)
    assert done.code == 0, done.output
    for name, old in before.items():
        until("the new certificate", lambda name=name, old=old: serial(system, name) not in ("", old))
    looks_right(system)


@pytest.mark.nightly
def test_failing_certificate_authority_does_not_stop_the_site(system):
    """A new directory would mean new certificates: it does not answer, and what is there keeps serving."""
    with system.configured(acmeDirectory="https://acme.lab.internal:14999/dir"):
        ran = system.up()
        assert ran.code != 0 and "refused on services, nothing touched: no certificate for" in ran.output
        looks_right(system)
    system.must_up()


@pytest.mark.nightly
def test_proxy_option_replaces_nginx_by_caddy_and_back(system):
    """Whisper's certificate is proved by DNS and obtained beforehand; Recall's Caddy gets for itself by HTTP."""
    with system.configured(**{"hosts.services.proxy": "caddy", "hosts.watchme.proxy": "caddy"}):
        system.must_up()
        assert systemctl(system, HOST, "is-active", "nginx", "caddy").split() == ["inactive", "active"]
        looks_right(system)
        assert get(system, "/readyz")[1].get("Server") is None
        status, _, body = system.ask("GET", "/health", name="whisper.hey-watch.me")
        assert status == 200 and json.loads(body)["status"] == "ok"
        large = PublicClient("whisper.hey-watch.me", system.lab.dns, system.lab.path("ca.pem"))
        assert large.ask("POST", "/transcribe", None, {"Content-Length": "104857601"})[0] == 413
        # WatchMe's two layers of paths, and its CORS
        body = json.loads(system.ask("GET", "/scheduler/status/whisper?a=1")[2])
        assert body["path"] == "/api/scheduler/status/whisper" and "X-Real-Ip" in body["headers"]
        status, headers, _ = system.ask("OPTIONS", "/avatar/x")
        assert (status, headers["Access-Control-Allow-Methods"]) == (204, "GET, POST, DELETE, OPTIONS")
        wait_until_well(system)
        passes_as_it_is(system)
        shown = system.command("infra", "status", "--stack", "lab", "--host", HOST)
        assert "certificate of example.com: " in shown.output and "services: 2 of 2 healthy" in shown.output
        # No other account gives Caddy another configuration
        ask = "curl -sS -m 5 http://localhost:2019/config/; curl -sS -m 5 -H 'Host;' --unix-socket /var/lib/caddy/admin.sock http://x/config/"
        unprivileged = system.on_host("runuser", "-u", "nobody", "--", "sh", "-c", ask, host=HOST)
        assert unprivileged.code != 0 and "apps" not in unprivileged.output, unprivileged.output
        as_root = system.on_host("sh", "-c", ask, host=HOST)
        assert "apps" in as_root.output, as_root.output
        own = "import sys; sys.path.insert(0, '/var/lib/infra/bin'); from agent.world import World; print(World().socket_has('/var/lib/caddy/admin.sock', '/config/'))"
        assert "apps" in on(system, "python3", "-I", "-c", own)
        assert system.command("infra", "drift", "--stack", "lab", "--host", HOST).code == 0
        # A reload of Caddy loses nothing either
        with Load(system, ["/readyz"], name=NAME, host=HOST, pause=0.01).going() as load:
            until("requests before", lambda: load.count > 20)
            on(system, "systemctl", "reload", "caddy")
            until("requests after", lambda: load.count > 60)
        assert load.lost() == {}
    system.must_up()
    assert systemctl(system, HOST, "is-active", "nginx", "caddy").split() == ["active", "inactive"]
    looks_right(system)
