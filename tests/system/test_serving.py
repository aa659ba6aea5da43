"""WatchMe on the host that `pulumi up` made, asked from outside as its users ask."""

import json
import socket
import ssl
import urllib.error
import urllib.request

import pytest

from lab.run import run
from lab.stubs import stubs
from lab.table import address_of, statuses
from tests.rows import rows
from tests.support import WATCHME, service
from tests.system.on import until, wait_until_well
from tests.system.proxied import passes_as_it_is

pytestmark = pytest.mark.lab
ACTIVE = [entry for entry in WATCHME["services"] if not entry.get("retired")]
NAMES = [entry["name"] for entry in ACTIVE]


def test_thirteen_services_answer_under_their_public_paths(system):
    rows = [row for row in statuses(system.lab, system.project) if "//api.hey-watch.me/" in row[1]]
    assert [(name, status) for name, _, status in rows] == [(name, 200) for name in NAMES] and len(rows) == 13


@pytest.mark.parametrize("name", NAMES)
def test_the_container_sees_its_internal_path(system, name):
    route = service(WATCHME, name)["routes"][0]
    status, _, body = system.ask("GET", f"{route['public']}jobs/whisper?a=1")
    seen = json.loads(body)
    assert status == 200
    repository = service(WATCHME, name)["image"]["repository"]
    # What is expected is the application's own truth, not the catalogue's
    assert seen["path"] == f"{stubs()[repository]['prefix']}jobs/whisper"
    assert seen["service"] == repository
    assert seen["host"] == "api.hey-watch.me" and seen["headers"]["X-Forwarded-Proto"] == ["https"]


def test_only_root_asks_the_metadata_service(system):
    """It has the credentials of the host's role, and the user data that the host was made with."""
    ask = "import socket; socket.create_connection(('169.254.169.254', 80), 5)"
    assert system.on_host("python3", "-c", ask).code == 0
    for account in ("nobody", "www-data", "ubuntu"):
        ran = system.on_host("setpriv", "--reuid", account, "--clear-groups", "python3", "-c", ask)
        assert ran.code == 1 and "Permission denied" in ran.output, (account, ran.output)


def test_scheduler_outage_does_not_recur(system):
    """`/scheduler/status/whisper` arrives as `/api/scheduler/status/whisper` (section 1)."""
    assert json.loads(system.ask("GET", "/scheduler/status/whisper")[2])["path"] == "/api/scheduler/status/whisper"


@pytest.mark.parametrize("name", NAMES)
def test_options_is_answered_by_the_proxy_with_cors_headers(system, name):
    route = service(WATCHME, name)["routes"][0]
    status, headers, body = system.ask("OPTIONS", f"{route['public']}anything")
    assert (status, body) == (204, b"")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == ", ".join(route.get("methods", ["GET", "POST", "OPTIONS"]))
    assert headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization"


def test_avatar_upload_is_limited_to_ten_megabytes(system):
    status, _, body = system.ask("POST", "/avatar/upload", b"x" * 9 * 1024**2)
    assert (status, json.loads(body)["bytes"]) == (200, 9 * 1024**2)
    assert system.ask("POST", "/avatar/upload", b"x" * 11 * 1024**2)[0] == 413


def test_http_is_sent_to_https(system):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    address = address_of("api.hey-watch.me", system.lab.dns)
    request = urllib.request.Request(f"http://{address}/vault/x", headers={"Host": "api.hey-watch.me"})
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.build_opener(Stay, urllib.request.ProxyHandler({})).open(request, timeout=5)
    assert (answer.value.code, answer.value.headers["Location"]) == (301, "https://api.hey-watch.me/vault/x")


def test_the_certificate_is_not_accepted_without_the_labs_root(system):
    address = address_of("api.hey-watch.me", system.lab.dns)
    with socket.create_connection((address, 443), 5) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="api.hey-watch.me")


def test_strict_transport_security_is_on_every_answer(system):
    assert system.ask("GET", "/vault/x")[1]["Strict-Transport-Security"] == "max-age=63072000"


