"""Where names are to lead, and where they do."""

import json
import threading

import pytest
from typer.testing import CliRunner

from catalogue.records import Record as Described
from infra import hosts, names, pointing, secret, zone_records
from infra.errors import InfraError
from infra.main import app
from infra.pointing import ExpectedRecord, closing, expected_records, lines, look, wait
from tests.catalogue.changes import configured
from tests.names.asking import ADDRESS, at, entry, served
from tests.support import catalogue


def test_expected_records_are_computed(made):
    described = [{"name": "hey-watch.me", "type": "TXT", "values": ["v=spf1 -all"]}]
    of = catalogue(config=configured(dns={"provider": "external", "challenges": "acme.example.net"}, records=described))
    assert [(record.name, record.type, record.values) for record in expected_records(of)] == [
        ("api.hey-watch.me", "A", [ADDRESS]),
        ("_acme-challenge.api.hey-watch.me", "CNAME", ["api.hey-watch.me.acme.example.net"]),
        ("hey-watch.me", "TXT", ["v=spf1 -all"]),
    ]


FOUND = {
    "as it is to be": (("A", "A", ADDRESS), [], True),
    "elsewhere": (("A", "A", "192.0.2.99"), ["127.0.0.1:PORT gives 192.0.2.99"], False),
    "nowhere": (("A", "TXT", '"x"'), ["127.0.0.1:PORT gives nothing"], False),
    "two addresses": (("A", "A", ADDRESS, "192.0.2.99"), [f"127.0.0.1:PORT gives {ADDRESS}, 192.0.2.99"], False),
    "the right alias": (("CNAME", "CNAME", "Shop.example.net."), [], True),
    "one of several texts": (("TXT", "TXT", '"v=spf1 -all"', '"other"'), [], True),
    "mail": (("MX", "MX", "10 mx.example.net."), [], True),
    "who may issue": (("CAA", "CAA", '0 issue "letsencrypt.org"'), [], True),
}
VALUES = {
    "A": ADDRESS, "CNAME": "shop.example.net", "TXT": "v=spf1 -all", "MX": "10 mx.example.net", "CAA": '0 issue "letsencrypt.org"',
}  # fmt: skip


@pytest.mark.parametrize(("there", "wrong", "right"), FOUND.values(), ids=FOUND)
def test_answer_of_a_name_server_is_judged(there, wrong, right):
    kind, found, *values = there
    with served([entry("x.hey-watch.me", found, *values)]) as server:
        stack = at(server).stack
        record = ExpectedRecord("x.hey-watch.me", kind, [VALUES[kind]], 60)
        look(stack, [record], [])
        assert record.wrong == [line.replace("127.0.0.1:PORT", server) for line in wrong] and record.is_right is right


def test_an_address_of_ipv6_leads_elsewhere():
    with served([entry("x.hey-watch.me", "A", ADDRESS), entry("x.hey-watch.me", "AAAA", "2001:db8::9")]) as server:
        record = ExpectedRecord("x.hey-watch.me", "A", [ADDRESS], 60)
        look(at(server).stack, [record], [])
    assert record.wrong == ["there is an AAAA 2001:db8::9 too: clients with IPv6 go there"] and not record.is_right


def test_servers_that_do_not_answer_are_not_counted_as_right(monkeypatch):
    monkeypatch.setattr(names, "PATIENCE", 0.2)
    record = ExpectedRecord("x.hey-watch.me", "A", [ADDRESS], 60)
    look(at("127.0.0.1:1").stack, [record], ["127.0.0.1:1"])
    assert not record.is_right and not record.wrong
    assert "not known: none answers" in lines(at("127.0.0.1:1").stack, [record])[0]


def test_control_characters_of_others_are_shown_as_text():
    with served([entry("x.hey-watch.me", "TXT", '"\\027[2J"')]) as server:
        record = ExpectedRecord("x.hey-watch.me", "TXT", ["a"], 60)
        look(at(server).stack, [record], [])
    assert "\x1b" not in "".join(lines(at(server).stack, [record]))


def test_remaining_records_are_listed_for_the_operator():
    late = [ExpectedRecord("x.hey-watch.me", "A", [ADDRESS], 60)]
    external = catalogue(config=configured(dns={"provider": "external"})).stack
    assert closing(external, late).startswith("1 of 1 record to be written where hey-watch.me is kept")
    assert "pulumi up --refresh restores changed ones (--stack prod)" in closing(catalogue().stack, late)


