"""The emulator's machines: a request answers at once, and the instance follows its machine."""

import threading
from types import SimpleNamespace

import pytest

from lab.cloud import hosts
from lab.cloud.forward import Forwarder
from lab.cloud.hosts import DockerFailed, Machines
from lab.settings import Lab


class Instance(SimpleNamespace):
    @property
    def state(self):
        return self._state.name


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """An instance that is to run, and what lets its machine start."""
    go_on, failure = threading.Event(), []

    def boot(self, instance, name):
        go_on.wait(10)
        if failure:
            raise DockerFailed(failure[0])

    monkeypatch.setattr(Machines, "_boot", boot)
    monkeypatch.setattr(Machines, "_forward", lambda self, instances: None)
    changed = threading.Event()
    lab = Lab("t", 99, tmp_path)
    machines = Machines(lab, Forwarder.__new__(Forwarder), lambda instance: None, changed.set)
    instance = Instance(id="i-1", _state=SimpleNamespace(name="running", code=16), region_name="ap-northeast-1")
    return SimpleNamespace(machines=machines, instance=instance, go_on=go_on, failure=failure, changed=changed)


def test_an_instance_is_pending_until_its_machine_runs(machine):
    machine.machines.follow([machine.instance])
    assert (machine.instance._state.name, machine.instance._state.code) == ("pending", 0)
    assert not machine.machines.is_running(machine.instance)
    machine.go_on.set()
    assert machine.changed.wait(10)
    assert (machine.instance._state.name, machine.instance._state.code) == ("running", 16)
    assert machine.machines.is_running(machine.instance)


def test_a_machine_that_does_not_start_ends_the_instance_with_the_reason(machine):
    machine.failure.append("docker run: no space left on device")
    machine.machines.follow([machine.instance])
    machine.go_on.set()
    assert machine.changed.wait(10)
    assert machine.instance._state.name == "terminated"
    assert machine.instance.state_reason.code == "Server.InternalError"
    assert "no space left on device" in machine.instance.state_reason.message


def test_docker_refuses_in_one_line(monkeypatch):
    def run(argv, **_):
        return SimpleNamespace(returncode=1, stderr="a\nb  c\n", stdout="")

    monkeypatch.setattr(hosts.subprocess, "run", run)
    with pytest.raises(DockerFailed, match=r"^docker run: a b c$"):
        hosts._docker("run", "x")