def test_only_ssh_and_the_web_listen_outside_loopback(system):
    listening = set()
    for line in system.on_host("ss", "-Hltun").output.splitlines():
        address, port = line.split()[4].rsplit(":", 1)
        if not address.strip("[]").startswith("127.") and address != "[::1]":
            listening.add(int(port))
    assert listening == {22, 80, 443}


def test_all_units_are_active_and_enabled(system):
    units = sorted({entry["unit"] for entry in ACTIVE} | {"watchme-infrastructure.service", "nginx.service"})
    assert len(units) == 15
    for question, answer in (("is-active", "active"), ("is-enabled", "enabled")):
        assert system.on_host("systemctl", question, *units).output.split() == [answer] * len(units)
    assert system.on_host("systemctl", "is-system-running").output == "running"


def test_nginx_and_systemd_accept_the_rendered_files(system):
    assert system.on_host("nginx", "-t").code == 0
    units = sorted({f"/etc/systemd/system/{entry['unit']}" for entry in ACTIVE})
    assert system.on_host("systemd-analyze", "verify", "--man=no", *units).output == ""


def test_containers_are_at_their_addresses_and_limits(system):
    for entry in ACTIVE:
        form = '{{(index .NetworkSettings.Networks "watchme-network").IPAddress}} {{.HostConfig.Memory}}'
        found = system.on_host("docker", "inspect", "-f", form, entry["container"]).output.split()
        assert found[0] == entry["address"]
        assert (
            int(found[1])
            == int(entry["memory"]["limit"][:-1]) * {"m": 1024**2, "g": 1024**3}[entry["memory"]["limit"][-1]]
        )


def test_containers_find_each_other_by_name(system):
    """The stub has no shell, so the question is put to Docker's resolver inside the container's network."""
    pid = system.on_host("docker", "inspect", "-f", "{{.State.Pid}}", "watchme-scheduler-prod").output
    code = (
        "import socket,struct; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5);"
        "q=b''.join(bytes([len(p)])+p for p in b'vibe-transcriber-v2'.split(b'.'))+b'\\0';"
        "s.sendto(b'\\1\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0'+q+b'\\0\\1\\0\\1',('127.0.0.11',53));"
        "print('.'.join(str(b) for b in s.recv(512)[-4:]))"
    )
    assert system.on_host("nsenter", "-t", pid, "-n", "python3", "-c", code).output == "172.27.0.11"


@pytest.mark.parametrize("container", rows(["ast-api", "watchme-scheduler-prod"], always=["watchme-scheduler-prod"]))
def test_a_killed_container_comes_back(system, container):
    """One like any other, and one of which at most one instance runs anywhere."""

    def started() -> str:
        return system.on_host("docker", "inspect", "-f", "{{.State.StartedAt}}", container).output

    before = started()
    assert system.on_host("docker", "kill", container).code == 0
    until(f"another start of {container}", lambda: started() not in ("", before), 60)
    wait_until_well(system, 60)


def test_the_host_comes_back_by_itself_after_a_restart(system):
    before = system.on_host("cat", "/proc/1/stat").output.split()[21]
    run("docker", "restart", "-t", "30", system.container)
    wait_until_well(system, 120)
    assert system.on_host("cat", "/proc/1/stat").output.split()[21] != before


def test_stubs_follow_the_document_and_not_the_catalogue():
    """The stubs know their ports and paths by themselves: a wrong catalogue cannot make them agree with it."""
    known = stubs()
    for entry in ACTIVE:
        facts = known[entry["image"]["repository"]]
        assert (facts["port"], facts["health"]) == (entry["port"], entry.get("health", "/health"))


