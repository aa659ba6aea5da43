"""What the agent answers, and what it keeps of its jobs, has the fields and types of agent/documents."""

import json

import pytest

from agent import main, store
from agent.documents import answers
from agent.documents import jobs as documents
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
