"""The host's own page as a value and as text."""

import base64
import hashlib
import re

import pytest

from agent import store
from agent.monitor import page, run
from agent.monitor.style import SCRIPT
from agent.world import Usage
from tests.agent.conditions import watchme
from tests.agent.native import release as native_release
from tests.agent.native import serving as native_serving
from tests.agent.pages import written

NOW = 1_800_000_000.0
HALF_HOUR = page.DAY / page.CELLS


def test_page_shows_each_service_with_memory_and_day():
    _, value, text = written(runs=3)
    assert value["well"] and value["region"] == "ap-northeast-1" and len(value["services"]) == 13
    ast = next(entry for entry in value["services"] if entry["service"] == "ast-api")
    assert (
        ast["memory"] == [10 * 1024**2, 2 * 1024**3] and ast["day"][-1] == 1 and ast["day"].count(-1) == page.CELLS - 1
    )
    assert "10 of 2048 MiB" in text and 'aria-label="healthy in 1 of 1 half-hours"' in text
    assert "certificate of api.hey-watch.me" in text and "90 days left" in text


def test_page_shows_met_conditions_first_and_escaped():
    def broken(world):
        world.certificates["api.hey-watch.me"] = (0.0, "<b>expired</b>")

    _, value, text = written(broken)
    assert not value["well"] and "1 alert condition met" in text
    assert "&lt;b&gt;expired&lt;/b&gt;" in text and "<b>" not in text
    assert text.index("Alerts") < text.index("Services")


def test_page_loads_nothing_and_is_stale_without_its_script():
    _, value, text = written()
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert f"<script>{SCRIPT}</script>" in text and "http" not in re.sub(r'http-equiv="[\w-]+"', "", text)
    assert f'<body class="stale" data-at="{value["at"]:.0f}" data-stale="900">' in text


def test_what_is_in_memory_is_no_disk_of_the_page_and_can_be_full_all_the_same():
    def with_a_full_run(world):
        world.files["/proc/mounts"] = (b"/dev/vda1 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n", 0o444, "root", "root")
        whole = world.disk
        world.usage = lambda path: Usage(99, 100, 1, 10, 9) if path == "/run" else whole

    _, value, text = written(with_a_full_run)
    assert [subject for name, subject, _ in value["machine"] if name == "disk"] == ["/"]
    assert "the disk of /run is 99.0 % full" in text


def test_a_host_without_public_names_has_none():
    world = native_serving(native_release("home"))
    run.run(world, False)
    assert not [path for path in world.files if path.startswith(page.PLACE)]


def test_page_is_world_readable_and_has_no_secret():
    world, _, _ = written()
    assert world.files[f"{page.PLACE}/index.html"][1:] == (0o644, "root", "root")


DAYS = {
    "not checked": ([], {}),
    "healthy now": ([(NOW, 200)], {-1: 1}),
    "one look of several was not": ([(NOW - 60, 200), (NOW - 30, 500), (NOW, 200)], {-1: 0}),
    "half an hour ago": ([(NOW - HALF_HOUR - 1, 0), (NOW, 200)], {-2: 0, -1: 1}),
    "it was not to run": ([(NOW, None)], {}),
    "yesterday": ([(NOW - page.DAY - 1, 0)], {}),
    "a day ago": ([(NOW - page.DAY + 1, 0)], {0: 0}),
}  # fmt: skip


@pytest.mark.parametrize(("looks", "cells"), DAYS.values(), ids=DAYS)
def test_day_of_samples_is_divided_into_cells(looks, cells):
    found = page.day(looks, NOW)
    assert {index: found[index] for index in cells} == cells
    assert sum(cell >= 0 for cell in found) == len(cells) and len(found) == page.CELLS


def test_a_repair_and_a_release_are_shown():
    world = watchme()
    world.active.discard("watchme-ast-api.service")
    job = {
        "job": "j1",
        "began": "2026-11-25T00:00:00Z",
        "who": "alice@laptop",
        "kind": "apply",
        "release": "a" * 64,
        "outcome": "rolled back",
    }
    store.record(world, {**job, "code": 4})
    run.run(world, True)
    text = world.files[f"{page.PLACE}/index.html"][0].decode()
    assert "<h2>Repairs</h2>" in text and "watchme-ast-api.service was started" in text
    assert (
        "2026-11-25 00:00 UTC</time></td><td>alice@laptop</td><td>apply</td><td>aaaaaaaaaaaa</td><td>rolled back"
        in text
    )
