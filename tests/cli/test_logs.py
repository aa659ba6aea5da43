"""`infra logs`: which hosts are asked, and how what they say becomes one stream."""

import itertools

import pytest
from typer.testing import CliRunner

from infra import logs
from infra.errors import InfraError
from infra.main import app
from infra.ssh import Target
from tests.support import whole

TARGETS = {
    name: Target(name, "192.0.2.1", 22, "u", "k", "p") for name in ("watchme", "services", "watchme@ap-southeast-2")
}


def event(at: float, line: str) -> dict:
    return {"at": at, "from": "ast-api", "line": line}


@pytest.fixture
def saying(monkeypatch):
    """What each host says; an InfraError where it cannot be asked."""
    said: dict[str, list] = {}

    def stream(target, verb, payload):
        # A service may have lines of its own
        for entry in said.get(f"{target.host} {payload['service']}", said.get(target.host, [])):
            if isinstance(entry, Exception):
                raise entry
            yield entry

    monkeypatch.setattr(
        logs.hosts, "targets", lambda stack, host: {n: t for n, t in TARGETS.items() if host in (None, n)}
    )
    monkeypatch.setattr(logs.remote, "stream", stream)
    return said


def test_the_lines_of_all_hosts_come_in_the_order_of_their_time(saying):
    saying["watchme"] = [event(10, "first"), event(30, "third")]
    saying["watchme@ap-southeast-2"] = [event(20, "second")]
    assert list(logs.lines(whole(), ["ast-api"], None, logs.Selection())) == [
        "1970-01-01 00:00:10 UTC watchme ast-api: first",
        "1970-01-01 00:00:20 UTC watchme@ap-southeast-2 ast-api: second",
        "1970-01-01 00:00:30 UTC watchme ast-api: third",
    ]


def test_lines_of_a_single_host_have_no_host_name(saying):
    saying["watchme"] = [event(10, "first")]
    assert list(logs.lines(whole(), ["ast-api"], "watchme", logs.Selection(follow=True))) == [
        "1970-01-01 00:00:10 UTC ast-api: first"
    ]


@pytest.mark.parametrize("follow", [True, False])
def test_silent_host_is_reported_after_the_lines_of_others(saying, follow):
    saying["watchme"] = [event(10, "first")]
    saying["watchme@ap-southeast-2"] = [InfraError("watchme@ap-southeast-2 does not answer")]
    found = logs.lines(whole(), ["ast-api"], None, logs.Selection(follow=follow))
    assert next(found).endswith("first")
    with pytest.raises(InfraError, match="does not answer"):
        next(found)


def test_host_that_exceeds_the_requested_lines_is_cut_off(saying):
    saying["watchme"] = (event(number, "on and on") for number in itertools.count())
    saying["watchme@ap-southeast-2"] = [event(1.5, "other")]
    found = logs.lines(whole(), ["ast-api"], None, logs.Selection(count=2))
    assert [next(found).rsplit(": ", 1)[1] for _ in range(3)] == ["on and on", "on and on", "other"]
    with pytest.raises(InfraError, match="watchme sent more of ast-api than the 2 lines requested"):
        next(found)


def test_unexpected_error_ends_the_logs(saying):
    saying["watchme"] = [ValueError("not foreseen")]
    with pytest.raises(ValueError, match="not foreseen"):
        list(logs.lines(whole(), ["ast-api"], "watchme", logs.Selection(follow=True)))


MISTAKES = {
    "no such service": ((["asr-api"], None), "stack lab runs no asr-api; there is admin, api-manager, ast-api"),
    "none": (([], None), "stack lab has logs of admin, api-manager, ast-api"),
    "a proxy without sites": ((["nginx"], "home"), "home runs no nginx; watchme, services does"),
    "not on that host": ((["ast-api"], "services"), "services runs no ast-api; watchme does"),
}


@pytest.mark.parametrize(("asked", "said"), MISTAKES.values(), ids=MISTAKES)
def test_unknown_service_or_host_is_refused_with_the_known_ones(saying, asked, said):
    with pytest.raises(InfraError, match=said):
        list(logs.lines(whole(), *asked, logs.Selection()))


def test_lines_of_several_services_are_merged(saying):
    saying["watchme ast-api"] = [event(10, "first"), event(30, "third")]
    saying["watchme web"] = [event(20, "second")]
    assert [line.rsplit(" ", 1)[1] for line in logs.lines(whole(), ["ast-api", "web"], "watchme", logs.Selection())] == [
        "first", "second", "third",
    ]  # fmt: skip
    found = logs.services_of(whole(), ["whisper", "ast-api", "nginx"])
    assert found["services"] == ["whisper-backend", "nginx"] and found["watchme"] == ["ast-api", "nginx"]
    assert len(logs.services_of(whole(), ["watchme"])["watchme"]) == 13


def test_invalid_pattern_is_refused_before_hosts_are_asked(saying):
    with pytest.raises(InfraError, match=r"--grep \(: .*a regular expression of Python's"):
        list(logs.lines(whole(), ["ast-api"], None, logs.Selection(grep="(")))


def test_options_of_logs_are_sent_to_the_host(saying, monkeypatch):
    asked = []
    monkeypatch.setattr(logs.remote, "stream", lambda target, verb, payload: asked.append(payload) or iter(()))
    list(logs.lines(whole(), ["ast-api"], "watchme", logs.Selection(9, False, 60.0, "error|oops")))
    assert asked == [{"service": "ast-api", "lines": 9, "follow": False, "since": 60.0, "grep": "error|oops"}]


def test_each_source_keeps_its_colour_and_lines_have_none():
    event = {"at": 1764547200.0, "from": "web", "line": "red"}
    line = logs.format_line("box", event, True, logs.in_its_colour)
    assert line == logs.format_line("box", event, True, logs.in_its_colour)
    assert "\x1b[" in line and line.endswith("\x1b[0m: red") and "box web" in line
    assert len({logs.in_its_colour(f"service-{number}")[:5] for number in range(50)}) > 3


@pytest.mark.parametrize("is_coloured", [True, False])
def test_colours_are_for_terminals_alone(monkeypatch, is_coloured):
    monkeypatch.setattr("infra.cli.hosts.catalogue_of", lambda stack: None)
    monkeypatch.setattr(logs, "lines", lambda *words: iter([words[-1]("web")]))
    runner = CliRunner()
    shown = runner.invoke(app, ["logs", "web", "--stack", "prod"], color=is_coloured).output
    assert ("\x1b[" in shown) is is_coloured and "web" in shown
    assert (
        "\x1b[" not in runner.invoke(app, ["logs", "web", "--stack", "prod"], color=True, env={"NO_COLOR": "1"}).output
    )
