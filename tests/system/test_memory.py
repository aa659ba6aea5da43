"""A host that runs out of memory: what can wait makes room, and comes back. Real allocations, on a host made small."""

import json
import time
from collections.abc import Iterator

import pytest

from agent.pressure import floor
from lab import run
from tests.system.conftest import System
from tests.system.on import looked, sh, texts, until, wait_until_well

pytestmark = pytest.mark.lab
MiB = 1024**2
HOLDS, ROOM = 300, 900
FIRST, SECOND = "sed-aggregator", "opensmile-aggregator"
UNITS = {FIRST: "api-sed-aggregator.service", SECOND: "opensmile-aggregator.service"}
PORTS = {FIRST: 8010, SECOND: 8012}
HOG = "x = bytearray({mib} << 20); import time; time.sleep(600)"


def memory(system: System) -> dict[str, int]:
    lines = (line.split() for line in sh(system, "cat /proc/meminfo").splitlines())
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines}


def limit(system: System, size: int) -> None:
    run.run("docker", "update", "--memory", str(size), "--memory-swap", str(size), system.container)


def kills(system: System) -> int:
    """How often the kernel has killed something of this machine under memory pressure. By its own log: a group that ends
    takes its count along."""
    container = run.run("docker", "inspect", "-f", "{{.Id}}", system.container).strip()
    killed = [line for line in run.run("dmesg").splitlines() if "oom-kill:" in line and "task_memcg=" in line]
    return sum(container in line.split("task_memcg=", 1)[1] for line in killed)


@pytest.fixture
def small(system: System) -> Iterator[System]:
    """A machine with ROOM MiB beyond what it uses, of which two services then hold HOLDS each."""
    wait_until_well(system, 90)
    sh(system, "rm -f /var/lib/infra/monitor/memory.json")
    before = memory(system)
    size = before["MemTotal"] - before["MemAvailable"] + floor(0) + ROOM * MiB
    assert size < before["MemTotal"] and floor(size) == floor(0)
    limit(system, size)
    try:
        yield system
    finally:
        limit(system, before["MemTotal"])
        sh(system, "systemctl stop 't-hog-*'; systemctl start infra-memory.service")
        until("all that made room is back", lambda: not stopped(system), 200)
        wait_until_well(system, 60)
        # Who asked meanwhile got that answer, which is no matter of the tests to come
        sh(system, ": > /var/log/nginx/access.log")


def hold(system: System) -> None:
    for port in PORTS.values():
        sh(system, f"curl -s -o /dev/null -H 'Stub-Hold: {HOLDS}' http://127.0.0.1:{port}/")


def hog(system: System, name: str, mib: int) -> None:
    """Another program takes memory; the kernel would kill it first."""
    sh(system, f"systemd-run -q --unit=t-hog-{name} -p OOMScoreAdjust=1000 python3 -c '{HOG.format(mib=mib)}'")


def stopped(system: System) -> list[str]:
    return sh(system, "ls -tr /run/infra/stopped 2>/dev/null || true").split()


def events(system: System) -> list[tuple[str, str]]:
    report = json.loads(sh(system, "cat /var/lib/infra/monitor/memory.json"))
    return [(entry["subject"], entry["repair"]) for entry in report]


def active(system: System) -> set[str]:
    units = json.loads(sh(system, "cat /var/lib/infra/current/manifest.json"))["units"]
    names = [unit["name"] for unit in units]
    states = system.on_host("systemctl", "is-active", *names).output.split()
    return {name for name, state in zip(names, states, strict=True) if state == "active"}


@pytest.mark.nightly
def test_services_stop_in_order_and_return(small):
    hold(small)
    every, killed = active(small), kills(small)
    hog(small, "a", ROOM - 2 * HOLDS + 60)
    until("the first one goes", lambda: stopped(small) == [FIRST] and UNITS[FIRST] not in active(small), 20)
    time.sleep(5)
    assert active(small) == every - {UNITS[FIRST]}, "one was enough"
    hog(small, "b", HOLDS)
    until("the second one goes", lambda: stopped(small) == [FIRST, SECOND] and UNITS[SECOND] not in active(small), 20)
    hog(small, "c", HOLDS)
    time.sleep(5)
    assert active(small) == every - set(UNITS.values()), "no other may go"
    assert kills(small) == killed and {f"t-hog-{name}.service" for name in "abc"} <= running(small)

    report = looked(small)
    met = {entry["alert"] for entry in report["conditions"] if entry["met"]}
    assert {"memory-freed", "memory"} <= met and "unit-down" not in met, texts(report)
    assert any("api-sed-aggregator.service is stopped to free memory" in text for text in texts(report))
    shown = small.command("infra", "status", "--stack", "lab", "--host", "watchme").output
    assert (
        "alert memory-freed: opensmile-aggregator.service is stopped" in shown
        and "sed-aggregator was stopped: " in shown
    )
    said = small.command("infra", "logs", "memory", "--stack", "lab", "--host", "watchme").output
    assert "opensmile-aggregator was stopped: " in said, said

    sh(small, "systemctl stop 't-hog-*'")
    until("both are back", lambda: not stopped(small) and active(small) == every, 200)
    assert events(small) == [(FIRST, "make room"), (SECOND, "make room"), (SECOND, "bring back"), (FIRST, "bring back")]
    assert kills(small) == killed


@pytest.mark.nightly
def test_kernel_kills_without_the_memory_watch(small):
    """The small machine is a real one: the same want ends something."""
    sh(small, "systemctl stop infra-memory.service")
    killed = kills(small)
    hog(small, "a", 2 * ROOM)
    try:
        until("the kernel kills", lambda: kills(small) > killed, 60)
        result = ("systemctl", "show", "-p", "Result", "--value", "t-hog-a")
        until("systemd notices", lambda: small.on_host(*result).output == "signal")
        assert stopped(small) == []
    finally:
        # Docker reports it for every container below this machine's own memory group, which a real machine is not
        sh(small, "systemctl reset-failed t-hog-a || true; systemctl restart docker")


def running(system: System) -> set[str]:
    listed = sh(system, "systemctl list-units --plain --no-legend --state=running 't-hog-*'")
    return {line.split()[0] for line in listed.splitlines()}
