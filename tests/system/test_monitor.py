"""The monitor on a lab host: each of its conditions is made true, and repaired or reported."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.rows import rows
from tests.system.conftest import System
from tests.system.faults import WITHOUT_RULES
from tests.system.on import MONITOR, looked, sh, texts, until, wait_until_well

pytestmark = pytest.mark.lab
SCRIPTS = "/home/ubuntu/watchme-server-configs/scripts"
NETWORK = "watchme-network"
IN_AST = "nsenter --net --target $(docker inspect -f '{{.State.Pid}}' ast-api) iptables"
HOG = "x = bytearray({mib} << 20); import time; time.sleep({seconds})"


@pytest.fixture
def host(system: System) -> System:
    """All healthy when a test begins."""
    wait_until_well(system, 90)
    # Who asked while something was down got that answer, which counts for five minutes
    until("a monitor that finds nothing", lambda: found(system) <= {"proxy-errors"}, 60)
    return system


def found(system: System) -> set[str]:
    return {entry["alert"] for entry in looked(system)["conditions"] if entry["met"]}


def test_healthy_host_reports_its_measurements(host):
    ran = host.on_host(MONITOR)
    assert ran.code == 0 and ran.output.endswith("watchme: healthy"), ran.output
    for line in (
        "✓ network: 1 of 1 healthy",
        "✓ container-detached: 13 of 13 healthy",
        "✓ name-resolution: 13 of 13 healthy",
    ):
        assert line in ran.output
    report = looked(host)
    print(f"a run took {report['took']} s")
    assert {"open-port", "registry-login", "clock", "disk"} <= {entry["alert"] for entry in report["conditions"]}


@pytest.mark.parametrize(
    "command", [f"bash {SCRIPTS}/check-infrastructure.sh", f"python3 {SCRIPTS}/network_monitor.py"]
)
def test_earlier_command_names_still_work(host, command):
    """As the document's owner types them, without being root."""
    ran = host.on_host("runuser", "-u", "ubuntu", "--", *command.split(), "--json")
    assert ran.code in (0, 2) and json.loads(ran.output)["host"] == "watchme", ran.output


def test_monitor_timer_runs_and_stores_its_result(host):
    assert host.on_host("systemctl", "is-active", "infra-monitor.timer").output == "active"
    sh(host, "rm -f /var/lib/infra/monitor/last.json; systemctl start infra-monitor.service")
    report = json.loads(sh(host, "cat /var/lib/infra/monitor/last.json"))
    assert report["host"] == "watchme" and report["repairs"] == []
    assert host.on_host("systemctl", "is-failed", "infra-monitor.service").output == "inactive"


@pytest.mark.nightly
def test_status_page_is_served_only_to_allowed_networks(host):
    sh(host, "rm -f /var/www/infra-status/*; systemctl start infra-monitor.service")
    status, headers, body = host.ask("GET", "/status/")
    assert status == 200 and b"<h1>watchme in ap-northeast-1</h1>" in body and headers["Cache-Control"] == "no-store"
    report = json.loads(host.ask("GET", "/status/status.json")[2])
    assert {entry["service"] for entry in report["services"]} > {"ast-api", "web"} and report["certificates"][0][1] > 80
    assert host.ask("GET", "/status")[0] == 301 and host.ask("GET", "/status/../status/x")[0] == 404
    with host.configured(**{"statusCidrs[0]": "192.0.2.0/24"}):
        host.must_up()
        assert [host.ask("GET", path)[0] for path in ("/status/", "/status/status.json")] == [403, 403]
    host.must_up()
    assert host.ask("GET", "/status/")[0] == 200


def test_status_works_from_another_machine(host):
    ran = host.command("infra", "status", "--stack", "lab", "--json")
    report = json.loads(ran.output)
    assert set(report["hosts"]) == {"watchme", "services", "home"} and report["hosts"]["watchme"]["is_the_stacks"]
    assert (
        report["hosts"]["watchme"]["region"] == "ap-northeast-1" and len(report["hosts"]["watchme"]["services"]) == 13
    )
    assert ran.code == (0 if report["orderly"] else 2)
    sh(host, "echo '# by hand' >> /etc/infra/singles.json")
    shown = host.command("infra", "status", "--stack", "lab", "--host", "watchme").output
    sh(host, "sed -i '$d' /etc/infra/singles.json")
    assert "changed by hand: /etc/infra/singles.json" in shown, shown


