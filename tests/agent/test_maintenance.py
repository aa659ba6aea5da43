"""Sites in maintenance: what stands for one on the host, how it ends, and what a release does meanwhile."""

import json

import pytest

from agent import maintenance
from agent.outcome import Refused
from agent.world import CommandResult
from infra.answers import check_answer
from infra.releases import drift, until
from tests.agent.native import release, serving

NAME = "example.com"
FILE = f"{maintenance.PLACE}/{NAME}"
URLS = [f"https://{NAME}/readyz", "https://whisper.hey-watch.me/health"]


@pytest.fixture
def world():
    return serving(release("services", "recall"))


def asked(world, begin=True, sites=(NAME,), seconds=60):
    return maintenance.handle(world, {"sites": [*sites], "begin": begin, "seconds": seconds, "who": "kaya@laptop"})


def test_maintenance_begins_with_the_timer_that_ends_it(world):
    now = int(world.wall())
    found = asked(world)
    assert check_answer("maintenance", found, "box") == found
    assert found == {"maintenance": {NAME: {"since": now, "until": now + 60, "who": "kaya@laptop"}}}
    assert world.files[FILE][1] == 0o644
    timers = [command for command in world.ran if command.startswith("systemd-run")]
    # A proxy says by the time of the file's last change when it ends
    assert f"touch --date @{now + 60} {FILE}" in world.ran
    assert len(timers) == 1 and "--on-active=60" in timers[0] and timers[0].endswith(f"rm -f {FILE}")


def test_maintenance_is_refused_without_its_timer(world):
    world.answers["systemd-run"] = CommandResult(1, "no such unit type")
    with pytest.raises(
        Refused, match=r"the end of the maintenance of example.com cannot be scheduled: systemd-run: no such unit type"
    ):
        asked(world)
    assert FILE not in world.files


def test_second_maintenance_extends_the_first(world):
    began = asked(world)["maintenance"][NAME]["since"]
    world.sleep(30)
    found = asked(world, seconds=100)["maintenance"][NAME]
    assert (found["since"], found["until"]) == (began, int(world.wall()) + 100)
    # The timer of the first is stopped, and would not end the second
    assert world.ran[-1] == "systemctl stop infra-maintenance-example.com-1.timer"
    timers = [command for command in world.ran if command.startswith("systemd-run")]
    assert [f"grep -qs infra-maintenance-example.com-{number} {FILE}" in timers[number - 1] for number in (1, 2)] == [
        True
    ] * 2


def test_failed_second_maintenance_leaves_the_first_unchanged(world):
    first = asked(world)
    world.answers["systemd-run"] = CommandResult(1, "no")
    with pytest.raises(Refused, match=r"the present maintenance ends as planned"):
        asked(world, seconds=100)
    assert {"maintenance": maintenance.sites(world)} == first
    assert not [command for command in world.ran if command.startswith("systemctl stop infra-maintenance")]


def test_maintenance_that_expires_before_its_file_exists_ends(world, monkeypatch):
    """Its timer looked before the file was there."""
    start = world.wall()
    times = iter([start, start + 2])
    monkeypatch.setattr(world, "wall", lambda: next(times, start + 2))
    assert asked(world, seconds=1) == {"maintenance": {}}


def test_maintenance_ends_on_request(world):
    asked(world)
    assert asked(world, begin=False) == {"maintenance": {}}
    assert FILE not in world.files and asked(world, begin=False) == {"maintenance": {}}


def test_a_site_that_is_not_here_is_refused(world):
    with pytest.raises(
        Refused, match=r"this host serves no site other.example; its sites: whisper.hey-watch.me, example.com"
    ):
        asked(world, sites=[NAME, "other.example"])
    assert maintenance.sites(world) == {}


def test_maintenance_is_limited_to_a_week(world):
    found = asked(world, seconds=10**9)["maintenance"][NAME]
    assert found["until"] - found["since"] == maintenance.LONGEST


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"{",
        b'{"since": "x", "until": null, "who": 5}',
        b"\xff",
        b'{"since": 1e999}',
        b'{"until": NaN}',
        b"[" * 100000,
        b'{"until": 99999999999999999999}',
    ],
)
def test_handmade_maintenance_file_counts(world, content):
    """The proxy asks whether the file is there, and for nothing else."""
    world.files[FILE] = (content, 0o644, "root", "root")
    said = maintenance.sites(world)[NAME]
    assert (said["since"], said["until"]) == (0, 0)
    check_answer("maintenance", {"maintenance": {NAME: said}}, "box")


def test_sites_in_maintenance_are_not_checked_from_outside(world):
    assert maintenance.serving_urls(world, URLS) == URLS
    asked(world)
    assert maintenance.serving_urls(world, URLS) == URLS[1:]


def test_maintenance_is_shown_in_status_and_alerts(world):
    said = {"since": 1_764_430_000, "until": 1_764_433_600, "who": "kaya@laptop"}
    line = until(said)
    assert line.startswith("is in maintenance until 2025-11-29 16:26 UTC, since 2025-11-29 15:26 UTC by kaya@laptop")
    answer = {"release": "a" * 64, "drift": [], "maintenance": {NAME: said}}
    assert drift("box", check_answer("drift", answer, "box")).endswith(f"box: {NAME} {line}")
    assert json.dumps(answer)
