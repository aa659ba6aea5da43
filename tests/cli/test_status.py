"""`infra status`: every host at a glance, whichever of them answers."""

import json
import threading

import pytest

from infra import status
from infra.errors import InfraError
from tests.cli.answers import STATUS
from tests.support import whole

ID = "a" * 64
OUTPUTS = {
    "region": "ap-northeast-1",
    "addresses": {"watchme": "192.0.2.1", "home": "192.0.2.7", "watchme@ap-southeast-2": "192.0.2.9"},
    "releases": {"watchme": {"id": ID}, "home": {"id": "b" * 64}},
}
REPAIR = {
    "at": 1795566697.0,
    "alert": "unit-down",
    "repair": "start",
    "worked": True,
    "said": "x.service was started",
}


@pytest.fixture
def answers(monkeypatch):
    """Host → its answer; an InfraError where it does not. All must be asked before one may answer."""
    given: dict = dict.fromkeys(OUTPUTS["addresses"], STATUS)
    together = threading.Barrier(len(given), timeout=5)

    def ask(target, verb):
        together.wait()
        if isinstance(given[target.host], InfraError):
            raise given[target.host]
        return given[target.host]

    monkeypatch.setattr(status.hosts, "outputs", lambda stack: OUTPUTS)
    monkeypatch.setattr(status.hosts, "private_key", lambda stack: "p")
    monkeypatch.setattr(status.remote, "ask", ask)
    return given


def found() -> list[status.HostStatus]:
    return status.of_stack(whole().stack)


def test_hosts_are_asked_in_parallel_and_shown_with_their_regions(answers):
    said = list(status.lines(found()))
    for line in (
        "watchme (ap-northeast-1): serves aaaaaaaaaaaa, deployed 2026-11-21 10:00 UTC by alice@laptop",
        "home (its owner's): serves aaaaaaaaaaaa, deployed 2026-11-21 10:00 UTC by alice@laptop",
        "watchme@ap-southeast-2 (ap-southeast-2): serves aaaaaaaaaaaa, deployed 2026-11-21 10:00 UTC by alice@laptop",
    ):
        assert line in said


def test_silent_host_does_not_delay_the_others(answers):
    answers["home"] = InfraError("home (u@192.0.2.7:22) does not answer: timed out")
    statuses = {entry.host: entry for entry in found()}
    assert statuses["home"].summary == (["home: home (u@192.0.2.7:22) does not answer: timed out"], False)
    assert statuses["watchme"].summary[1] is True


def test_status_as_json_has_every_field(answers):
    answers["home"] = InfraError("home does not answer")
    said = json.loads(status.as_json("lab", found()))
    assert said["orderly"] is False and said["hosts"]["watchme"]["is_the_stacks"] is True
    assert said["hosts"]["home"] == {
        "region": "its owner's", "orderly": False, "error": "home does not answer", "wanted": "b" * 64,
        "is_the_stacks": False, "deployed": {}, "kept": [], "under_way": "",
    }  # fmt: skip
    assert said["hosts"]["watchme"]["services"] == {"web": 200}


def test_hand_edits_and_repairs_are_shown(answers):
    room = {
        **REPAIR,
        "alert": "memory",
        "repair": "make room",
        "said": "sed-aggregator was stopped: 140 of 8192 MiB were left",
    }
    done = [REPAIR, {**REPAIR, "worked": False}, room]
    answers["watchme"] = {**STATUS, "drifted": ["/etc/x", "/etc/y"], "repairs": done}
    said = "\n".join(status.lines(found()))
    assert "  changed by hand: /etc/x and 1 more (infra drift --stack lab shows it)" in said
    assert "  repaired unit-down at 2026-11-25 00:31 UTC: x.service was started" in said
    assert "  could not repair unit-down at" in said
    assert "  freed memory at 2026-11-25 00:31 UTC: sed-aggregator was stopped: 140 of 8192 MiB were left" in said


@pytest.mark.parametrize("is_running", [True, False])
def test_files_of_a_running_job_are_not_drift(answers, is_running):
    unfinished = {"unfinished": {"release": "c" * 64}, "drifted": ["/opt/web/docker-compose.prod.yml"]}
    answers["watchme"] = {**STATUS, **unfinished, "holder": "apply of release c" if is_running else None}
    said = "\n".join(status.lines(found()))
    assert ("running: apply of release c" in said) is is_running
    assert ("neither committed nor rolled back" in said, "changed by hand" in said) == (not is_running,) * 2


def test_a_service_that_was_deployed_alone_is_named(answers, monkeypatch):
    """Or its tag would be thought to be followed."""
    outputs = status.hosts.outputs(None)
    held = {"watchme": {"web": {"watchme-web:latest": f"sha256:{'a' * 64}"}}}
    monkeypatch.setattr(status.hosts, "outputs", lambda stack: {**outputs, "deployed": held})
    assert "  web is pinned to sha256:aaaaaaaaaaaa (infra deploy), whatever its tag points to" in list(
        status.lines(found())
    )