def test_all_hosts_on_one_page(host, tmp_path):
    sh(host, "systemctl start infra-monitor.service")
    out = tmp_path / "dashboard.html"
    ran = host.command("infra", "dashboard", "--stack", "lab", "--out", str(out))
    assert ran.code == 0 and "3 hosts of 1 stack" in ran.output, ran.output
    text = out.read_text()
    for part in (
        "watchme in ap-northeast-1</h3>",
        "Serves release",
        '<svg class="plot"',
        "Memory: ",
        "Disk /: ",
        "Requests per hour: ",
    ):
        assert part in text, part
    # A machine of the lab is a container, which has files and memory mounted
    assert not [path for path in ("/run", "/dev", "/etc/hostname", "/etc/hosts") if f"Disk {path}:" in text]


def test_logs_work_from_another_machine(host):
    ran = host.command("infra", "logs", "ast-api", "--stack", "lab", "-n", "200")
    assert ran.code == 0 and "ast-api: watchme-api-ast listens on 8017" in ran.output, ran.output
    ran = host.command("infra", "logs", "releases", "--stack", "lab", "--host", "watchme", "-n", "5")
    assert "applied on watchme: release" in ran.output and '{"' not in ran.output, ran.output
    said = host.command("infra", "logs", "asr-api", "--stack", "lab")
    assert said.code == 1 and "stack lab runs no asr-api; there is" in said.output


def test_followed_logs_end_with_an_interrupt(host):
    listens = "watchme-admin listens on 9000"
    existing = int(sh(host, f"journalctl -q -o cat CONTAINER_NAME=watchme-admin | grep -c '{listens}'"))
    seen = []

    def restart_then_interrupt(process):
        seen.append(process)
        if len(seen) == existing:
            sh(host, "docker restart -t 1 watchme-admin")
        elif len(seen) > existing:
            os.killpg(process.pid, signal.SIGINT)

    command = ["infra", "logs", "admin", "--stack", "lab", "-f", "-n", "2000"]
    ran = host.follow(listens, restart_then_interrupt, *command, every=True)
    assert len(seen) > existing and "Traceback" not in ran.output, ran.output


HOOK = """
import http.server
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        open("/run/t-hook", "ab").write(self.rfile.read(int(self.headers["Content-Length"])) + b"\\n")
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8998), Hook).serve_forever()
"""


@pytest.mark.nightly
def test_an_operator_is_notified_once(host):
    """A webhook on the host itself; its address is one of the stack's secrets."""
    sh(host, f"systemd-run --unit=t-hook python3 -c '{HOOK}'")
    path = "infra:secrets.monitor.webhook"
    with host.configured():
        url = "http://127.0.0.1:8998/T0/planted"
        ran = host.command("pulumi", "config", "set", "--stack", "lab", "--secret", "--path", path, "--", url)
        assert ran.code == 0, ran.output
        said = host.must_up()
        sh(host, "systemctl stop watchme-admin.service")
        report = [looked(host), looked(host), looked(host, "--fix", "--now")]
    host.must_up()
    sh(host, "systemctl stop t-hook")
    lines = [json.loads(line)["lines"] for line in sh(host, "cat /run/t-hook").splitlines()]
    assert lines == [["watchme-admin.service is not running"], ["repaired: watchme-admin.service was started"]], lines
    assert "planted" not in f"{said}{report}" and host.on_host("test", "-e", "/etc/infra/notify.env").code == 1


@dataclass(frozen=True)
class Row:
    """`script` breaks something on the host; `text` is then reported. `after` puts it back, where no repair does."""

    script: str
    text: str
    after: str = ""


BROKEN = {
    "not attached": Row(f"docker network disconnect {NETWORK} ast-api", "ast-api is not attached to its network as defined: its address in watchme-network is none, expected 172.27.0.17"),
    "at another address": Row(
        f"docker network disconnect {NETWORK} ast-api; docker network connect --ip 172.27.0.99 {NETWORK} ast-api",
        "ast-api is not attached to its network as defined: its address in watchme-network is 172.27.0.99, expected 172.27.0.17",
    ),
    "no network": Row(
        f"for c in $(docker ps -q); do docker network disconnect -f {NETWORK} $c; done; docker network rm {NETWORK}",
        f"the network {NETWORK} does not match its definition: it is missing",
    ),
    "no rules of Docker's": Row(WITHOUT_RULES, "container traffic is blocked (Docker): firewall rules of Docker are missing (nat DOCKER, "),
    "a stopped unit": Row("systemctl stop watchme-admin.service", "watchme-admin.service is not running"),
    "a stopped proxy": Row("systemctl stop nginx", "nginx.service is not running: no site of this host can be reached"),
}  # fmt: skip


