"""Times in the zone of who reads them, and UTC where programs do."""

import json
from datetime import UTC

import pytest

from agent import store, times
from agent.monitor import conditions, page, run
from agent.monitor.look import HostFacts, Measured
from tests.agent.conditions import watchme
from tests.agent.pages import written
from tests.zones import machine_in, no_tzdata

NEW_YORK = "America/New_York"
AT = 1795971600.0  # 2026-11-29 17:00:00 UTC
SHOWN = {
    "UTC": ("UTC", AT, "2026-11-29 17:00 UTC"),
    "the next day": ("Asia/Tokyo", AT, "2026-11-30 02:00 JST"),
    "the day before": (NEW_YORK, AT - 13 * 3600, "2026-11-28 23:00 EST"),
    "summer": (NEW_YORK, times.read("2026-07-01T12:00:00Z"), "2026-07-01 08:00 EDT"),
    "before the clocks go forward": (NEW_YORK, times.read("2026-03-08T06:59:00Z"), "2026-03-08 01:59 EST"),
    "after the clocks went forward": (NEW_YORK, times.read("2026-03-08T07:00:00Z"), "2026-03-08 03:00 EDT"),
    "before the clocks go back": (NEW_YORK, times.read("2026-11-01T05:30:00Z"), "2026-11-01 01:30 EDT"),
    "after the clocks went back": (NEW_YORK, times.read("2026-11-01T06:30:00Z"), "2026-11-01 01:30 EST"),
    "a zone without letters": ("Asia/Dubai", AT, "2026-11-29 21:00 +04"),
}


@pytest.mark.parametrize(("zone", "at", "line"), SHOWN.values(), ids=SHOWN)
def test_time_is_shown_with_its_zone(zone, at, line):
    assert times.show(at, times.zone_of(zone)) == line
    with machine_in(zone):
        assert times.show(at) == line
    # What another zone shows is the same moment
    assert times.read(times.show(at, UTC)) == at


@pytest.mark.parametrize("name", ["Asia/Tokyo", "UTC", "Nowhere/Land", "", "../etc/passwd", "/etc/localtime", "Asia"])
def test_unknown_zone_falls_back_to_utc_with_a_note(name):
    with no_tzdata():
        assert times.show(AT, times.zone_of(name)) == "2026-11-29 17:00 UTC"
    if name != "Asia/Tokyo":
        assert times.show(AT, times.zone_of(name)) == "2026-11-29 17:00 UTC"


READ = {
    "2026-11-29T17:00:00Z": AT, "2026-11-29 17:00 UTC": AT, "2026-11-29 17:00:00 UTC": AT, "2026-11-29T17:00:00": AT,
    "2026-11-29T17:00:00+00:00": AT, "2026-11-30T02:00:00+09:00": AT, "": None, "?": None, "2026-13-29T17:00:00Z": None,
    "yesterday UTC": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "at"), READ.items())
def test_time_written_in_utc_is_parsed(text, at):
    assert times.read(text) == at
    assert times.show_text(text, UTC) == (text if at is None else "2026-11-29 17:00 UTC")


@pytest.mark.parametrize("at", [1e18, -1e18, float("nan"), float("inf")])
def test_no_time_ends_in_an_error(at):
    assert times.show(at, UTC) == times.UNKNOWN


def test_times_in_a_message_use_the_readers_zone():
    tokyo = times.zone_of("Asia/Tokyo")
    text = "apply, since 2026-11-29 17:00:05 UTC, of backup 1 of 2026-11-29 17:00 UTC; on 2026-11-29"
    assert times.in_text(text, tokyo) == (
        "apply, since 2026-11-30 02:00:05 JST, of backup 1 of 2026-11-30 02:00 JST; on 2026-11-29"
    )
    assert times.in_text(text, UTC) == text
    assert times.in_text("2026-99-29 17:00 UTC", tokyo) == "2026-99-29 17:00 UTC"


def in_tokyo():
    world = watchme(config=lambda values: values.update({"infra:timezone": "Asia/Tokyo"}))
    world.time = AT
    job = {"job": "j1", "who": "alice@laptop", "kind": "apply", "release": "a" * 64, "outcome": "applied", "code": 0}
    store.record(world, {**job, "began": "2026-11-25T00:00:00Z"})
    world.active.discard("watchme-ast-api.service")
    return world


def page_of(world) -> tuple[str, dict]:
    run.run(world, True)
    (html, *_), (facts, *_) = world.files[f"{page.PLACE}/index.html"], world.files[f"{page.PLACE}/status.json"]
    return html.decode(), json.loads(facts)


def test_page_shows_the_configured_zone_and_json_utc():
    html, facts = page_of(in_tokyo())
    assert '<time datetime="2026-11-25T00:00:00Z">2026-11-25 09:00 JST</time></td><td>alice@laptop' in html
    assert '<time datetime="2026-11-29T17:0' in html and " JST</time>.</p>" in html and "UTC" not in html
    assert facts["jobs"][0]["began"] == "2026-11-25T00:00:00Z" and facts["repairs"][0][0].endswith(" UTC")


def test_a_page_on_a_host_without_tzdata_is_in_utc():
    world = in_tokyo()
    with no_tzdata():
        html, _ = page_of(world)
    assert '<time datetime="2026-11-25T00:00:00Z">2026-11-25 00:00 UTC</time>' in html and "JST" not in html


def test_a_page_without_the_key_is_in_utc():
    *_, html = written()
    assert " UTC</time>.</p>" in html


def test_invalid_time_in_the_history_is_shown_unchanged():
    world = in_tokyo()
    job = {"job": "j2", "who": "alice", "kind": "apply", "release": "a" * 64, "outcome": "applied", "code": 0}
    store.record(world, {**job, "began": "<b>soon</b>"})
    assert "<td>&lt;b&gt;soon&lt;/b&gt;</td>" in page_of(world)[0]


def test_times_in_alerts_and_notices_use_the_configured_zone(monkeypatch):
    world = in_tokyo()
    late = Measured("the clock", 1e6, ", since 2026-11-29 17:00 UTC")
    monkeypatch.setitem(conditions.MEASURES, "clock", lambda look, _: iter([late]))
    (text,) = [
        entry.text for entry in conditions.firing(HostFacts(world, store.current(world))) if entry.alert == "clock"
    ]
    assert text.endswith(", since 2026-11-30 02:00 JST")
