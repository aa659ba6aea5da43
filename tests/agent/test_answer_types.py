"""What the agent answers, and what it keeps of its jobs, has the fields and types of agent/documents."""

import json
from dataclasses import fields

import pytest

from agent import certificates, main, proxies, store
from agent.documents import answers, moves
from agent.documents import jobs as documents
from agent.documents.certificates import ObtainedCertificate
from agent.proxy import Log
from tests.agent.releases import applied, bigger, longer, release, serving
from tests.document_types import misfits


@pytest.fixture
def host(monkeypatch):
    """One that serves a release, and rolled another one back."""
    world = serving(release(longer), release())
    world.web = lambda url: 503
    assert applied(world, release(bigger)).outcome == "rolled back"
    monkeypatch.setattr(main, "World", lambda: world)
    return world


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("status", answers.Status),
        ("drift", answers.Drift),
        ("releases", answers.Releases),
        ("contents", answers.Contents),
    ],
)
def test_an_answer_fits(host, capsys, verb, form):
    main.VERBS[verb]({})
    assert list(misfits(json.loads(capsys.readouterr().out), form)) == []


def test_an_outcome_fits(host):
    outcome = applied(host, release(bigger))
    said = json.loads(outcome.to_json()) | {"code": outcome.code}
    assert list(misfits(said, documents.Result)) == []


def test_an_entry_of_the_history_fits(host):
    entry = {
        "outcome": "applied", "code": 0, "release": "a", "line": "", "job": "j", "kind": "apply", "who": "alice",
        "base": None, "began": "2026-11-30T00:00:00Z", "seconds": 1.5,
    }  # fmt: skip
    store.record(host, entry)
    assert [list(misfits(found, documents.HistoryEntry)) for found in store.history(host)] == [[]] * len(
        store.history(host)
    )


def test_what_is_kept_of_obtained_certificates_fits(host):
    noted = json.loads(host.files[certificates.OBTAINED][0])
    assert noted and list(misfits(noted, dict[str, ObtainedCertificate])) == []


def test_what_shows_requests_fits():
    assert list(misfits(json.loads(json.dumps(proxies.signs_of_traffic())), moves.TrafficSigns)) == []
    assert {field.name for field in fields(Log)} == set(moves.ProxyLog.__annotations__)
