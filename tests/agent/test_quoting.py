"""What others wrote, as a part of the agent's lines: visible, masked before it is cut, bounded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import health, quoting, units
from agent.engine import _why
from agent.job import Job
from agent.outcome import Failed, Mask, Outcome, Refused
from agent.world import CommandResult
from tests.agent.releases import applied, bigger, release, serving

TEXTS = st.text(st.characters(codec=None), max_size=200) | st.text(max_size=20).map(lambda text: text * 3000)
LIMITS = st.integers(16, 5000)


def is_one_visible_line(text: str) -> bool:
    return all(char.isprintable() for char in text)


@given(TEXTS, LIMITS)
def test_quoted_text_is_one_bounded_visible_line(text, limit):
    made = quoting.quote(text, limit, "web")
    assert is_one_visible_line(made) and quoting.size(made) <= limit
    assert quoting.quote(made, limit) == made


@given(st.lists(TEXTS, max_size=5), st.integers(300, 5000))
def test_several_texts_share_the_length(texts, limit):
    made = quoting.join(texts, " | ", limit)
    assert is_one_visible_line(made) and quoting.size(made) <= limit


@given(TEXTS, st.integers(1, 8))
def test_the_end_of_an_output_is_bounded(text, count):
    made = CommandResult(1, text).last_lines(count)
    assert is_one_visible_line(made) and quoting.size(made) <= quoting.PIECE


OUTCOMES = st.builds(
    Outcome, st.just("refused"), TEXTS, TEXTS, st.lists(TEXTS, max_size=30), st.lists(TEXTS, max_size=30),
    st.dictionaries(TEXTS, st.integers(), max_size=30), st.dictionaries(TEXTS, TEXTS, max_size=30), st.lists(TEXTS, max_size=30),
)  # fmt: skip
EVENTS = TEXTS.map(lambda text: {"say": text}) | OUTCOMES.map(
    lambda made: {"result": {**json.loads(made.to_json()), "code": 3}}
)


@given(EVENTS)
def test_events_and_lines_are_bounded(event):
    line = quoting.event_line(event)
    assert len(line) <= quoting.EVENT and "\n" not in line
    read = json.loads(line)
    text = read["say"] if "say" in read else read["result"]["line"]
    assert is_one_visible_line(text) and quoting.size(text) <= quoting.LINE
    if "result" in event:
        assert read["result"].keys() == event["result"].keys()


def test_short_result_is_unchanged():
    made = {
        "result": {
            **json.loads(Outcome("applied", "a" * 64, "line", ["/etc/a"], services={"web": 200}).to_json()),
            "code": 0,
        }
    }
    assert json.loads(quoting.event_line(made)) == made


def test_lists_of_a_result_that_are_too_long_say_how_much_is_missing():
    made = {"result": {"line": "x", "changed": [f"/srv/{number}" + "x" * 600 for number in range(200)]}}
    read = json.loads(quoting.event_line(made))["result"]
    assert read["line"] == "x" and read["changed"][-1] == "… and 136 more" and len(read["changed"]) == 65


def test_names_that_are_looked_at_from_outside_are_all_there():
    event = {"awaiting": 60, "look_at": [f"https://{number}.example/" for number in range(500)]}
    assert json.loads(quoting.event_line(event)) == event


def test_secret_is_masked_before_truncation():
    secret = "s3cret-" * 40
    with quoting.hiding(Mask([secret]).all_of):
        for limit in range(16, 400):
            assert "s3c" not in quoting.quote("x" * 100 + secret, limit)
        assert "s3c" not in CommandResult(1, "x" * 900 + secret).last_lines()
        assert "s3c" not in str(Refused("x" * (quoting.REASON - 10) + secret))


def test_a_secret_of_several_lines_is_masked_before_lines_are_chosen():
    with quoting.hiding(Mask(["first half\nsecond half"]).all_of):
        assert CommandResult(1, "a\nfirst half\nsecond half\n").last_lines() == "a | [secret]"


def test_quoted_text_has_no_control_characters():
    assert quoting.quote("\x1b[31mred\x1b[0m\r\n\tnext\x07\u202e\u2028x") == "red next\\x07\\u202e x"
    assert quoting.quote("word " * 500, 60, "web").endswith("… (cut; the whole: infra logs web)")


NOISE = "\x1b[31m" + "語" * 4000 + "\x00\r\n"
# Each place where foreign text comes into a reason: what the host says there → the reason
PLACES = {
    "systemd": lambda w: units.must(w, "systemctl", "daemon-reload"),
    "a unit that does not start": lambda w: units.start(w, ["watchme-avatar-uploader.service"]),
    "an unhealthy service": lambda w: health.wait(w, [PROBE], {}, health.Patience(0)),
    "many unhealthy services": lambda w: health.wait(
        w, [{**PROBE, "service": f"s{number}"} for number in range(40)], {}, health.Patience(0)
    ),
    "one that was healthy": lambda w: health.confirm(w, [PROBE], 0.0),
    "Docker's socket": lambda w: (_ for _ in ()).throw(Failed(_why(json.dumps({"message": NOISE}).encode()))),
    "an unexpected error": lambda w: (_ for _ in ()).throw(Failed(quoting.error(OSError(NOISE)))),
}
PROBE = {"service": "web", "unit": "web.service", "url": "http://127.0.0.1:1/", "public": None}


@pytest.mark.parametrize("place", PLACES)
def test_every_reason_is_bounded_and_visible(place):
    world = serving(release())
    world.web = lambda url: 500
    world.answers = {
        "systemctl daemon-reload": CommandResult(1, NOISE),
        "systemctl restart": CommandResult(1, NOISE),
        "journalctl": CommandResult(0, NOISE * 5),
    }
    with pytest.raises((Failed, Refused)) as caught:
        PLACES[place](world)
    reason = str(caught.value)
    assert is_one_visible_line(reason) and quoting.size(reason) <= quoting.REASON


def test_all_unhealthy_services_are_named():
    world = serving(release())
    world.web, world.answers = lambda url: 500, {"journalctl": CommandResult(0, NOISE * 5)}
    probes = [{**PROBE, "service": f"service-{number}"} for number in range(15)]
    with pytest.raises(Failed) as caught:
        health.wait(world, probes, {}, health.Patience(0))
    assert all(f"{probe['service']} answered 500" in str(caught.value) for probe in probes)
    assert "the whole: infra logs service-3" in str(caught.value)


SAYING = {
    "proxy": "unshare", "systemd": "systemd-analyze verify", "compose": "/usr/bin/docker-compose -f", "certbot": "certbot",
    "pull": "docker --config", "docker": "docker info", "start": "systemctl restart", "reload": "systemctl try-reload",
    "useradd": "useradd", "systemd-run": "systemd-run",
}  # fmt: skip


@pytest.mark.parametrize("program", SAYING)
def test_outcome_with_output_of_a_program_is_one_bounded_line(program):
    world = serving(release())
    world.answers = {SAYING[program]: CommandResult(1, NOISE * 5), "journalctl": CommandResult(0, NOISE * 5)}
    world.files.pop("/etc/letsencrypt/live/api.hey-watch.me/fullchain.pem", None)
    lines: list[str] = []
    job = Job("j2", "apply", "a", "watchme", say=lines.append)
    outcome = applied(world, release(bigger, version=2), job=job)
    for line in [outcome.line, *lines]:
        assert is_one_visible_line(line) and quoting.size(line) <= quoting.LINE


def test_failed_rollback_reports_both_reasons_and_the_remedy():
    world = serving(release())
    job = Job("j2", "apply", "a", "watchme")
    world.web = lambda url: 500 if world.commands("systemctl restart") and ":8014" in url else 200
    world.answers = {"journalctl": CommandResult(0, NOISE * 5)}
    outcome = applied(world, release(bigger), job=job)
    assert outcome.outcome == "rollback failed" and quoting.size(outcome.line) <= quoting.LINE
    assert "avatar-uploader answered 500" in outcome.line and outcome.line.endswith("run pulumi up again")