@pytest.mark.parametrize("name", rows(BROKEN, always=["a stopped unit"]))
def test_monitor_repairs_the_condition(host, name):
    row = BROKEN[name]
    sh(host, row.script)
    report = looked(host)
    assert any(row.text in text for text in texts(report)) and report["repairs"] == [], report
    report = looked(host, "--fix", "--now")
    assert report["repairs"] and all(entry["worked"] for entry in report["repairs"]), report
    wait_until_well(host, 60)
    assert found(host) <= {"proxy-errors"}
    remembered = json.loads(sh(host, "cat /var/lib/infra/monitor/repairs.json"))
    assert remembered[-1]["worked"] and host.on_host("cat", "/var/lib/infra/current/manifest.json").code == 0


def in_container(container: str, python: str, then: str = "") -> str:
    """A script that runs Python in a container's memory group, as the container itself would."""
    of_process = f"f=/proc/$(docker inspect -f '{{{{.State.Pid}}}}' {container})/cgroup"
    # The line of the memory controller, or the only one that version 2 has
    place = "p=$(sed -n 's/^[0-9]*:memory:/memory/p' $f); [ $p ] || p=$(sed -n 's/^0:://p' $f)"
    group = f"{of_process}; {place}; g=/sys/fs/cgroup/$p"
    return f"{group}; sh -c \"echo \\$\\$ > $g/cgroup.procs; exec python3 -c '{python}'\" {then}"


