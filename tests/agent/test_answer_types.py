"""What the agent answers, and what it keeps of its jobs, has the fields and types of agent/documents."""

import json
from dataclasses import fields

import pytest

from agent import certificates, main, proxies, store, transaction
from agent.documents import answers, moves
from agent.documents import jobs as documents
from agent.documents.certificates import ObtainedCertificate
from agent.documents.transaction import EarlierAnswer, ExistingContainer, PathState
from agent.monitor import run
from agent.proxy import Log
from tests.agent.fake import FakeWorld
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
        ("overview", answers.Overview),
        ("drift", answers.Drift),
        ("releases", answers.Releases),
        ("contents", answers.Contents),
    ],
)
def test_an_answer_fits(host, capsys, verb, form):
    main.VERBS[verb]({})
    assert list(misfits(json.loads(capsys.readouterr().out), form)) == []


def test_the_status_has_the_keys_of_its_type_and_no_others(host, capsys):
    main.VERBS["status"]({})
    of_one_that_serves = json.loads(capsys.readouterr().out)
    assert of_one_that_serves.keys() == answers.Status.__annotations__.keys()


def test_the_status_of_a_host_without_a_release_has_the_same_keys(monkeypatch, capsys):
    monkeypatch.setattr(main, "World", FakeWorld)
    main.VERBS["status"]({})
    of_an_empty_one = json.loads(capsys.readouterr().out)
    assert of_an_empty_one["release"] is None
    assert list(misfits(of_an_empty_one, answers.Status)) == []


def test_the_overview_has_what_the_monitor_remembers(host, capsys):
    entry = {
        "outcome": "rolled back",
        "code": 4,
        "release": "a",
        "line": "",
        "kind": "apply",
        "who": "alice",
        "base": None,
    }
    store.record(host, {**entry, "job": "j", "began": "2026-11-30T00:00:00Z", "seconds": 1.5})
    run.run(host, False)
    main.VERBS["overview"]({})
    overview = json.loads(capsys.readouterr().out)
    assert list(misfits(overview, answers.Overview)) == []
    assert len(overview["hours"]) == 1 and [job["outcome"] for job in overview["jobs"]] == ["rolled back"]
    assert overview["days"] and overview["memory"]["size"] > overview["memory"]["free"] > 0


def test_the_overview_of_a_host_without_a_release_is_one(monkeypatch, capsys):
    monkeypatch.setattr(main, "World", FakeWorld)
    main.VERBS["overview"]({})
    assert list(misfits(json.loads(capsys.readouterr().out), answers.Overview)) == []


def test_the_record_of_a_switch_fits(host, monkeypatch):
    records = []
    monkeypatch.setattr(transaction, "commit", lambda world, _: records.append(world.files[transaction.TRANSACTION][0]))
    applied(host, release(longer))
    record = json.loads(records[0])
    kinds = {entry["kind"] for entry in record["before"]}
    assert {"file"} <= kinds and list(misfits(record["before"], list[PathState])) == []
    assert list(misfits(record["existing"], list[ExistingContainer])) == []
    assert list(misfits(record["answers"], list[EarlierAnswer])) == []


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


def test_record_of_obtained_certificates_fits_its_type(host):
    noted = json.loads(host.files[certificates.OBTAINED][0])
    assert noted and list(misfits(noted, dict[str, ObtainedCertificate])) == []


def test_description_of_proxy_logs_fits_its_type():
    assert list(misfits(json.loads(json.dumps(proxies.signs_of_traffic())), moves.TrafficSigns)) == []
    assert {field.name for field in fields(Log)} == set(moves.ProxyLog.__annotations__)
