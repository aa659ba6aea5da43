"""Accounts as machines have them, and answers of a form that no reader of a machine gives: lines, and no faults of ours."""

import copy

import pytest

from infra.adopt.host import reading
from infra.adopt.host.forms import checked_facts
from infra.errors import InfraError
from tests.adopt import hosts

MACHINE, FILES = hosts.alone("recall", "services")


def machine(**account) -> dict:
    facts = copy.deepcopy(hosts.facts_of(MACHINE, FILES))
    facts["accounts"][0] |= account
    return facts


@pytest.mark.parametrize("home", ["/", "/home/a b", "relative"])
def test_services_of_an_account_with_an_unsupported_home_are_left_out(home):
    with pytest.raises(InfraError, match=r"runs as account 'recall' of home '.*', which the catalogue cannot name"):
        hosts.read(MACHINE, FILES, machine(home=home), "recall")


@pytest.mark.parametrize("name", ["Debian-exim", "user.name", "a" * 40])
def test_an_account_that_the_catalogue_cannot_name_is_named(name):
    facts = machine(name=name)
    for unit in facts["units"]:
        unit["text"] = unit["text"].replace("User=recall", f"User={name}")
    with pytest.raises(InfraError, match="has no service that the catalogue could describe"):
        hosts.read(MACHINE, FILES, facts, "recall")


def test_a_group_that_the_catalogue_cannot_name_is_left_out_and_named():
    found = hosts.read(MACHINE, FILES, machine(groups=["audio", "Domain Users"]), "recall")
    assert found.system.accounts[0].groups == ["audio"]
    assert any("is in Domain Users: the catalogue cannot name that group" in remark.text for remark in found.remarks)


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "x"), ("name", "a b.service"), ("name", "../x.service"), ("name", ".service"), ("name", "x.")],
)
def test_unit_without_a_name_is_refused(key, value):
    facts = machine()
    facts["units"][0][key] = value
    with pytest.raises(InfraError, match="has another form than this program knows"):
        checked_facts(facts, "web1")


@pytest.mark.parametrize("caddy", [5, "active", [1]])
def test_malformed_facts_about_caddy_are_refused(caddy):
    with pytest.raises(InfraError, match=r"\(caddy"):
        checked_facts({**machine(), "caddy": caddy}, "web1")


def test_path_without_an_answer_counts_as_missing(monkeypatch):
    reader = object.__new__(reading.Connection)
    reader.target = "web1"
    monkeypatch.setattr(
        reading.Connection, "_ask", lambda *_: {"/a": {"kind": "file", "text": "x"}, "/other": {"kind": "none"}}
    )
    found = reader.entries(["/a", "/b"], ["/c"], [])
    assert set(found) == {"/a", "/b", "/c"} and found["/b"] == found["/c"] == {"kind": "none"}
