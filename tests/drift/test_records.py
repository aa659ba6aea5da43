"""Records beside the stack's own in Route 53: each that leads elsewhere is named with what removes it."""

import json
import shlex
from types import SimpleNamespace

import boto3
import pytest
from typer.testing import CliRunner

from infra import cli
from infra.drift import command, records
from infra.main import app
from tests.orphans.world import REGION, emulated_account, state
from tests.support import stack

TYPE = records.RECORD
NAME = "api.example.com"
PLACED = {"SetIdentifier": "b", "Weight": 10}


@pytest.fixture
def account(monkeypatch):
    with emulated_account(monkeypatch) as made:
        id = made.create_until(TYPE)
        inputs = made.inputs(TYPE)
        made.client = boto3.client("route53", region_name=REGION)
        made.entries = [{"urn": f"urn::{NAME}", "type": TYPE, "id": id, "inputs": inputs, "outputs": inputs}]
        yield made


def change(account, action: str, **entry) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": entry}]}
    account.client.change_resource_record_sets(HostedZoneId=account.made["zone"], ChangeBatch=batch)


def add(account, name: str, kind: str, value: str, **more) -> None:
    change(account, "CREATE", Name=name, Type=kind, TTL=60, ResourceRecords=[{"Value": value}], **more)


def found(account, *keepable: str) -> list[str]:
    return [str(finding) for finding in records.find_added(account.client, state(resources=account.entries), keepable)]


def test_records_of_the_stack_are_no_finding(account):
    assert found(account) == []


ADDED = {
    "an address of IPv6": (
        ("AAAA", "2001:db8::1"),
        {},
        "AAAA in Route 53: points to 2001:db8::1, which the stack does",
    ),
    "a weighted one": (("AAAA", "2001:db8::1"), PLACED, "AAAA in Route 53: points to 2001:db8::1 (weighted), which"),
    "an alias": (("CNAME", "elsewhere.example.net"), {}, "CNAME in Route 53: points to elsewhere.example.net, which"),
}


@pytest.mark.parametrize(("written", "more", "said"), ADDED.values(), ids=ADDED)
def test_manually_added_record_is_reported_with_a_working_remedy(account, written, more, said):
    add(account, NAME, *written, **more)
    (line,) = found(account)
    assert line.startswith(f"record {NAME} {said}") and "infra:records" not in line
    assert found(account, NAME)[0].endswith("; to keep it, add it to infra:records")
    words = shlex.split(line.partition("; delete it: ")[2])
    assert words[:5] == ["aws", "route53", "change-resource-record-sets", "--hosted-zone-id", account.made["zone"]]
    (wished,) = json.loads(words[-1])["Changes"]
    change(account, wished["Action"], **wished["ResourceRecordSet"])
    assert found(account) == []


def of(*entries: dict) -> SimpleNamespace:
    """A Route 53 that has these, in one page each."""
    pages = [{"ResourceRecordSets": [entry]} for entry in entries]
    return SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda HostedZoneId: pages))


def test_escaped_names_and_record_sets_are_matched():
    """An alias of AWS's own, one of several by an identifier, and a wildcard."""
    given = {"zoneId": "Z1", "name": "*.example.com", "type": "A"}
    known = state(resources=[{"urn": "urn::a", "type": TYPE, "id": "a", "inputs": given}])
    name = "\\052.Example.com."
    twin = {"Name": name, "Type": "A", "ResourceRecords": [{"Value": "192.0.2.9"}], **PLACED}
    alias = {"Name": name, "Type": "AAAA", "AliasTarget": {"DNSName": "x.cloudfront.net."}}
    lines = [str(finding) for finding in records.find_added(of({"Name": name, "Type": "A"}, twin, alias), known, ())]
    assert [line.split(", which")[0] for line in lines] == [
        "record *.example.com A in Route 53: points to 192.0.2.9 (weighted)",
        "record *.example.com AAAA in Route 53: points to x.cloudfront.net.",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [(NAME, "TXT", '"x"'), (NAME, "MX", "10 mail.example.com"), ("www.example.com", "A", "192.0.2.7")],
)
def test_unrelated_record_is_no_finding(account, name, kind, value):
    add(account, name, kind, value)
    assert found(account) == []


def test_drift_command_checks_records(account, monkeypatch):
    add(account, NAME, "AAAA", "2001:db8::1")
    monkeypatch.setattr(command, "export_state", lambda stack: state(resources=account.entries))
    monkeypatch.setattr(command, "refresh_preview", lambda *_: [])
    monkeypatch.setattr(cli.hosts, "stack_of", lambda name: stack(lambda config: None, "prod"))
    ran = CliRunner().invoke(app, ["drift", "--cloud", "--stack", "prod"])
    assert ran.exit_code == 2 and ran.stdout.startswith(f"record {NAME} AAAA in Route 53: points to 2001:db8::1, which")
