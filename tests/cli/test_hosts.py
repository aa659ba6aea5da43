"""Which hosts there are, by what Pulumi knows of a stack."""

import json

import pytest

from infra import hosts
from infra.errors import InfraError
from tests.support import whole

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
