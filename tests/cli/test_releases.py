"""What hosts report, made readable."""

import pytest
from rich.console import Console

from infra import releases
from tests.cli.answers import JOB, STATUS

BAD = {**JOB, "release": "b" * 64, "code": 4, "outcome": "rolled back", "line": "rolled back on web1: web answered 500"}


def shown(table) -> str:
    console = Console(width=200, record=True)
    console.print(table)
    return console.export_text()


def test_history_shows_author_time_changes_and_outcome():
    answer = {"current": "a" * 64, "kept": ["a" * 64, "c" * 64], "history": [{**JOB, "release": "c" * 64}, JOB, BAD]}
    text = shown(releases.history("web1", answer))
    assert "aaaaaaaaaaaa serves" in text and "cccccccccccc kept" in text and "2026-11-21 10:00:00" in text
    assert "alice@laptop" in text and "rolled back: web answered 500" in text


def test_healthy_host_is_in_order():
    lines, orderly = releases.state("prod", "web1", STATUS, "a" * 64)
    assert orderly and lines == [
        "web1: serves aaaaaaaaaaaa, deployed 2026-11-21 10:00 UTC by alice@laptop",
        "  services: 1 of 1 healthy",
    ]


def test_a_host_that_followed_its_tag_is_in_order():
    took = {"brought": {**JOB, "kind": "watch", "who": "watch main"}, "follows": {"web": "main"}}
    lines, orderly = releases.state("prod", "web1", {**STATUS, **took}, "b" * 64)
    assert orderly and "  web follows tag main" in lines
    assert "ahead of the stack, which has bbbbbbbbbbbb: it follows a tag" in lines[1]


OUT_OF_ORDER = {
    "behind": ({"brought": {**JOB, "kind": "rollback"}}, "b" * 64, "behind the stack, which has bbbbbbbbbbbb"),
    "ahead": (
        {},
        "b" * 64,
        "ahead of the stack, which has bbbbbbbbbbbb: an update deployed it here and failed elsewhere",
    ),
    "unhealthy": ({"services": {"web": 0}}, "a" * 64, "unhealthy: web (no answer)"),
    "stopped": ({"units": {"web.service": False}}, "a" * 64, "not running: web.service"),
    "interrupted": (
        {"unfinished": {"release": "b" * 64}},
        "a" * 64,
        "interrupted: release bbbbbbbbbbbb is neither committed nor rolled back",
    ),
    "nothing": ({"release": None}, None, "web1: no release yet"),
}


def test_each_fault_of_a_host_is_reported():
    for change, wanted, line in OUT_OF_ORDER.values():
        lines, orderly = releases.state("prod", "web1", {**STATUS, **change}, wanted)
        assert not orderly and line in "\n".join(lines)


def test_a_failed_last_job_and_the_holder_are_shown():
    lines, _ = releases.state("prod", "web1", {**STATUS, "last_job": BAD, "holder": "apply by bob"}, "a" * 64)
    said = "  the last job failed (2026-11-21 10:00:00 UTC): rolled back on web1: web answered 500"
    assert said in lines and "  running: apply by bob" in lines


def test_drift():
    found = [
        {"path": "/etc/x", "found": "was edited", "diff": "-a\n+b"},
        {"path": "y.service", "found": "is not active"},
    ]
    assert releases.drift("web1", {"release": "a", "drift": found}) == (
        "web1: /etc/x was edited\n  -a\n  +b\nweb1: y.service is not active"
    )
    forged = [{"path": "/etc/x", "found": "was edited", "diff": "-a\nweb2: unchanged since release aaaaaaaaaaaa\n\n+b"}]
    lines = releases.drift("web1", {"release": "a", "drift": forged}).split("\n")
    assert lines[0].startswith("web1: ") and all(line.startswith("  ") for line in lines[1:])
    assert releases.drift("web1", {"release": "a" * 64, "drift": []}) == "web1: unchanged since release aaaaaaaaaaaa"


def test_certificates_and_alerts_are_shown_and_an_alert_is_not_in_order():
    condition = {"alert": "unit-down", "subject": "web", "text": "web is not running"}
    answer = {**STATUS, "certificates": [["a.example.com", 89, ""], ["b.example.com", 0, "certificate has expired"]]}
    lines, orderly = releases.state("prod", "web1", {**answer, "alerts": [condition]}, "a" * 64)
    assert "  certificate of a.example.com: 89 days left" in lines
    assert "  certificate of b.example.com: certificate has expired" in lines
    assert "  alert unit-down: web is not running" in lines and not orderly


@pytest.mark.parametrize(
    ("seconds", "said", "in_time"),
    [(9.9, "9.9 s (target < 10 s", True), (10.0, "10.0 s (too late, target < 10 s", False), (None, "not reached yet (too late, ", False)],
)  # fmt: skip
def test_boot_times(seconds, said, in_time):
    entry = {"name": "USB Gadget Ready", "unit": "gadget.service", "within": 10, "seconds": seconds}
    lines, fine = releases.boot_times("home", {"milestones": [entry]})
    assert lines[0].startswith(f"home: USB Gadget Ready: {said}") and fine is in_time


HOSTILE = {
    "markup that closes nothing": "nginx: [/etc/nginx] test failed",
    "markup": "nginx: [emerg] host not found",
    "a bot": "[bold]dependabot[bot]",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_brackets_of_a_host_are_text(text):
    job = {**BAD, "line": f"refused on web1: {text}", "who": "dependabot[bot]@ci"}
    said = shown(releases.history("web1", {"current": "a" * 64, "kept": [], "history": [job]}))
    assert text in said and "dependabot[bot]@ci" in said
