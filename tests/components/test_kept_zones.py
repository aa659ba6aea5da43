"""The program where Route 53 does not keep the stack's zone: commands write the records, or a person does."""

import json

import pulumi
import pytest

from components.before import read
from tests.components.program import opened, run_program
from tests.support import ROOT

TOKENS = {"infra:secrets": {"dns": {"CLOUDFLARE_API_TOKEN": "operators", "CLOUDFLARE_PROOF_TOKEN": "hosts"}}}
CLOUDFLARE = {"infra:dns": {"provider": "cloudflare"}, **TOKENS}
MAIL = {"infra:records": [{"name": "hey-watch.me", "type": "MX", "values": ["10 mx.example.net"]}]}
SIGNATURE = "4dabf18193072939515e22adb298388d"  # of a secret among inputs
COMMAND, RECORD = "command:local:Command", "aws:route53/record:Record"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def records(made):
    return {r.name: r.inputs for r in made.of(COMMAND) if r.name.startswith("record-")}


def test_records_of_cloudflare_are_commands():
    made = run_program(CLOUDFLARE | MAIL)
    assert not made.of(RECORD)
    found = records(made)
    assert sorted(found) == ["record-api.hey-watch.me", "record-hey-watch.me-MX"]
    address = found["record-api.hey-watch.me"]
    assert (address["create"], address["delete"]) == (
        "exec .venv/bin/python -m infra.record put", "exec .venv/bin/python -m infra.record remove",
    )  # fmt: skip
    assert opened(address["environment"]) == {"CLOUDFLARE_API_TOKEN": "operators"}
    assert json.loads(address["stdin"]) == {
        "zone": "hey-watch.me", "name": "api.hey-watch.me", "type": "A", "ttl": 60, "values": ["127.71.0.2"],
        "owner": "infra: stack prod of AWS account 754724220380, site", "stack": "prod",
    }  # fmt: skip
    assert json.loads(found["record-hey-watch.me-MX"]["stdin"])["values"] == ["10 mx.example.net"]


def is_open(value) -> bool:
    """Is the token in there outside what Pulumi keeps as a secret."""
    if isinstance(value, dict):
        return SIGNATURE not in value and any(map(is_open, value.values()))
    return any(map(is_open, value)) if isinstance(value, list) else "operators" in str(value)


def test_operators_token_is_secret_and_not_sent_to_hosts():
    made = run_program(CLOUDFLARE)
    for resource in made.made:
        sealed = [key for key, value in resource.inputs.items() if "operators" in json.dumps(value) and is_open(value)]
        assert not sealed, f"{resource.name}: {sealed}"
    (apply,) = [r.inputs for r in made.of(COMMAND) if r.name.endswith("-apply")]
    secrets = json.loads(opened(apply["stdin"]))["secrets"]
    assert secrets["dns"] == {"CLOUDFLARE_PROOF_TOKEN": "hosts"}


def test_the_hosts_have_no_rights_in_a_zone_that_route_53_does_not_keep():
    made = run_program(CLOUDFLARE)
    (policy,) = made.of("aws:iam/rolePolicy:RolePolicy")
    assert "route53" not in policy.inputs["policy"]


def test_a_person_writes_the_records_of_an_external_zone():
    made = run_program({"infra:dns": {"provider": "external", "challenges": "acme.example.net"}} | MAIL)
    assert not records(made) and not made.of(RECORD)
    (policy,) = made.of("aws:iam/rolePolicy:RolePolicy")
    text = policy.inputs["policy"]
    assert "api.hey-watch.me.acme.example.net" in text and "ListResourceRecordSets" not in text


@pytest.mark.parametrize(("provider", "kind"), [("cloudflare", COMMAND), ("route53", RECORD)])
def test_delegation_of_proofs_precedes_the_release(provider, kind):
    tokens = TOKENS if provider == "cloudflare" else {}
    made = run_program({"infra:dns": {"provider": provider, "challenges": "acme.example.net"}} | tokens)
    ((name, inputs),) = [(r.name, r.inputs) for r in made.of(kind) if "_acme-challenge" in r.name]
    target = "api.hey-watch.me.acme.example.net"
    if provider == "route53":
        assert (inputs["type"], inputs["records"]) == ("CNAME", [target])
    else:
        assert json.loads(inputs["stdin"])["values"] == [target]
    order = [r.name for r in made.made]
    assert order.index(name) < order.index("watchme-ap-northeast-1-release-apply")


URN = "urn:pulumi:prod::infra::infra:index:PublicName$command:local:Command::record-api.hey-watch.me"
HOST = "urn:pulumi:prod::infra::infra:index:Host::watchme-ap-southeast-2"


@pytest.mark.parametrize(
    ("stdout", "pointed", "ttl"),
    [
        ('{"name": "api.hey-watch.me", "values": ["192.0.2.1"], "ttl": 120}', {"ap-southeast-2"}, 120),
        ('{"name": "api.hey-watch.me", "values": ["192.0.2.9"], "ttl": 120}', set(), 120),
        ("", set(), 0),
        (None, set(), 0),
    ],
)
def test_current_region_of_names_is_read_from_the_last_write(stdout, pointed, ttl):
    state = {
        URN: {"type": COMMAND, "outputs": {"stdout": stdout}},
        HOST: {
            "type": "infra:index:Host",
            "outputs": {"address": "192.0.2.1", "region": "ap-southeast-2", "host": "watchme"},
        },
    }
    found = read(state)
    assert ({place for place, _ in found.pointed}, found.ttl) == ({*pointed}, ttl)


STATES = {
    "route53": {"urn:x::a": {"type": RECORD, "outputs": {"records": ["192.0.2.9"], "ttl": 60}}},
    "cloudflare": {URN: {"type": COMMAND, "outputs": {}}},
}


@pytest.mark.parametrize(
    ("former", "provider"),
    [("route53", "cloudflare"), ("route53", "external"), ("cloudflare", "route53"), ("cloudflare", "external")],
)
def test_records_at_another_provider_are_not_deleted_in_silence(former, provider):
    """Names that are still asked there would lead nowhere."""
    tokens = TOKENS if provider == "cloudflare" else {}
    dns = {"provider": provider, **({"challenges": "acme.example.net"} if provider == "external" else {})}
    with pytest.raises(pulumi.RunError) as refused:
        run_program({"infra:dns": dns, **tokens}, STATES[former])
    line = str(refused.value)
    assert f"left records at {former}, which this one would delete" in line and "infra dns leave --stack prod" in line
    assert f"infra:dns {{provider: {provider}, leaves: {former}}}" in line
    run_program({"infra:dns": {**dns, "leaves": former}, **tokens}, STATES[former])
    run_program({"infra:dns": dns, **tokens})


def test_rights_in_a_zone_that_is_left_go_with_the_update_after():
    """What serves until the new release does asks there whose the name is, and proves it there."""
    settings = {"infra:dns": {"provider": "cloudflare", "leaves": "route53"}, **TOKENS}
    (policy,) = run_program(settings, STATES["route53"]).of("aws:iam/rolePolicy:RolePolicy")
    actions = {str(s["Action"]) for s in json.loads(policy.inputs["policy"])["Statement"]}
    assert "route53:ChangeResourceRecordSets" in actions and "route53:ListResourceRecordSets" in actions
    assert "_acme-challenge.api.hey-watch.me" in policy.inputs["policy"]
    (policy,) = run_program(settings, STATES["cloudflare"]).of("aws:iam/rolePolicy:RolePolicy")
    assert "route53" not in policy.inputs["policy"]
