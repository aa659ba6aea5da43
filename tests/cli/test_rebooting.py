"""`infra reboot`: order, refusals, and that the next host waits until the last is healthy."""

import fcntl
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from infra import hosts, rebooting, remote, unlocking
from infra.errors import InfraError
from infra.main import app
from infra.rebooting import Boot
from infra.ssh import ConnectionLost, Target
from tests.ssh_server import Server, target
from tests.support import ROOT, catalogue, stack

HEALTHY = {
    "release": "3f2a", "holder": None, "unfinished": None, "services": {"ast-api": 200}, "resting": [], "away": {},
}  # fmt: skip
LOCKED = "stack prod is locked by ci@runner, process 7; no run is recorded, so the lock stays"


class World:
    """Hosts whose answers are taken from lists; the last one stays."""

    def __init__(self, *names):
        self.boots = dict.fromkeys(names, 1)
        self.statuses = {name: [HEALTHY] for name in names}
        self.refusals: dict[str, str] = {}
        self.comes_back = True
        self.rebooted: list[str] = []
        self.now = 0.0

    def boot_of(self, machine, reboot=False):
        if reboot and machine.host not in self.refusals:
            self.rebooted.append(machine.host)
            self.boots[machine.host] += self.comes_back
        return Boot(str(self.boots[machine.host]), self.refusals.get(machine.host, "") if reboot else "")

    def ask(self, machine, verb):
        answers = self.statuses[machine.host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def world(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PULUMI_STACK", "prod")
    made = World("watchme", "gpu")
    machines = {name: Target(name, "192.0.2.1", 22, "root", "", "") for name in made.boots}
    monkeypatch.setattr(hosts, "targets", lambda *_: machines)
    monkeypatch.setattr(unlocking, "explain", lambda _: "")
    monkeypatch.setattr(rebooting, "boot_of", made.boot_of)
    monkeypatch.setattr(remote, "ask", made.ask)
    monkeypatch.setattr(rebooting.time, "sleep", made.sleep)
    monkeypatch.setattr(rebooting.time, "monotonic", lambda: made.now)
    return made


def run(*words, said=""):
    ended = CliRunner().invoke(app, ["reboot", *words], input=said)
    return ended, str(ended.exception or "")


def with_services(**codes):
    return {**HEALTHY, "services": {name.replace("_", "-"): code for name, code in codes.items()}}


def test_named_host_is_rebooted_after_a_question_that_names_its_sites(world):
    ended, _ = run("watchme", said="y\n")
    assert ended.exit_code == 0 and world.rebooted == ["watchme"]
    assert "reboot watchme; meanwhile api.hey-watch.me" in ended.output and "will not answer?" in ended.output
    assert "watchme was rebooted: 1 services healthy" in ended.output
    ended, error = run("watchme", said="n\n")
    assert world.rebooted == ["watchme"] and error == "nothing was rebooted"


def test_several_hosts_need_a_name_or_rolling(world):
    assert "stack prod has 2 hosts (gpu, watchme): name one, or add --rolling" in run("--yes")[1]
    assert "stack prod has no host 'gpx'; hosts: gpu, watchme" in run("gpx", "--yes")[1]
    assert "--rolling reboots all hosts: leave out the host" in run("gpu", "--rolling")[1]
    assert world.rebooted == []


def test_next_host_waits_until_all_services_are_healthy(world):
    coming_up = [HEALTHY, ConnectionLost("closed"), with_services(ast_api=0), with_services(), HEALTHY, HEALTHY]
    world.statuses["watchme"] = [*coming_up]
    ended, error = run("--rolling", "--yes")
    assert ended.exit_code == 0, error
    assert world.rebooted == ["watchme"], "gpu is no host of stack prod's configuration"
    assert len(world.statuses["watchme"]) == 1


def test_unhealthy_host_stops_the_row_and_is_named(world):
    world.statuses["watchme"] = [HEALTHY, with_services(ast_api=502, web=0)]
    machines = {name: Target(name, "192.0.2.1", 22, "root", "", "") for name in ("watchme", "gpu")}
    with pytest.raises(InfraError) as failed:
        rebooting.reboot_each(catalogue(), machines, {"watchme": HEALTHY, "gpu": HEALTHY}, lambda _: None)
    assert str(failed.value).startswith("watchme was rebooted and is not healthy within 180 s (infra:healthDeadline): ")
    assert "ast-api (502), web (no answer)" in str(failed.value) and str(failed.value).endswith("; not rebooted: gpu")
    assert world.rebooted == ["watchme"]


def test_host_that_does_not_come_back_is_named(world):
    world.comes_back = False
    _, error = run("watchme", "--yes")
    assert (
        "watchme has not come back within 900 s after its reboot (infra:readyTimeout): it is still in the same" in error
    )


def test_service_that_has_not_started_yet_is_waited_for(world):
    world.statuses["watchme"] = [HEALTHY, with_services()]
    assert "ast-api (not started)" in run("watchme", "--yes")[1]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({**HEALTHY, "holder": "release 3f2a"}, "watchme: another job is running on this host: release 3f2a"),
        ({**HEALTHY, "unfinished": {"release": "3f"}}, "watchme: an interrupted release is not settled: pulumi up"),
        ({**HEALTHY, "release": None}, "watchme: it has no release yet"),
    ],
)
def test_nothing_is_rebooted_while_a_job_runs(world, status, why):
    world.statuses["watchme"] = [status]
    assert run("watchme", "--yes")[1].startswith(f"nothing was rebooted: {why}") and world.rebooted == []