def test_command_waits_until_records_are_written(monkeypatch):
    monkeypatch.setattr(pointing, "PAUSE", 0.05)
    records, said = [], []
    with served(records) as server:
        record = ExpectedRecord("x.hey-watch.me", "A", [ADDRESS], 60)
        timer = threading.Timer(0.5, lambda: records.append(entry("x.hey-watch.me", "A", ADDRESS)))
        timer.start()
        wait(at(server).stack, [record], [], 30, said.append)
        timer.join()
    assert record.is_right and said == ["waiting for x.hey-watch.me"]


def test_ipv6_address_removed_during_the_wait_is_no_longer_reported(monkeypatch):
    monkeypatch.setattr(pointing, "PAUSE", 0.05)
    records = [entry("x.hey-watch.me", "A", ADDRESS), entry("x.hey-watch.me", "AAAA", "2001:db8::9")]
    with served(records) as server:
        record = ExpectedRecord("x.hey-watch.me", "A", [ADDRESS], 60)
        timer = threading.Timer(0.5, records.pop)
        timer.start()
        wait(at(server).stack, [record], [], 30, print)
        timer.join()
    assert record.is_right and record.stray == []


def test_the_zones_servers_are_found_by_the_resolver(monkeypatch):
    records = [entry("hey-watch.me", "TXT", '"x"')]
    with served(records) as server:
        monkeypatch.setattr(names, "resolvers", lambda: [names.server_of(server)])
        with pytest.raises(InfraError, match=r"which servers answer for hey-watch.me: 127\.0\.0\.1 knows none"):
            names.servers("hey-watch.me", [], "external")
        monkeypatch.setattr("lab.cloud.dns.SERVED", {"NS"})
        records.append(entry("hey-watch.me", "NS", "ns2.example.net.", "ns1.example.net."))
        assert names.servers("hey-watch.me", [], "cloudflare") == [("ns1.example.net", 53), ("ns2.example.net", 53)]


def of_the_token(token):
    return lambda *words, **_: token


def test_only_conflicting_records_are_adopted(kept, monkeypatch):
    names = {"api.hey-watch.me": "api.example.com"}
    described = [
        {"name": "web.example.com", "type": "A", "values": ["192.0.2.1"]},
        {"name": "api.example.com", "type": "TXT", "values": ["x"]},
    ]
    made = catalogue(
        config=configured(zone="example.com", names=names, dns={"provider": "cloudflare"}, records=described)
    )
    monkeypatch.setattr(zone_records, "pulumi", of_the_token(kept.app.tokens["operator"]))
    kept.by_hand("A", "api.example.com", "192.0.2.7", comment="by \x1b[2J hand")
    kept.by_hand("TXT", "api.example.com", '"v=spf1 -all"')
    kept.by_hand("MX", "api.example.com", "mx.example.net", priority=10)
    kept.by_hand("A", "web.example.com", "192.0.2.8", proxied=True, ttl=1)
    zone, found = pointing.adoptable(made, ["api.example.com"])
    assert [(entry["type"], owner) for entry, owner in found] == [("A", OWNER)], "mail and texts are in no one's way"
    assert pointing.record_line(found[0][0]) == "api.example.com  A  192.0.2.7  (by \\x1b[2J hand)"
    zone.take_over(*found[0])
    for name, line in {
        "api.example.com": "that this stack does not own yet", "none.example.com": "has no A, AAAA or CNAME record for none",
        "web.example.com": "proxied by Cloudflare; switch the proxy off", "api.example.org": "has no A, AAAA or CNAME record",
    }.items():  # fmt: skip
        with pytest.raises(InfraError, match=line):
            pointing.adoptable(made, [name])


def state(*records):
    """Pulumi's state after these records were written."""
    found = [
        {
            "urn": f"urn:pulumi:prod::infra::infra:index:PublicName$command:local:Command::record-{name}",
            "type": "command:local:Command",
            "inputs": {
                "stdin": json.dumps(
                    {"name": name, "type": kind, "values": values, "ttl": 60, "owner": OWNER, "zone": "example.com"}
                )
            },
        }
        for name, kind, values in records
    ]
    others = [
        {"urn": "urn:x::record-other", "type": "aws:x"},
        {"urn": "urn:x::record-y", "type": "command:local:Command"},
    ]
    return {"deployment": {"resources": [*found, *others]}}