@pytest.mark.nightly
def test_single_service_ends_although_docker_hangs(system):
    """Another host may have started it, since the name has left this one."""
    name = "watchme-scheduler-prod"
    form = "{{.State.Pid}}"
    pid = system.on_host("docker", "inspect", "-f", form, name).output
    docker = system.on_host("systemctl", "show", "-p", "MainPID", "--value", "docker.service").output
    try:
        assert system.on_host("kill", "-STOP", docker).code == 0
        assert system.on_host("systemctl", "stop", "watchme-scheduler.service").code in (0, 1)
        assert system.on_host("test", "-d", f"/proc/{pid}").code != 0
    finally:
        system.on_host("kill", "-CONT", docker)
        system.on_host("systemctl", "start", "watchme-scheduler.service")
        wait_until_well(system)


def test_nginx_forwards_paths_unchanged(system):
    passes_as_it_is(system)


@pytest.mark.nightly
def test_containers_come_back_with_docker(system):
    """No monitor is needed for that: `systemctl stop docker` stops them, and a start of it starts them again."""
    system.on_host("systemctl", "stop", "infra-monitor.timer")
    try:
        system.on_host("systemctl", "stop", "docker.socket", "docker.service")
        assert system.ask("GET", "/avatar/")[0] == 503
        system.on_host("systemctl", "start", "docker.socket", "docker.service")
        wait_until_well(system)
    finally:
        system.on_host("systemctl", "start", "infra-monitor.timer")


@pytest.mark.nightly
def test_site_in_maintenance_is_closed_and_returns(system):
    """The lab's own network may see the host's page; an address of the host's own that may not asks in its place."""
    ask = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--resolve", "api.hey-watch.me:443:127.0.0.1"]

    def outside() -> str:
        return system.on_host(*ask, "--interface", "127.0.0.2", "https://api.hey-watch.me/vault/health").output

    assert outside() == "200"
    said = system.command("infra", "maintenance", "on", "api.hey-watch.me", "--for", "20s", "--stack", "lab")
    assert said.code == 0 and "watchme: api.hey-watch.me is in maintenance until" in said.output
    assert outside() == "503" and system.ask("GET", "/vault/health")[0] == 200
    assert "api.hey-watch.me is in maintenance until" in system.command("infra", "status", "--stack", "lab").output
    until("its end", lambda: outside() == "200", 60)
    said = system.command("infra", "maintenance", "on", "--stack", "lab")
    assert said.code == 0 and outside() == "503"
    said = system.command("infra", "maintenance", "off", "--stack", "lab")
    assert said.code == 0 and "watchme: api.hey-watch.me is served" in said.output and outside() == "200"
    said = system.command("infra", "maintenance", "on", "api.hey-watch.mx", "--stack", "lab")
    assert said.code == 1 and "did you mean" in said.output.lower()


def test_manually_changed_files_are_restored(system):
    """A file that is edited, one that is gone, and one with another mode; not a service restarts for it."""
    site, unit = "/etc/nginx/sites-available/api.hey-watch.me", "/etc/systemd/system/watchme-ast-api.service"
    started = system.on_host("docker", "inspect", "-f", "{{.State.StartedAt}}", "superb-api").output
    system.on_host("sed", "-i", "s/proxy_buffer_size 64k/proxy_buffer_size 32k/", site)
    system.on_host("rm", "/etc/nginx/conf.d/infra-http.conf")
    system.on_host("chmod", "600", unit)
    shown = system.command("infra", "drift", "--stack", "lab", "--host", "watchme")
    assert (
        shown.code == 2
        and "+    proxy_buffer_size 32k" in shown.output
        and "infra-http.conf is missing" in shown.output
    )
    back = system.command("infra", "drift", "--restore", "--yes", "--stack", "lab", "--host", "watchme")
    assert back.code == 0 and "kept below /var/lib/infra/edited there" in back.output, back.output
    assert system.command("infra", "drift", "--stack", "lab", "--host", "watchme").code == 0
    assert "32k" in system.on_host("sh", "-c", f"cat /var/lib/infra/edited/*{site}").output
    assert system.on_host("docker", "inspect", "-f", "{{.State.StartedAt}}", "superb-api").output == started
    assert system.ask("GET", "/vault/health")[0] == 200