def test_nothing_is_rebooted_while_an_update_holds_the_stack(world, monkeypatch):
    monkeypatch.setattr(unlocking, "explain", lambda _: LOCKED)
    assert f"nothing was rebooted: {LOCKED}" in run("watchme", "--yes")[1]
    assert world.rebooted == []


def test_update_that_begins_meanwhile_is_not_disturbed(world, monkeypatch):
    """During the question, and during the reboot of an earlier host."""
    answers = ["", LOCKED, "", LOCKED]
    monkeypatch.setattr(unlocking, "explain", lambda _: answers.pop(0))
    assert run("watchme", "--yes")[1].startswith("watchme was not rebooted: stack prod is locked by ci@runner")
    machines = {name: Target(name, "192.0.2.1", 22, "root", "", "") for name in ("watchme", "gpu")}
    with pytest.raises(InfraError, match=r"^gpu was not rebooted: stack prod is locked by ci@runner"):
        rebooting.reboot_each(catalogue(), machines, {"watchme": HEALTHY, "gpu": HEALTHY}, lambda _: None)
    assert world.rebooted == ["watchme"]


def test_job_that_began_meanwhile_is_left_alone(world):
    world.refusals["watchme"] = "another job is running on this host: release 3f2a"
    assert run("watchme", "--yes")[1] == (
        "watchme was not rebooted: another job is running on this host: release 3f2a"
    )  # fmt: skip


def test_hosts_that_stand_by_and_hosts_that_are_called_come_first():
    def change(values):
        host = values["infra:hosts"]["watchme"]
        values["infra:hosts"]["gpu"] = {**host, "systems": [{"system": "watchme", "services": ["ast-api"]}]}

    names = ["watchme", "gpu", "watchme@ap-southeast-2"]
    assert rebooting.choose(stack(change), names, None, True) == ["watchme@ap-southeast-2", "gpu", "watchme"]


def on_host(tmp_path, check=True, **payload):
    """The program as a host runs it, with a command that does nothing."""
    given = {"lock": f"{tmp_path}/lock", "transaction": f"{tmp_path}/transaction.json", "command": ["true"], **payload}
    text = f"payload = {given!r}\n{rebooting.PROGRAM}"
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=check)
    return json.loads(ran.stdout.splitlines()[-1])


def test_program_on_the_host_reboots_only_when_no_job_holds_the_lock(tmp_path):
    first = on_host(tmp_path)
    assert first["boot"] and "rebooting" not in first
    assert on_host(tmp_path, reboot=True) == {"boot": first["boot"], "rebooting": True}
    # Also where the reboot ends the program at once
    killed = on_host(tmp_path, check=False, reboot=True, command=["sh", "-c", "kill -9 $PPID"])
    assert killed == {"boot": first["boot"], "rebooting": True}
    assert "systemctl reboot failed" in on_host(tmp_path, reboot=True, command=["false"])["refused"]
    with (tmp_path / "lock").open("w") as held:
        held.write("release 3f2a")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert on_host(tmp_path, reboot=True)["refused"] == "another job is running on this host: release 3f2a"
    (tmp_path / "transaction.json").write_text("{}")
    assert on_host(tmp_path, reboot=True)["refused"] == "an interrupted release is not settled on this host"


def test_connection_that_ends_with_the_reboot_is_no_failure():
    def answer(command, payload, say):
        say(json.dumps({"boot": "b1", "rebooting": True}))

    assert rebooting.boot_of(target(Server(answer)), reboot=True) == Boot("b1", "")
