"""CAA records, which say who issues certificates of a name: what is proposed, and where."""

import pytest
from typer.testing import CliRunner

from catalogue.rules.records import proposed_records
from infra import pointing
from infra.main import app
from tests.names.asking import at, entry, served
from tests.support import catalogue

CAA = {
    "none anywhere": ([], {}, True),
    "of the name in the zone": ([entry("api.hey-watch.me", "CAA", '0 issue "x.example"')], {}, False),
    "of the zone": ([entry("hey-watch.me", "CAA", '0 issue "x.example"')], {}, False),
    "of a name beside it": ([entry("www.hey-watch.me", "CAA", '0 issue "x.example"')], {}, True),
    "in the configuration": (
        [],
        {"records": [{"name": "hey-watch.me", "type": "CAA", "values": ['0 issue "letsencrypt.org"']}]},
        False,
    ),
    "of a CA whose word is not known": ([], {"acmeDirectory": "https://ca.example.org/dir"}, False),
}


@pytest.mark.parametrize(("there", "configuration", "is_proposed"), CAA.values(), ids=CAA)
def test_caa_record_is_proposed_where_none_says_who_issues(made, monkeypatch, there, configuration, is_proposed):
    with served(there) as server:
        monkeypatch.setattr("infra.cli.names.catalogue_of", lambda stack: at(server, **configuration))
        ran = CliRunner().invoke(app, ["dns", "show", "--stack", "prod", "--resolver", server])
    proposal = """- {name: api.hey-watch.me, type: CAA, values: ['0 issue "letsencrypt.org"']}"""
    assert (proposal in ran.output) is is_proposed, ran.output


def test_proposed_records_are_for_names_that_the_ca_issues_for():
    def change(data):
        data["sites"][0].update(cdn="cloudflare")
        data["sites"].append({"name": "www.hey-watch.me", "certificate": "wildcard", "closed": ["/"]})

    (proposed,) = proposed_records(catalogue(change))
    assert (proposed.name, proposed.values) == ("hey-watch.me", ['0 issuewild "letsencrypt.org"'])
    # None answers: nothing is known of the zone, and nothing is proposed
    assert pointing.proposals(at("127.0.0.1:1")) == []
