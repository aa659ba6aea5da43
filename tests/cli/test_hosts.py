"""Which hosts there are, by what Pulumi knows of a stack."""

import json

import pytest
from typer.testing import CliRunner

from infra import backups, hosts, maintenance, remote
from infra.errors import InfraError
from infra.main import app
from infra.ssh import Target
from tests.support import ROOT, whole

URN = "urn:pulumi:prod::infra::infra:index:Host$aws:ec2/eip:Eip::"


def known(monkeypatch, output: dict, resources: list) -> None:
    answers = {"output": output, "export": {"deployment": {"resources": resources}}}
    monkeypatch.setattr(hosts, "pulumi", lambda *argv: json.dumps(answers[argv[1]]))


def address(name: str, ip: str | None) -> dict:
    return {"urn": URN + name, "type": "aws:ec2/eip:Eip", "outputs": {"publicIp": ip} if ip else None}


def test_hosts_of_an_update_that_never_succeeded_can_be_asked(monkeypatch):
    """Their logs say why it did not."""
    stack = whole().stack
    first, other = list(stack.ec2_hosts)[:2]
    made = [address(f"{first}-{stack.region}-address", "192.0.2.1"), address(f"{other}-{stack.region}-address", None)]
    known(monkeypatch, {}, made)
    found = hosts.outputs(stack)["addresses"]
    assert found.pop(first) == "192.0.2.1" and other not in found
    assert found == {name: spec.address for name, spec in stack.hosts.items() if name not in stack.ec2_hosts}


def test_a_stack_without_an_update_has_no_hosts(monkeypatch):
    known(monkeypatch, {}, [])
    with pytest.raises(InfraError, match="has no hosts yet: pulumi up --stack lab"):
        hosts.outputs(whole().stack)


def test_outputs_come_first(monkeypatch):
    known(monkeypatch, {"addresses": {"watchme": "192.0.2.9"}}, [address("x", "192.0.2.1")])
    assert hosts.outputs(whole().stack)["addresses"] == {"watchme": "192.0.2.9"}


AT, UNTIL = {"who": "alice", "since": 0, "until": 3600}, "until 1970-01-01 01:00 UTC"
ANSWERS = {
    "drift": ({"release": "a" * 64, "drift": []}, "web2: unchanged since release aaaaaaaaaaaa"),
    "releases": ({"current": None, "kept": [], "history": [], "damaged_jobs": ["j1"]}, "web2: 1 damaged entries"),
    "boot-times": ({"milestones": []}, "web2: no milestones"),
    "prune": ({"freed": 0}, "web2: freed up to 0 MiB"),
    "backup list": ({"services": [{"service": "db", "backups": []}]}, "web2: db: 0 backups"),
    "backup now db": (
        {"service": "db", "bytes": 0, "seconds": 1, "snapshot": "1"},
        "web2: db: backup 1",
    ),
    "backup verify": ({"line": "whole"}, "web2: whole"),
    "maintenance show": ({"maintenance": {"a.example": AT}}, f"web2: a.example is in maintenance {UNTIL}"),
    "maintenance on": ({"maintenance": {"a.example": AT}}, f"web2: a.example is in maintenance {UNTIL}"),
}


@pytest.mark.parametrize("command", ANSWERS)
def test_a_host_that_answers_badly_keeps_no_other_from_being_asked(monkeypatch, command):
    """Its error comes at the end, those of several beside each other."""
    answer, line = ANSWERS[command]
    targets = {name: Target(name, "192.0.2.1", 22, "root", "", "") for name in ("web1", "web2", "web3")}

    def ask(target, *_, **named):
        if target.host != "web2":
            raise InfraError(f"{target.host}: what it says has another form")
        return answer

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(hosts, "targets", lambda *_: targets)
    monkeypatch.setattr(remote, "ask", ask)
    monkeypatch.setattr(backups, "ask", ask)
    monkeypatch.setattr(backups, "hosts_of", lambda *_: targets)
    monkeypatch.setattr(maintenance, "sites_by_host", lambda *_: {name: ["a.example"] for name in targets})
    ran = CliRunner().invoke(app, [*command.split(), "--stack", "prod"])
    assert line in ran.output and ran.exit_code == 1
    assert str(ran.exception) == "; ".join(f"{name}: what it says has another form" for name in ("web1", "web3"))
