"""Totton Audio and Vocoder on a machine that no program made: what Totton Audio's "Systemd サービス設計" and Vocoder's "systemd Service Documentation"
promise, seen."""

import re

import pytest

from lab.run import run
from tests.system.on import main_pid, shown, systemctl, until, write

pytestmark = pytest.mark.lab
HOST = "home"
GADGET, DAEMON, WEB = "totton-audio-gadget.service", "gpu-upsampler.service", "totton-audio-web.service"
USER_UNITS = ["vocoder.service", "vocoder@production.service", "vocoder@development.service", "vocoder-monitor.timer"]


def active(system, *units, account=None):
    return systemctl(system, HOST, "is-active", *units, account=account).split()


ARTEFACTS = [
    "/usr/local/bin/totton-audio-gadget-setup", "/opt/totton_audio/bin", "/opt/totton_audio/venv",
    "/opt/totton_audio/web", "/home/ice/dev/vocoder/bin",
]  # fmt: skip


def test_machine_without_docker_gets_its_artefacts_by_its_own_key(system):
    assert system.on_host("sh", "-c", "command -v docker dockerd nginx", host=HOST).code != 0
    assert system.on_host("stat", "-c", "%a %U", "/root/.aws/credentials", host=HOST).output == "600 root"
    names = system.pulumi("stack", "export").output
    assert "infra:index:ExistingHost" in names and "home-permissions-user" in names
    for path in ARTEFACTS:
        leads_to = system.on_host("readlink", "-f", path, host=HOST).output
        assert leads_to.startswith("/opt/infra/artefacts/"), path


def test_the_graph_stops_and_starts_as_a_whole(system):
    assert active(system, GADGET, DAEMON, WEB) == ["active"] * 3
    systemctl(system, HOST, "stop", GADGET)
    until("the stop of both others", lambda: active(system, GADGET, DAEMON, WEB) == ["inactive"] * 3)
    assert system.on_host("test", "-e", "/run/totton-gadget", host=HOST).code == 1
    # The last of them pulls the others up
    systemctl(system, HOST, "start", WEB)
    assert active(system, GADGET, DAEMON, WEB) == ["active"] * 3
    systemctl(system, HOST, "restart", DAEMON)
    until("the restart of the web interface", lambda: active(system, WEB) == ["active"])


@pytest.mark.nightly
def test_missing_heartbeat_restarts_the_daemon(system):
    """Totton's daemon, and Vocoder's at the same time: both have 30 s."""
    daemon, vocoder = main_pid(system, HOST, DAEMON), main_pid(system, HOST, "vocoder.service", account="ice")
    system.on_host("kill", "-USR1", daemon, host=HOST)
    system.on_host("kill", "-STOP", vocoder, host=HOST)
    until("a new daemon", lambda: main_pid(system, HOST, DAEMON) not in ("0", daemon), 90)
    log = system.on_host("journalctl", "-u", DAEMON, "-n", "60", "-o", "cat", host=HOST).output
    assert "Watchdog timeout (limit 30s)!" in log
    assert re.search(rf"Killing process {daemon} \(.*\) with signal SIGABRT", log)
    until("a new Vocoder", lambda: main_pid(system, HOST, "vocoder.service", account="ice") not in ("0", vocoder), 90)
    # With the daemon the interface ended too, and starts with it again
    until("all of it", lambda: active(system, GADGET, DAEMON, WEB) == ["active"] * 3)


IN_FORCE = {
    (DAEMON, None): {
        "Type": "notify", "NotifyAccess": "main", "WatchdogUSec": "30s", "WatchdogSignal": "6", "TimeoutStopUSec": "5s",
        "Restart": "always", "RestartUSec": "2s", "StartLimitIntervalUSec": "5min", "StartLimitBurst": "10",
        "OOMPolicy": "continue", "OOMScoreAdjust": "-900", "MemoryMax": "2147483648", "MemoryHigh": "1610612736",
        "CPUWeight": "200", "IOWeight": "200", "Nice": "-10", "LimitRTPRIO": "99", "LimitMEMLOCK": "infinity",
        "AmbientCapabilities": "cap_sys_nice", "CapabilityBoundingSet": "cap_sys_nice cap_sys_resource",
        "ProtectClock": "yes", "ProtectHostname": "yes", "RestrictSUIDSGID": "yes", "ConditionResult": "yes",
        "Requires": GADGET, "BindsTo": GADGET,
    },
    (GADGET, None): {
        "Type": "oneshot", "RemainAfterExit": "yes", "StartLimitIntervalUSec": "1min", "StartLimitBurst": "3",
        "ConditionResult": "yes",
    },
    (WEB, None): {
        "User": "totton_audio", "MemoryMax": "536870912", "CPUWeight": "50", "ProtectSystem": "strict",
        "PartOf": DAEMON, "BindsTo": DAEMON,
    },
    ("vocoder.service", "ice"): {
        "Type": "notify", "WatchdogUSec": "30s", "MemoryMax": "1073741824", "CPUQuotaPerSecUSec": "500ms",
        "TasksMax": "64", "NoNewPrivileges": "yes", "PrivateTmp": "yes", "ProtectSystem": "strict",
        "ProtectHome": "read-only", "MemoryDenyWriteExecute": "yes", "RestrictRealtime": "yes", "PrivateDevices": "yes",
    },
}  # fmt: skip