OWNER = "infra: stack prod of AWS account 754724220380, site"
BY_HAND = {
    "another address": lambda entry: entry.update(content="192.0.2.99"),
    "another time": lambda entry: entry.update(ttl=300),
    "proxied": lambda entry: entry.update(proxied=True, ttl=1),
    "no one's any more": lambda entry: entry.update(comment=""),
}


@pytest.mark.parametrize("change", [*BY_HAND.values(), None], ids=[*BY_HAND, "gone"])
def test_manually_changed_records_are_reported_and_restored(kept, change):
    stack = catalogue(config=configured(zone="example.com")).stack
    wrote = zone_records.records_in_state(
        state(("api.example.com", "A", [ADDRESS]), ("example.com", "MX", ["10 mx.example.net"]))
    )
    for record in wrote:
        kept.client.put(record)
    assert not [*zone_records.findings(stack, kept.client, wrote)]
    (entry,) = kept.there("api.example.com")
    if change:
        change(entry)
    else:
        kept.app.entries.pop(entry["id"])
    (found,) = zone_records.findings(stack, kept.client, wrote)
    assert f"the last update left {ADDRESS} for 60 s; infra dns restore --stack prod puts it back" in str(found)
    assert [*zone_records.restore(kept.client, wrote)] == [f"api.example.com A: {ADDRESS} again"]
    assert not [*zone_records.findings(stack, kept.client, wrote)]


def test_replacement_of_a_missing_record_is_left_alone(kept):
    stack = catalogue(config=configured(zone="example.com")).stack
    wrote = zone_records.records_in_state(state(("api.example.com", "A", [ADDRESS])))
    kept.by_hand("CNAME", "api.example.com", "elsewhere.example")
    (found,) = zone_records.findings(stack, kept.client, wrote)
    assert "has CNAME elsewhere.example for 300 s, without a comment, the last update left" in str(found)
    with pytest.raises(InfraError, match="is in the way of A"):
        list(zone_records.restore(kept.client, wrote))


def test_in_route_53_another_command_takes_over():
    with pytest.raises(InfraError, match="has its zone at route53"):
        pointing.adoptable(catalogue(), ["api.hey-watch.me"])


def test_wrong_name_exits_with_1(made, monkeypatch):
    with served([entry("api.hey-watch.me", "A", "192.0.2.99")]) as server:
        monkeypatch.setattr("infra.cli.names.catalogue_of", lambda stack: at(server))
        ran = CliRunner().invoke(app, ["dns", "show", "--stack", "prod", "--resolver", server])
    assert ran.exit_code == 1 and "api.hey-watch.me  A  192.0.2.10  not yet" in ran.output, ran.output
    assert f"{server} gives 192.0.2.99" in ran.output


def test_names_are_expected_in_the_new_region_during_a_move(monkeypatch):
    monkeypatch.setattr(hosts, "outputs", lambda stack: {"addresses": {"watchme": ADDRESS}, "region": "ap-southeast-2"})
    monkeypatch.setattr(hosts, "addresses_from_state", lambda stack: {"watchme": "192.0.2.55"})
    assert [record.values for record in expected_records(catalogue())] == [["192.0.2.55"]]
    monkeypatch.setattr(hosts, "addresses_from_state", lambda stack: {})
    assert expected_records(catalogue()) == []


@pytest.mark.parametrize("text", ['say "hi" now', "back\\slash", "a" * 300, "Case Counts"])
def test_text_records_are_compared_unquoted(text):
    quoted = Described(name="x.hey-watch.me", type="TXT", values=[text]).provider_values[0]
    with served([entry("x.hey-watch.me", "TXT", f'"{quoted}"')]) as server:
        record = ExpectedRecord("x.hey-watch.me", "TXT", [text], 60)
        look(at(server).stack, [record], [])
    assert record.is_right, record.found


