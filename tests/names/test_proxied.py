"""Names behind Cloudflare's proxy, whose records the stack writes itself (`cdn: {proxied: true}`)."""

import json

import pytest
from pydantic import ValidationError

from catalogue.cdns import Cdn
from catalogue.checks import check
from catalogue.problems import errors
from catalogue.proxied import proxied_names
from components import serving
from infra import pointing, zone_records
from infra.cloudflare import Record
from infra.errors import InfraError
from infra.orphans.state import StateResource
from infra.pointing import ExpectedRecord, expected_records, lines, look
from rendering.host import switched_names, zone_names
from tests.catalogue.changes import both, configured
from tests.catalogue.names import AT_CLOUDFLARE, proxied
from tests.components.program import run_program
from tests.names.asking import ADDRESS, at, entry, served
from tests.support import catalogue, service, unchanged

NAME = "api.example.com"
OWNER = "infra: stack prod of AWS account 123456789012, site"
OF_CLOUDFLARE = "104.16.0.1"


def record(address="192.0.2.1", is_proxied=True):
    return Record(NAME, "A", (address,), 60, OWNER, is_proxied)


def kinds(there):
    return [(one["content"], one["proxied"], one["ttl"]) for one in there]


def test_proxied_record_is_written_and_changed_in_place(kept):
    assert kept.client.put(record()) == 1 and kinds(kept.there(NAME)) == [("192.0.2.1", True, 1)]
    (id,) = [one["id"] for one in kept.there(NAME)]
    assert kept.client.put(record()) == 0
    assert kept.client.put(record("192.0.2.9")) == 1 and kinds(kept.there(NAME)) == [("192.0.2.9", True, 1)]
    assert [one["id"] for one in kept.there(NAME)] == [id] and kept.client.remove(record("192.0.2.9")) == 1


def test_proxy_is_switched_on_and_off_in_place(kept):
    kept.client.put(record(is_proxied=False))
    assert kept.client.put(record()) == 1 and kinds(kept.there(NAME)) == [("192.0.2.1", True, 1)]
    assert kept.client.put(record(is_proxied=False)) == 1 and kinds(kept.there(NAME)) == [("192.0.2.1", False, 60)]
    assert len(kept.there(NAME)) == 1


def test_proxied_record_of_a_person_is_taken_over_only_as_it_is(kept):
    kept.by_hand("A", NAME, "192.0.2.7", proxied=True, ttl=1)
    with pytest.raises(
        InfraError, match=r"proxied by Cloudflare, and is not this stack's\. To let this stack change it"
    ):
        kept.client.put(record())
    # It leads there already: nothing but its owner changes
    assert kept.client.put(record("192.0.2.7")) == 1 and kept.there(NAME)[0]["comment"] == OWNER


def test_only_cloudflare_has_a_proxy_to_be_switched_on():
    with pytest.raises(ValidationError, match="provider: cloudflare, where it is proxied"):
        Cdn.model_validate({"ranges": ["192.0.2.0/24"], "proxied": True})


def test_record_without_the_proxy_is_not_put_behind_it_without_a_question(kept):
    kept.by_hand("A", NAME, "192.0.2.1")
    with pytest.raises(InfraError, match=r"To let this stack change it: infra dns adopt api\.example\.com"):
        kept.client.put(record())


def test_proxied_record_is_adopted_for_a_proxied_site(kept, monkeypatch):
    monkeypatch.setattr(pointing, "zone_of", lambda stack: kept.client)
    kept.by_hand("A", NAME, "192.0.2.7", proxied=True, ttl=1)
    config = both(AT_CLOUDFLARE, configured(zone="example.com", names={"api.hey-watch.me": NAME}))
    _, entries = pointing.adoptable(catalogue(proxied(), config), [NAME])
    assert [one["proxied"] for one, _ in entries] == [True]
    with pytest.raises(
        InfraError, match=r"switch the proxy off there first .* but for sites with cdn: {proxied: true}"
    ):
        pointing.adoptable(catalogue(unchanged, config), [NAME])


def test_proxied_record_is_read_off_the_state_and_restored(kept):
    request = {"name": NAME, "type": "A", "values": ["192.0.2.1"], "ttl": 60, "owner": OWNER, "proxied": True}
    urn = f"urn:pulumi:prod::infra::infra:index:PublicName$command:local:Command::record-{NAME}"
    resource: StateResource = {"urn": urn, "type": "command:local:Command", "inputs": {"stdin": json.dumps(request)}}
    (wrote,) = zone_records.records_in_state({"deployment": {"resources": [resource]}})
    kept.client.put(wrote)
    kept.there(NAME)[0].update(proxied=False, ttl=60)
    (finding,) = zone_records.findings(catalogue().stack, kept.client, [wrote])
    assert "has A 192.0.2.1 for 60 s, the last update left 192.0.2.1 proxied" in str(finding)
    assert [*zone_records.restore(kept.client, [wrote])] and kinds(kept.there(NAME)) == [("192.0.2.1", True, 1)]


def test_name_behind_the_proxy_is_right_where_it_leads_to_cloudflare(made):
    (expected, *_) = expected_records(catalogue(proxied(), AT_CLOUDFLARE))
    assert expected.is_proxied and "104.16.0.0/13" in expected.cdn
    for address, is_right in ((OF_CLOUDFLARE, True), (ADDRESS, False)):
        with served([entry("api.hey-watch.me", "A", address)]) as server:
            stack = at(server).stack
            one = ExpectedRecord("api.hey-watch.me", "A", [ADDRESS], 60, cdn=expected.cdn, is_proxied=True)
            look(stack, [one], [])
            assert one.is_right is is_right and f"A  {ADDRESS}, proxied  " in lines(stack, [one])[0]


def test_move_does_not_ask_name_servers_for_a_proxied_name():
    """They give Cloudflare's addresses before and after it."""
    of = catalogue(both(proxied(), lambda data: service(data, "scheduler").update(single=False)), AT_CLOUDFLARE)
    assert proxied_names(of) == {"api.hey-watch.me"} and errors(check(of)) == []
    assert (zone_names(of, "watchme"), switched_names(of, "watchme")) == (["api.hey-watch.me"], [])
    plain = catalogue(unchanged, AT_CLOUDFLARE)
    assert switched_names(plain, "watchme") == ["api.hey-watch.me"] and proxied_names(plain) == set()


@pytest.mark.parametrize("names", [set(), {"api.hey-watch.me"}])
def test_update_asks_for_the_proxy_only_where_a_site_says_so(monkeypatch, names):
    """A record without it stays the same request: it is no change for Pulumi."""
    monkeypatch.setattr(serving, "proxied_names", lambda catalogue: names)
    tokens = {"infra:secrets": {"dns": {"CLOUDFLARE_API_TOKEN": "a1", "CLOUDFLARE_PROOF_TOKEN": "b2"}}}
    made = run_program({"infra:dns": {"provider": "cloudflare"}, **tokens})
    (request,) = [
        json.loads(one.inputs["stdin"])
        for one in made.of("command:local:Command")
        if one.name == "record-api.hey-watch.me"
    ]
    assert request.get("proxied") == (True if names else None)