@pytest.mark.parametrize(("unit", "account"), IN_FORCE, ids=lambda value: value or "system")
def test_the_settings_are_in_force(system, unit, account):
    wanted = IN_FORCE[unit, account]
    found = shown(system, HOST, unit, *wanted, account=account)
    assert {name: found.get(name) if value not in (found.get(name) or "").split() else value
            for name, value in wanted.items()} == wanted  # fmt: skip


def test_web_interface_writes_only_to_allowed_paths(system):
    assert "Read-only file system" in write(system, HOST, WEB, "/opt/totton_audio/x", "totton_audio")
    assert write(system, HOST, WEB, "/opt/totton_audio/data/x", "totton_audio") == ""
    system.on_host("rm", "/opt/totton_audio/data/x", host=HOST)


def test_the_journals_limits_are_in_force(system):
    shown_to_journald = system.on_host("systemd-analyze", "cat-config", "systemd/journald.conf", host=HOST).output
    assert "# /etc/systemd/journald.conf.d/Totton Audio Project.conf" in shown_to_journald
    # Storage=persistent, which the machine did not have before, and the limit that journald itself reports
    assert system.on_host("sh", "-c", "ls /var/log/journal/*/system.journal", host=HOST).code == 0
    system.on_host("journalctl", "--flush", host=HOST)
    journal = system.on_host("journalctl", "-u", "systemd-journald", "-o", "cat", host=HOST).output
    assert re.search(r"System Journal \(/var/log/journal/.*max 100\.0M", journal)


@pytest.mark.nightly
def test_all_units_are_active_in_time_after_a_reboot(system):
    run("docker", "restart", "-t", "30", system.container_of(HOST))
    until("the host's units", lambda: active(system, GADGET, DAEMON, WEB) == ["active"] * 3)
    until("the account's own units", lambda: active(system, *USER_UNITS, account="ice") == ["active"] * 4)
    until("SSH", lambda: system.command("infra", "status", "--stack", "lab", "--host", HOST).code == 0)
    ran = system.command("infra", "boot-times", "--stack", "lab", "--host", HOST)
    times = [float(time) for time in re.findall(r": ([\d.]+) s \(target", ran.output)]
    assert ran.code == 0 and len(times) == 3 and times == sorted(times), ran.output
    print(ran.output)


def test_template_has_two_instances_and_its_drop_in_applies(system):
    assert system.on_host("test", "-e", "/var/lib/systemd/linger/ice", host=HOST).code == 0
    for unit, config, debug in (
        ("vocoder.service", "none", "1"),
        ("vocoder@production.service", "production", "0"),
        ("vocoder@development.service", "development", "0"),
    ):
        log = system.on_host("journalctl", f"_SYSTEMD_USER_UNIT={unit}", "-o", "cat", host=HOST).output
        assert f"vocoder: config {config}, debug {debug}, http://127.0.0.1:8771/v1/transcribe" in log
        pid = main_pid(system, HOST, unit, account="ice")
        assert system.on_host("ps", "-o", "user=", "-p", pid, host=HOST).output == "ice"


def test_monitor_starts_a_stopped_unit(system):
    timer = shown(system, HOST, "vocoder-monitor.timer", "TimersCalendar", account="ice")["TimersCalendar"]
    assert "OnCalendar=*-*-* *:00/5:00" in timer and "next_elapse=n/a" not in timer
    systemctl(system, HOST, "stop", "vocoder.service", account="ice")
    # What the timer does every five minutes
    systemctl(system, HOST, "start", "vocoder-monitor.service", account="ice")
    assert active(system, "vocoder.service", account="ice") == ["active"]


@pytest.mark.nightly
def test_skipped_unit_is_reported_and_rolled_back(system):
    """On a machine whose GPU is gone neither the new release runs nor the old one: that is what is said."""
    path = "files/systems/totton.yaml"
    with system.configured(healthDeadline="12"):
        system.must_up()
        system.edit(path, "Description: GPU Audio Upsampler Engine", "Description: GPU Audio Upsampler Engine, again")
        system.on_host("rm", "/dev/nvidia0", host=HOST)
        try:
            ran = system.up()
            assert ran.code != 0 and "rollback failed on home" in ran.output
            assert "was skipped, since a condition of its unit is not met" in ran.output
        finally:
            system.on_host("touch", "/dev/nvidia0", host=HOST)
            system.restore(path)
            systemctl(system, HOST, "start", WEB)
    system.must_up()
    assert active(system, GADGET, DAEMON, WEB) == ["active"] * 3
