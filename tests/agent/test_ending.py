"""A container is ended without Docker, by what Docker wrote down; nothing else is."""

import json
import os

import pytest

from agent import ending
from tests.support import started

ID = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
NAME = "watchme-scheduler-prod"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Docker's directory and /proc, with one process; writes what Docker knows, and the process's control group."""
    (tmp_path / "docker/containers" / ID).mkdir(parents=True)
    monkeypatch.setattr(ending, "ROOT", str(tmp_path / "docker"))
    monkeypatch.setattr(ending, "SETTINGS", str(tmp_path / "daemon.json"))
    monkeypatch.setattr(ending, "PROC", str(tmp_path / "proc"))

    def recorded(pid, group=f"0::/system.slice/docker-{ID}.scope\n", **about):
        known = {"ID": ID, "Name": f"/{NAME}", "State": {"Pid": pid, "Running": True}} | about
        (tmp_path / "docker/containers" / ID / "config.v2.json").write_text(json.dumps(known))
        (tmp_path / f"proc/{pid}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"proc/{pid}/cgroup").write_text(group)

    return recorded


@pytest.fixture
def process():
    with started("sleep", "60") as process:
        yield process


def test_first_process_of_the_container_is_killed(host, process):
    host(process.pid)
    assert ending.end(NAME) == [process.pid] and process.wait(30) == -9


def test_data_root_of_docker_is_respected(host, process, tmp_path, monkeypatch):
    host(process.pid)
    (tmp_path / "daemon.json").write_text(json.dumps({"data-root": str(tmp_path / "docker")}))
    monkeypatch.setattr(ending, "ROOT", "/nowhere")
    assert ending.end(NAME) == [process.pid]


@pytest.mark.parametrize(
    "about",
    [
        {"group": "0::/system.slice/ssh.service\n"},
        {"Name": "/another"},
        {"Name": f"/{NAME}-2"},
        {"ID": ""},
        {"State": None},
        {"State": {}},
    ],
    ids=["another process has its number now", "another container", "a longer name", "no id", "no state", "no process"],
)
def test_other_processes_are_not_killed(host, process, about):
    host(process.pid, **about)
    assert ending.end(NAME) == [] and process.poll() is None


def test_a_process_that_has_ended_and_a_damaged_file_are_passed_over(host, tmp_path):
    with started("true") as process:
        process.wait()
    host(process.pid)
    other = tmp_path / "docker/containers/damaged"
    other.mkdir()
    (other / "config.v2.json").write_text("{")
    assert ending.end(NAME) == []


def test_a_host_without_docker_has_none():
    assert ending.end(f"no-container-{os.getpid()}") == []
