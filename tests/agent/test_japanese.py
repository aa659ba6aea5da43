"""The page and the notices of a host whose owners read Japanese."""

import html
import json
import re

import pytest

from agent import pressure, store
from agent.monitor import history, page, run
from agent.monitor.notices import CONFIG, due
from agent.wording import speaker
from agent.world import CommandResult
from tests.agent.conditions import NETWORK, moved, watchme

# Units of measurement, and what the release and the host have names for
NAMES = {"UTC", "MiB", "IP", "alice", "laptop"}
WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")
JOB = {"job": "j1", "began": "2026-11-25T00:00:00Z", "who": "alice@laptop", "release": "a" * 64, "code": 4}


def in_japanese():
    return watchme(config=lambda values: values.update({"infra:language": "ja"}))


def spoilt(world):
    """Much is wrong at once: with units, containers, networks, the machine, a certificate."""
    moved(world)
    world.active.discard("watchme-ast-api.service")
    world.certificates["api.hey-watch.me"] = (0.0, "")
    del world.docker.containers["watchme-vault-api"][NETWORK]
    for kind, outcome in (("apply", "rolled back"), ("rollback", "applied"), ("restart", "refused")):
        store.record(world, {**JOB, "kind": kind, "outcome": outcome})
    history.remember_repairs(
        world, [history.Repair(world.time, "disk", "/", "prune", False, "不要なイメージを削除しました")]
    )
    return world


def shown(world, fix: bool = False) -> str:
    run.run(world, fix)
    return world.files[f"{page.PLACE}/index.html"][0].decode()


def english_in(text: str, world) -> list[str]:
    """What people see of a page in English, without names: those of the release and of alerts."""
    body = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    said = [*re.findall(r'(?:title|aria-label|data-old)="([^"]*)"', body), re.sub(r"<[^>]*>", " ", body)]
    manifest = store.current(world).manifest
    known = json.dumps([manifest["units"], manifest["containers"], manifest["names"], manifest["networks"], manifest["host"],
                        manifest["region"], [entry["service"] for entry in manifest["probes"]],
                        [entry["alert"] for entry in manifest["alerts"]]])  # fmt: skip
    words = [word for part in said for word in WORD.findall(html.unescape(part).replace("{minutes}", ""))]
    return sorted(
        {word for word in words if word not in NAMES and word not in known and not re.fullmatch(r"[0-9a-f]+", word)}
    )


def test_nothing_on_the_page_is_english_but_names():
    world = in_japanese()
    healthy = shown(world)
    assert '<html lang="ja">' in healthy and ">異常なし</span>" in healthy and english_in(healthy, world) == []
    broken = shown(spoilt(world))
    assert re.search(r"<title>watchme：異常\d件</title>", broken) and english_in(broken, world) == []
    for text in (
        "<h2>異常</h2>",
        "watchme-ast-api.serviceが停止しています",
        "<td>ロールバック</td>",
        "ロールバック済み",
        "拒否（変更なし）",
    ):
        assert text in broken, text
    assert "このページは{minutes}分前から更新されていません。" in broken


def test_an_english_page_has_no_other_language():
    text = shown(spoilt(watchme()))
    assert '<html lang="en">' in text and not re.search(
        "[\u3040-\u30ff]", text.replace("不要なイメージを削除しました", "")
    )
    assert "This page was written {minutes} minutes ago: the monitor of this host is not running" in text


def test_notices_are_in_japanese():
    world, sent = in_japanese(), []
    world.files[CONFIG] = (b"webhook='https://hooks.example.com/T0/secret'\n", 0o600, "root", "root")
    own = world.fetch

    def fetch(url, headers, method="GET", body=None, timeout=20):
        if "hooks.example.com" not in url:
            return own(url, headers)
        sent.append(json.loads(body)["text"])
        return 200, b""

    world.fetch = fetch
    world.active.discard("watchme-ast-api.service")
    run.run(world, True)
    assert sent == ["watchme：自動修復：watchme-ast-api.serviceを起動しました"]
    moved(world)
    run.run(world, False)
    assert sent[1].startswith(
        "watchme：コンテナast-apiが定義どおりにネットワークに接続されていません：watchme-networkでの"
    )


LINES = {
    "begins": ({}, {"x": "停止"}, "停止"),
    "goes on": ({"x": {"told": -90000.0, "text": "停止", "quiet": 0}}, {"x": "停止"}, "継続中：停止"),
    "ends": ({"x": {"told": 0.0, "text": "停止", "quiet": 1}}, {}, "解消：停止"),
}


@pytest.mark.parametrize(("state", "met", "line"), LINES.values(), ids=LINES)
def test_notices_of_beginning_and_ending_conditions_are_in_japanese(state, met, line):
    assert due(state, met, [], 0.0, speaker("ja")).lines == [line]


def test_failed_repair_is_reported_in_japanese():
    world = in_japanese()
    world.active.discard("watchme-ast-api.service")
    world.answers["systemctl start"] = CommandResult(0, "")
    text = shown(world, fix=True)
    (made, *_) = history.repairs(world)
    assert made.worked or "しかし解消していません：" in made.said
    assert english_in(text, world) == []


def test_freed_memory_is_reported_in_japanese():
    world = in_japanese()
    service = {"service": "ast-api", "unit": "watchme-ast-api.service", "container": "", "needs": 1}
    watch = pressure.Watch(world, [service], [].append)
    world.files["/proc/meminfo"] = (b"MemTotal: 8000000 kB\nMemAvailable: 1000 kB\n", 0o444, "root", "root")
    watch.look()
    world.files["/proc/meminfo"] = (b"MemTotal: 8000000 kB\nMemAvailable: 7000000 kB\n", 0o444, "root", "root")
    watch.going = None
    watch.look()
    world.clock += 2000
    watch.look()
    text = shown(world)
    assert "ast-apiを停止しました（空きメモリ0／7812 MiB）" in text
    assert "ast-apiを再開しました（空きメモリ6835／7812 MiB）" in text and english_in(text, world) == []


def test_release_without_a_language_is_reported_in_english():
    world = watchme()
    assert "language" not in json.loads(world.files[f"{store.RELEASES}/{store.current_id(world)}/manifest.json"][0])
    assert store.current(world).manifest["language"] == "en"
