"""Records at Cloudflare: made, changed in place, never another's."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import infra.record
from catalogue.records import Record as Described
from catalogue.records import plain_text, quoted_text
from infra.cloudflare import Record, Zone, changes, value_of
from infra.errors import InfraError
from tests.support import ROOT

STACK = "infra: stack prod of AWS account 123456789012"
OWNER = f"{STACK}, site"
NAME = "api.example.com"


def record(*values, name=NAME, kind="A", ttl=60, owner=OWNER):
    return Record(name, kind, values, ttl, owner)


def test_a_record_is_made_once_and_changed_in_place(kept):
    assert kept.client.put(record("192.0.2.1")) == 1
    (made,) = kept.there(NAME)
    assert (made["content"], made["ttl"], made["comment"], made["proxied"]) == ("192.0.2.1", 60, OWNER, False)
    assert kept.client.put(record("192.0.2.1")) == 0
    assert kept.client.put(record("192.0.2.9", ttl=120)) == 1
    (changed,) = kept.there(NAME)
    assert changed["id"] == made["id"] and (changed["content"], changed["ttl"]) == ("192.0.2.9", 120)
    assert kept.client.remove(record("192.0.2.9")) == 1 and not kept.there(NAME)
    assert kept.client.remove(record("192.0.2.9")) == 0


IN_THE_WAY = {
    "another address": ("A", "192.0.2.7", {}, "already: 192.0.2.7, and is not this stack's. To let this stack change it: infra dns adopt"),
    "another stack's": ("A", "192.0.2.7", {"comment": "infra: stack dev"}, "and belongs to 'infra: stack dev'"),
    "proxied": ("A", "192.0.2.7", {"proxied": True, "ttl": 1}, "proxied by Cloudflare, and is not this stack's. Switch the proxy off"),
    "a proxied one of the same address": ("A", "192.0.2.1", {"proxied": True, "ttl": 1}, "Switch the proxy off there"),
    "another stack's of the same address": ("A", "192.0.2.1", {"comment": "infra: stack dev of AWS account 1, site"}, "and belongs to 'infra: stack dev"),
    "a stack whose name begins alike": ("A", "192.0.2.1", {"comment": "infra: stack prod of AWS account 1234567890123, site"}, "and belongs to"),
    "a person's, of the same address": ("A", "192.0.2.1", {"comment": "do not touch"}, "and belongs to 'do not touch'"),
    "an alias": ("CNAME", "elsewhere.example", {}, "a record CNAME at Cloudflare already: elsewhere.example, and is not this stack's. It is in the way of A 192.0.2.1"),
    "an address of IPv6": ("AAAA", "2001:db8::1", {}, "a record AAAA at Cloudflare already"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "more", "line"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_anothers_record_is_left_alone(kept, kind, content, more, line):
    kept.by_hand(kind, NAME, content, **more)
    before = kept.there()
    with pytest.raises(InfraError) as refused:
        kept.client.put(record("192.0.2.1"))
    assert line in str(refused.value) and kept.there() == before


def test_record_with_the_right_value_is_adopted(kept):
    id = kept.by_hand("A", NAME, "192.0.2.1")
    assert kept.client.put(record("192.0.2.1")) == 1
    (entry,) = kept.there(NAME)
    assert entry["id"] == id and entry["comment"] == OWNER and entry["ttl"] == 60


def test_adopted_record_is_updated(kept):
    kept.by_hand("A", NAME, "192.0.2.7")
    kept.client.take_over(kept.there(NAME)[0], OWNER)
    kept.client.put(record("192.0.2.1"))
    assert [entry["content"] for entry in kept.there(NAME)] == ["192.0.2.1"]


def test_foreign_values_of_a_record_stay(kept):
    kept.by_hand("TXT", "example.com", '"google-site-verification=x"')
    ours = record("v=spf1 -all", name="example.com", kind="TXT")
    kept.client.put(ours)
    kept.client.put(record("v=spf1 mx -all", name="example.com", kind="TXT"))
    assert {value_of(entry) for entry in kept.there()} == {"google-site-verification=x", "v=spf1 mx -all"}
    kept.client.remove(ours)
    assert len(kept.there()) == 2, "what was written since is another's"
    kept.client.remove(record("v=spf1 mx -all", name="example.com", kind="TXT"))
    assert [value_of(entry) for entry in kept.there()] == ["google-site-verification=x"]


def test_fewer_and_more_values(kept):
    mail = {"name": "example.com", "kind": "MX"}
    kept.client.put(record("10 a.example", "20 b.example", **mail))
    kept.client.put(record("20 b.example", "30 c.example", "40 d.example", **mail))
    assert sorted(map(value_of, kept.there())) == ["20 b.example", "30 c.example", "40 d.example"]
    kept.client.put(record("40 d.example", **mail))
    assert list(map(value_of, kept.there())) == ["40 d.example"]


EACH = {
    "A": "192.0.2.1", "AAAA": "2001:db8::1", "CNAME": "shop.example.net.", "MX": "10 mx.example.net.", "TXT": 'say "a\\b" ' * 40,
    "CAA": '0 issue "letsencrypt.org"', "SRV": "10 5 5060 sip.example.net",
}  # fmt: skip


@pytest.mark.parametrize("kind", EACH)
def test_every_type_is_written_and_read_back(kept, kind):
    Described(name="x.example.com", type=kind, values=[EACH[kind]])
    wanted = record(EACH[kind], name="x.example.com", kind=kind)
    assert kept.client.put(wanted) == 1
    (entry,) = kept.there()
    assert value_of(entry) == (EACH[kind] if kind == "TXT" else EACH[kind].rstrip("."))
    assert changes([entry], wanted) == [], "nothing to do the second time"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=900))
def test_text_record_is_unquoted_to_its_original(text):
    assert plain_text(quoted_text(text)) == text


def test_record_taken_over_by_another_resource_is_not_removed(kept):
    """A name that becomes a record of infra:records: Pulumi writes first, and removes what was there last."""
    as_site = record("192.0.2.1")
    for as_record in (record("192.0.2.1", owner=f"{STACK}, record"), record("192.0.2.9", owner=f"{STACK}, record")):
        kept.client.put(as_site)
        kept.client.put(as_record)
        assert kept.client.remove(as_site) == 0
        assert [(e["content"], e["comment"]) for e in kept.there(NAME)] == [(as_record.values[0], as_record.owner)]
        kept.client.remove(as_record)


def test_an_alias_becomes_an_address_and_back(kept):
    alias, address = record("shop.example.net", kind="CNAME", owner=f"{STACK}, record"), record("192.0.2.1")
    for earlier, later in ((alias, address), (address, alias)):
        kept.client.put(earlier)
        kept.client.put(later)
        kept.client.remove(earlier)
        (entry,) = kept.there(NAME)
        assert (entry["type"], value_of(entry)) == (later.kind, later.values[0])
        kept.client.remove(later)


def test_shared_record_stays_with_the_first_stack(kept):
    theirs = record(
        "10 mx.example.net", name="example.com", kind="MX", owner="infra: stack dev of AWS account 1, record"
    )
    ours = record("10 mx.example.net", name="example.com", kind="MX", owner=f"{STACK}, record")
    kept.client.put(theirs)
    assert kept.client.put(ours) == 0 and kept.client.remove(ours) == 0
    assert [entry["comment"] for entry in kept.there()] == [theirs.owner]


SAME = [
    ("AAAA", "2001:db8:0:0::1", "2001:db8::1"),
    ("MX", "010 Mx.example.net.", "10 mx.example.net"),
    ("CNAME", "A.example.", "a.example"),
]


@pytest.mark.parametrize(("kind", "one", "other"), SAME)
def test_a_value_that_is_written_otherwise_is_the_same(kept, kind, one, other):
    kept.client.put(record(one, kind=kind))
    for entry in kept.there():
        entry["content"] = other.split(" ")[-1]
    assert kept.client.put(record(one, kind=kind)) == 0


@pytest.mark.parametrize("code", [81057, 81058])
def test_record_created_by_an_earlier_attempt_is_accepted(kept, code, monkeypatch):
    monkeypatch.setattr(kept.client, "records", lambda name="": [])
    monkeypatch.setattr("lab.cloud.cloudflare.IS_THERE", code)
    kept.client.put(record("192.0.2.1"))
    assert kept.client.put(record("192.0.2.1")) == 1 and len(kept.there()) == 1


def test_credentials_of_netrc_are_not_sent(kept, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert kept.client.put(record("192.0.2.1")) == 1


def test_rate_limit_is_reported_with_its_time(kept):
    kept.app.faults.write_text(json.dumps({"fail": 429, "times": 99, "after": "300"}))
    with pytest.raises(InfraError, match="takes no more requests for now: run again after 300 s"):
        kept.client.put(record("192.0.2.1"))


def test_a_zone_that_has_gone_leaves_nothing_to_remove(kept):
    kept.client.put(record("192.0.2.1"))
    kept.app.zones = {id: name for id, name in kept.app.zones.items() if name != "example.com"}
    ran = run(kept, "remove")
    assert ran.returncode == 0 and "there is no zone example.com for this token any more" in ran.stderr


def test_a_token_that_has_ended_is_replaced_by_the_stacks_own(kept, monkeypatch):
    kept.client.put(record("192.0.2.1"))
    given = {"zone": "example.com", "stack": "prod"}
    monkeypatch.setattr(infra.record, "_token_of", lambda stack: "")
    with pytest.raises(InfraError, match="The token of the last update lacks that permission"):
        infra.record.remove_record(given, record("192.0.2.1"), "ended")
    monkeypatch.setattr(infra.record, "_token_of", lambda stack: kept.app.tokens["operator"])
    assert (
        infra.record.remove_record(given, record("192.0.2.1"), "ended") == "removed at Cloudflare" and not kept.there()
    )


def test_a_server_that_fails_is_asked_again(kept):
    kept.app.faults.write_text(json.dumps({"fail": 503, "times": 3}))
    kept.client.put(record("192.0.2.1"))
    assert len(kept.there(NAME)) == 1


def test_lasting_failure_of_the_api_is_reported(kept):
    kept.app.faults.write_text(json.dumps({"fail": 502, "times": 99}))
    with pytest.raises(InfraError, match=r"refuses GET of a record of .*: the lab fails on purpose"):
        kept.client.put(record("192.0.2.1"))


REFUSED = {
    "another token": ("example.com", lambda app: "x" * 40, "refuses the token of infra:secrets.dns.CLOUDFLARE_API_TOKEN: Invalid access token"),
    "none": ("example.com", lambda app: "", "refuses the token of infra:secrets.dns.CLOUDFLARE_API_TOKEN: Invalid request headers"),
    "another zone": ("nowhere.example", lambda app: app.tokens["operator"], "sees no zone nowhere.example at Cloudflare"),
}  # fmt: skip


@pytest.mark.parametrize(("zone", "token", "line"), REFUSED.values(), ids=REFUSED)
def test_unreachable_zone_is_reported(kept, zone, token, line):
    with pytest.raises(InfraError) as refused:
        Zone(zone, token(kept.app))
    assert line in str(refused.value) and "x" * 40 not in str(refused.value)


def run(kept, verb, **more):
    asked = {
        "zone": "example.com",
        "stack": "nowhere",
        "name": NAME,
        "type": "A",
        "ttl": 60,
        "values": ["192.0.2.1"],
        "owner": OWNER,
    }
    environment = {"CLOUDFLARE_API_TOKEN": kept.app.tokens["operator"]}
    return subprocess.run(
        [sys.executable, "-m", "infra.record", verb], input=json.dumps(asked), env=os.environ | environment | more,
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_record_command_prints_its_result(kept):
    ran = run(kept, "put")
    assert ran.returncode == 0 and json.loads(ran.stdout) == {"name": NAME, "values": ["192.0.2.1"], "ttl": 60}
    assert "api.example.com A: 192.0.2.1 at Cloudflare" in ran.stderr
    ran = run(kept, "remove")
    assert ran.returncode == 0 and not kept.there() and "removed at Cloudflare" in ran.stderr


def test_record_command_fails_in_one_line(kept):
    token = "y" * 40
    ran = run(kept, "put", CLOUDFLARE_API_TOKEN=token)
    assert ran.returncode == 1 and not ran.stdout.strip()
    assert ran.stderr.strip().splitlines()[-1].startswith("failed: Cloudflare refuses the token of infra:secrets.dns")
    assert token not in ran.stderr and "Traceback" not in ran.stderr


def test_an_api_that_is_not_there_is_reported(kept, monkeypatch):
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/client/v4")
    with pytest.raises(InfraError, match=r"Cloudflare does not answer \(http://127.0.0.1:1/client/v4\)"):
        Zone("example.com", "x")