def test_expected_ipv6_address_is_accepted():
    with served([entry("x.hey-watch.me", "A", ADDRESS), entry("x.hey-watch.me", "AAAA", "2001:db8::9")]) as server:
        records = [
            ExpectedRecord("x.hey-watch.me", "A", [ADDRESS], 60),
            ExpectedRecord("x.hey-watch.me", "AAAA", ["2001:db8:0::9"], 60),
        ]
        look(at(server).stack, records, [])
    assert all(record.is_right for record in records), [record.wrong for record in records]


LEFT = {
    "deployment": {
        "resources": [
            {"urn": "urn:x::A", "type": "aws:route53/record:Record"},
            {"urn": "urn:x$command:local:Command::record-b", "type": "command:local:Command"},
            {
                "urn": "urn:x::verified",
                "type": "command:local:Command",
                "dependencies": ["urn:x::A", "urn:x::C"],
                "propertyDependencies": {"stdin": ["urn:x::A"], "create": None},
            },
        ]
    }
}


@pytest.mark.parametrize(
    ("provider", "left"),
    [
        ("cloudflare", ["urn:x::A"]),
        ("route53", ["urn:x$command:local:Command::record-b"]),
        ("external", ["urn:x::A", "urn:x$command:local:Command::record-b"]),
    ],
)
def test_records_of_an_earlier_provider_can_be_left(provider, left):
    stack = catalogue(config=configured(dns={"provider": provider})).stack
    assert zone_records.records_elsewhere(stack, LEFT) == left
    after = zone_records.remove_resources(LEFT, left)["deployment"]["resources"]
    assert not {entry["urn"] for entry in after} & {*left}
    (last,) = [entry for entry in after if entry["urn"] == "urn:x::verified"]
    assert (
        not {*last["dependencies"], *last["propertyDependencies"]["stdin"]} & {*left}
        and "urn:x::C" in last["dependencies"]
    )


def test_conflicting_records_are_reported_before_an_update(kept, monkeypatch):
    names = {"api.hey-watch.me": "api.example.com"}
    described = [{"name": "web.example.com", "type": "A", "values": ["192.0.2.1"]}]
    made = catalogue(
        config=configured(zone="example.com", names=names, dns={"provider": "cloudflare"}, records=described)
    )
    monkeypatch.setattr(zone_records, "pulumi", of_the_token(kept.app.tokens["operator"]))
    assert [*zone_records.missing(made)] == []
    kept.by_hand("A", "api.example.com", "192.0.2.7")
    assert [*zone_records.missing(made)] == [], "it may be the host's own"
    kept.by_hand("AAAA", "api.example.com", "2001:db8::7")
    kept.by_hand("A", "web.example.com", "192.0.2.8")
    assert [
        "is in the way of A" in problem.found or "infra dns adopt web" in problem.found
        for problem in zone_records.missing(made)
    ] == [True, True]
    monkeypatch.setattr(zone_records, "pulumi", of_the_token("wrong"))
    (problem,) = zone_records.missing(made)
    assert problem.level == "error" and "Cloudflare refuses the token" in problem.found


def test_tokens_that_are_missing_are_listed():
    made = catalogue(config=configured(dns={"provider": "cloudflare"}))
    found = {entry.path: entry.state for entry in secret.stack_secrets(made) if entry.group == "dns"}
    assert found == {"dns.CLOUDFLARE_API_TOKEN": "missing", "dns.CLOUDFLARE_PROOF_TOKEN": "missing"}
    made = catalogue(config=configured(dns={"provider": "cloudflare", "challenges": "acme.example.net"}))
    assert {entry.path for entry in secret.stack_secrets(made) if entry.group == "dns"} == {"dns.CLOUDFLARE_API_TOKEN"}


def test_a_name_behind_a_cdn_may_lead_there():
    cdn = ["198.51.100.0/24", "2001:db8::/32"]
    record = ExpectedRecord("a.example.com", "A", ["192.0.2.1"], 60, cdn=cdn)
    assert record.is_said_by(["198.51.100.7", "198.51.100.8"]) and record.is_said_by(["192.0.2.1"])
    assert not record.is_said_by(["198.51.100.7", "203.0.113.9"]) and not record.is_said_by([])
    assert record.is_cdns("2001:db8::1") and not record.is_cdns("2001:db9::1") and not record.is_cdns("x")
