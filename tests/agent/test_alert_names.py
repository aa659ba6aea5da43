"""Alerts that earlier versions named otherwise: in kept releases, in what a host remembers, in files."""

import json
from pathlib import Path

import pytest

from agent import store
from agent.monitor import conditions, history, names, notices, page, run
from agent.monitor.history import Repair
from agent.monitor.look import HostFacts
from catalogue import alert_names
from catalogue.alert_texts import read_alert_texts
from catalogue.alerts import Alert
from catalogue.loading import ALERTS, read_alerts
from infra.explaining import alert_sections
from tests.agent.conditions import watchme
from tests.support import ROOT

SENT = f"{history.PLACE}/told.json"


def test_agent_and_catalogue_have_the_same_alert_names():
    assert names.ALERTS == alert_names.ALERTS and names.MEASURES == alert_names.MEASURES
    today = {alert.alert: alert for alert in read_alerts(ROOT / ALERTS)}
    assert {*names.ALERTS.values()} <= {*today} and not {*names.ALERTS} & {*today}
    measures = {alert.measure for alert in today.values() if isinstance(alert, Alert)}
    assert {*names.MEASURES.values()} <= measures and measures == {*conditions.MEASURES}


def renamed(text: str) -> str:
    """A release, or a file, as an earlier version wrote it."""
    for table in (names.ALERTS, names.MEASURES):
        for earlier, today in table.items():
            text = text.replace(f'"{today}"', f'"{earlier}"').replace(f": {today}\n", f": {earlier}\n")
    return text


def test_a_file_of_an_earlier_version_means_the_same(tmp_path: Path):
    (tmp_path / "alerts.yaml").write_text(renamed((ROOT / ALERTS).read_text()))
    assert "made-room" in (tmp_path / "alerts.yaml").read_text()
    assert read_alerts(tmp_path / "alerts.yaml") == read_alerts(ROOT / ALERTS)


def test_translation_under_the_current_name_precedes_an_earlier_one(tmp_path: Path):
    file = tmp_path / "alerts.ja.yaml"
    file.write_text("made-room: {text: 前}\nswap: {text: スワップ}\n")
    assert {name: entry.text for name, entry in read_alert_texts(file).items()} == {
        "memory-freed": "前",
        "swap": "スワップ",
    }
    file.write_text("memory-freed: {text: 今}\nmade-room: {text: 前}\n")
    assert {name: entry.text for name, entry in read_alert_texts(file).items()} == {"memory-freed": "今"}


@pytest.mark.parametrize(("earlier", "today"), names.ALERTS.items())
def test_earlier_alert_name_is_explained(earlier, today):
    (entry,) = alert_sections(ROOT / "docs", earlier)
    assert entry.names == (today,)


def watched():
    """A host that sends notices, and the list of what it sent."""
    world, sent = watchme(), []
    world.files[notices.CONFIG] = (b"webhook='https://hooks.example.com/T0/secret'\n", 0o600, "root", "root")
    own = world.fetch

    def fetch(url, headers, method="GET", body=None, timeout=20):
        if "hooks.example.com" not in url:
            return own(url, headers)
        sent.extend(json.loads(body)["lines"])
        return 200, b""

    world.fetch = fetch
    return world, sent


def test_a_host_that_updates_sends_nothing_twice():
    world, sent = watched()
    line, healthy = "ast-api is running, but unhealthy (it answered 500)", world.web
    world.web = lambda url: 500 if ":8017/" in url else 200
    run.run(world, False)
    assert sent == [line]
    text = world.files[SENT][0].decode()
    earlier = text.replace("service-unhealthy ", "service-unwell ")
    assert earlier != text
    world.files[SENT] = (earlier.encode(), 0o600, "root", "root")
    run.run(world, False)
    assert sent == [line] and [*json.loads(world.files[SENT][0])] == ["service-unhealthy ast-api"]
    world.web = healthy
    for _ in range(notices.QUIET_RUNS):
        run.run(world, False)
    assert sent == [line, f"resolved: {line}"]


def test_a_release_of_an_earlier_version_is_looked_at_by_the_names_of_today():
    world = watchme()
    today = conditions.evaluate(HostFacts(world, store.current(world)))
    release = store.current(world)
    release.manifest["alerts"] = json.loads(renamed(json.dumps(release.manifest["alerts"])))
    assert "service-unwell" in [entry["alert"] for entry in release.manifest["alerts"]]
    assert conditions.evaluate(HostFacts(world, release)) == today


def test_earlier_repair_is_shown_under_the_current_name():
    world = watchme()
    history.remember_repairs(
        world, [Repair(world.time, "container-attached", "web", "attach", True, "web was attached")]
    )
    run.run(world, False)
    html = world.files[f"{page.PLACE}/index.html"][0].decode()
    assert "<td>container-detached</td>" in html and "container-attached" not in html