SLOW_CLOCK = """
import http.server
class Late(http.server.BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None): return "Tue, 24 Nov 2020 00:00:00 GMT"
    def do_GET(self): self.send_error(401)
http.server.HTTPServer(("127.0.0.1", 8999), Late).serve_forever()
"""
NAT = "OUTPUT -t nat -p tcp -d 169.254.169.254 --dport 80 -j DNAT --to-destination 127.0.0.1:8999"
SIX = 'import socket, time; s = socket.socket(socket.AF_INET6); s.setsockopt(41, 26, 1); s.bind(("::", 8017)); s.listen(); time.sleep(60)'
DROP_IN = "/etc/systemd/system/watchme-ast-api.service.d/t.conf"
REPORTED = {
    "a second site": Row(
        "echo 'server { listen 80; server_name api.hey-watch.me; return 200; }' > /etc/nginx/conf.d/t.conf",
        "the release is not in effect: /etc/nginx/conf.d/t.conf has the public name api.hey-watch.me", "rm /etc/nginx/conf.d/t.conf",
    ),
    "a drop-in by hand": Row(
        f"mkdir {DROP_IN.rsplit('/', 1)[0]}; printf '[Service]\\nTimeoutStartSec=5\\n' > {DROP_IN}; systemctl daemon-reload",
        f"the release is not in effect: {DROP_IN} sets TimeoutStartSec of watchme-ast-api.service",
        f"rm -r {DROP_IN.rsplit('/', 1)[0]}; systemctl daemon-reload",
    ),
    "a container that does not answer another": Row(
        f"{IN_AST} -I INPUT -p tcp --dport 9 -j DROP",
        "container traffic is blocked (ast-api): watchme-avatar-uploader cannot connect to it",
        f"{IN_AST} -D INPUT -p tcp --dport 9 -j DROP",
    ),
    "a container that reaches no registry": Row(
        "iptables -I FORWARD -d 10.213.0.0/16 -p tcp --dport 443 -j DROP",
        f"container traffic is blocked ({NETWORK}): this host reaches 754724220380.dkr.ecr.ap-northeast-1",
        "iptables -D FORWARD -d 10.213.0.0/16 -p tcp --dport 443 -j DROP",
    ),
    "a legacy network": Row(
        "docker network create --label com.docker.compose.project=api_ast api_ast_default",
        "api_ast_default is a legacy network", "docker network rm api_ast_default",
    ),
    "a port for the world": Row(
        f"systemd-run --unit=t-open python3 -c '{SIX}'; sleep 1", "port 8017 of ast-api listens beyond the loopback interface at [::]",
        "systemctl stop t-open",
    ),
    "a unit that failed": Row("systemd-run --wait --unit=t-fails false || true", "t-fails.service has failed", "systemctl reset-failed t-fails"),
    "a service that hangs": Row("docker pause ast-api", "ast-api is running, but unhealthy", "docker unpause ast-api"),
    "a name that is not found": Row(
        f"docker network disconnect {NETWORK} ast-api; docker network connect --ip 172.27.0.98 {NETWORK} ast-api",
        "the name ast-api does not resolve as expected in watchme-avatar-uploader: 172.27.0.98, expected 172.27.0.17",
        f"docker network disconnect {NETWORK} ast-api; docker network connect --ip 172.27.0.17 {NETWORK} ast-api",
    ),
    "near its limit": Row(
        "systemd-run --unit=t-hog sh -c " + json.dumps(in_container("watchme-web-prod", HOG.format(mib=188, seconds=60))).replace("$", "\\$") + "; sleep 2",
        "watchme-web-prod uses 9", "systemctl stop t-hog",
    ),
    "a full disk": Row(
        "mkdir -p /srv/t; mount -t tmpfs -o size=1m t /srv/t; head -c 1000000 /dev/zero > /srv/t/x", "the disk of /srv/t is 95", "umount /srv/t",
    ),
    "no inodes": Row(
        "mkdir -p /srv/t; mount -t tmpfs -o size=1m,nr_inodes=20 t /srv/t; cd /srv/t; touch $(seq 19)",
        "100.0 % of the inodes of /srv/t are in use", "cd /; umount /srv/t",
    ),
    "a clock that is off": Row(
        f"systemd-run --unit=t-clock python3 -c '{SLOW_CLOCK}'; iptables -I {NAT}; sleep 1", "the clock is ", f"iptables -D {NAT}; systemctl stop t-clock",
    ),
    "a switch that was not ended": Row(
        """echo '{"job":"j","kind":"apply","who":"alice","host":"watchme","release":"abc","base":null,"began":0,"before":[],"states":{},"stops":[],"starts":[],"sick":[]}' > /var/lib/infra/transaction.json""",
        "an interrupted switch was neither committed nor rolled back: the release (abc, by alice)", "rm /var/lib/infra/transaction.json",
    ),
    "a registry that does not answer": Row(
        "iptables -I OUTPUT -p tcp -d 10.213.0.0/16 --dport 443 -j REJECT --reject-with tcp-reset", "this host cannot log in to 754724220380.dkr.ecr.ap-northeast-1",
        "iptables -D OUTPUT -p tcp -d 10.213.0.0/16 --dport 443 -j REJECT --reject-with tcp-reset",
    ),
    "swap in use": Row(
        # The lab's machine has none: its numbers are another host's
        "sed 's/^SwapTotal:.*/SwapTotal: 2000000 kB/; s/^SwapFree:.*/SwapFree: 500000 kB/' /proc/meminfo > /run/t-meminfo;"
        " mount --bind /run/t-meminfo /proc/meminfo",
        "75.0 % of the swap is in use (488 MiB left)", "umount /proc/meminfo",
    ),
    "a scheduler too many": Row(
        # The watch is held, or it would put right within seconds what is wrong about its flag
        "systemctl kill -s STOP infra-singles.service; rm /run/infra/single/scheduler",
        "watchme-scheduler.service is running although its name points to another host",
        "touch /run/infra/single/scheduler; systemctl kill -s CONT infra-singles.service",
    ),
    "killed for lack of memory": Row(
        in_container("watchme-admin", HOG.format(mib=400, seconds=1), "|| true; sleep 1"),
        "the kernel killed processes of watchme-admin", "systemctl restart docker",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", rows(REPORTED, always=["a unit that failed", "a service that hangs", "a full disk"]))
def test_monitor_reports_the_condition(host, name):
    row = REPORTED[name]
    sh(host, row.script)
    try:
        found: list[str] = []

        def is_reported() -> bool:
            found[:] = texts(looked(host))
            return any(row.text in text for text in found)

        _within(is_reported, found)
        # One kill is one subject, whatever slices and users' managers count of it
        kills = [text for text in found if "out of memory" in text]
        assert len(kills) == ("the kernel killed" in row.text), kills
    finally:
        if row.after:
            sh(host, row.after)


def _within(condition: Callable[[], bool], found: list[str], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, found
        time.sleep(1)
