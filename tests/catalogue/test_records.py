"""Records of the zone: their forms, and how they are written."""

import pytest
from pydantic import ValidationError

from catalogue.checks import check
from catalogue.problems import CatalogueError, errors
from catalogue.records import Record
from tests.catalogue.records import record, recorded
from tests.components.program import run_program
from tests.support import ROOT, catalogue

GOOD = [
    record("", "MX", "10 mx1.example.net", "20 mx2.example.net."), record("_dmarc", "TXT", "v=DMARC1; p=none"),
    record("*.shop", "CNAME", "shop.example.net"), record("v4", "A", "192.0.2.1"), record("v6", "AAAA", "2001:db8::1"),
    record("_sip._tcp", "SRV", "10 5 5060 sip.example.net", ttl="3600"),
    record("", "CAA", '0 issue "letsencrypt.org"', '0 issuewild ";"', '0 iodef "mailto:a@example.com"'),
    record("api", "CAA", '0 issue "LetsEncrypt.org; validationmethods=dns-01"'), record("nomail", "MX", "0 ."),
    record("x", "CAA", '0 iodef "mailto:a@example.com"'), record("g", "MX", "1 ASPMX.L.GOOGLE.COM"),
    record("_acme-challenge.elsewhere", "CNAME", "x.acme.example"), record("_none._tcp", "SRV", "0 0 0 ."),
    record("long", "AAAA", "2001:DB8:0:0::1"),
]  # fmt: skip


def test_valid_records_are_accepted():
    assert errors(check(catalogue(config=recorded(*GOOD)))) == []


BAD = {
    "an address": record("a", "A", "192.0.2.256"), "a name as address": record("a", "A", "example.com"),
    "an IPv4 address as IPv6": record("a", "AAAA", "192.0.2.1"), "an address with a zone": record("a", "AAAA", "fe80::1%eth0"), "other digits": record("a", "MX", "１０ mx.example.net"),
    "a text that grows too long": record("a", "TXT", "\\" * 2000),
    "no preference": record("a", "MX", "mx.example.net"), "too large": record("a", "MX", "65536 mx.example.net"),
    "an address as alias": record("a", "CNAME", "a b"), "two aliases": record("a", "CNAME", "x.example", "y.example"),
    "quotes around a text": record("a", "TXT", '"v=spf1 -all"'), "a line break": record("a", "TXT", "a\nb"),
    "a CAA without quotes": record("a", "CAA", "0 issue letsencrypt.org"), "an unknown tag": record("a", "CAA", '0 x "y"'),
    "a short SRV": record("a", "SRV", "5 5060 sip.example.net"), "none": record("a", "TXT"),
    "the same twice": record("a", "A", "192.0.2.1", "192.0.2.1"), "a kind that is ours": record("a", "NS", "ns.example"),
    "a bad name": record("a..b", "TXT", "x"), "a star within": record("a.*", "TXT", "x"), "upper case": record("A", "TXT", "x"),
    "no time": record("a", "TXT", "x", ttl=0), "a misspelt key": record("a", "TXT", "x", tll=3),
}  # fmt: skip


@pytest.mark.parametrize("entry", BAD.values(), ids=BAD)
def test_invalid_records_are_reported(entry):
    with pytest.raises(ValidationError):
        Record.model_validate(entry)
    with pytest.raises(CatalogueError) as error:
        catalogue(config=recorded(entry))
    assert "infra:records" in str(error.value), error.value


def test_a_long_text_is_written_in_pieces():
    key = "v=DKIM1; p=" + "A" * 500
    (written,) = Record.model_validate(record("d", "TXT", key)).provider_values
    pieces = written.split('" "')
    assert "".join(pieces) == key and max(map(len, pieces)) == 255


def test_a_quote_in_a_text_is_escaped_and_no_piece_ends_within_it():
    text = "a" * 254 + '"' + "\\" + "b"
    (written,) = Record.model_validate(record("q", "TXT", text)).provider_values
    assert written == "a" * 254 + '" "' + '\\"\\\\b'


def test_records_are_created_and_not_touched_by_a_move(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program({"infra:records": GOOD[:2]})
    own = {r.name: r.inputs for r in made.of("aws:route53/record:Record") if r.inputs["type"] != "A"}
    assert set(own) == {"hey-watch.me-MX", "_dmarc.hey-watch.me-TXT"}
    assert own["_dmarc.hey-watch.me-TXT"]["records"] == ["v=DMARC1; p=none"], "the provider adds the quotes"
    assert own["hey-watch.me-MX"]["ttl"] == 300 and "allowOverwrite" not in own["hey-watch.me-MX"]
