"""Who gets which notice, and how often."""

import json

import pytest

from agent.monitor import run
from agent.monitor.history import Repair
from agent.monitor.notices import AGAIN, CONFIG, TRIES, due
from agent.world import World
from tests.agent.conditions import watchme

DOWN = {"unit-down x.service": "x.service is not running"}
REPAIR = Repair(1.0, "unit-down", "x.service", "start", True, "x.service was started")


def after(*looks: dict[str, str], step: float = 300.0) -> list[list[str]]:
    """What is sent after each of these looks."""
    state, sent = {}, []
    for number, met in enumerate(looks):
        notices = due(state, met, [], number * step)
        state = notices.state
        sent.append(notices.lines)
    return sent


LOOKS = {
    "once, whatever comes after": (after(DOWN, DOWN, DOWN), [["x.service is not running"], [], []]),
    "its end, when it has been away for two": (after(DOWN, {}, {}, {}), [["x.service is not running"], [], ["resolved: x.service is not running"], []]),
    "what comes and goes is one thing": (after(DOWN, {}, DOWN, {}, DOWN), [["x.service is not running"], [], [], [], []]),
    "a day later once more": (after(DOWN, DOWN, step=AGAIN), [["x.service is not running"], ["still: x.service is not running"]]),
    "nothing of nothing": (after({}, {}), [[], []]),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "wanted"), LOOKS.values(), ids=LOOKS)
def test_notices_are_sent_when_conditions_change(sent, wanted):
    assert sent == wanted


def test_a_repair_that_worked_is_reported():
    assert due({}, {}, [REPAIR], 0.0).lines == ["repaired: x.service was started"]


@pytest.fixture
def listening():
    """A host whose owner wants notices, and what was sent; `status` is how the webhook answers."""
    world = watchme()
    world.files[CONFIG] = (b"webhook='https://hooks.example.com/T0/secret'\n", 0o600, "root", "root")
    world.sent, world.status, own = [], 200, world.fetch

    def fetch(url, headers, method="GET", body=None, timeout=20):
        if "hooks.example.com" not in url:
            return own(url, headers)
        world.sent.append(json.loads(body))
        return world.status, b""

    world.fetch = fetch
    return world


def test_notice_goes_to_the_webhook_once(listening):
    listening.active.discard("watchme-ast-api.service")
    for _ in range(3):
        run.run(listening, False)
    (said,) = listening.sent
    assert said["text"] == "watchme: watchme-ast-api.service is not running" and said["host"] == "watchme"


def test_failed_notice_is_sent_later_and_reported(listening):
    listening.active.discard("watchme-ast-api.service")
    listening.status = 503
    ended = run.run(listening, False)
    assert len(listening.sent) == TRIES
    assert ended["left"] == ["1 notice could not be sent: the webhook answered 503; a later run sends them"]
    listening.status = 204
    assert run.run(listening, False)["left"] == []
    assert listening.sent[-1]["lines"] == ["watchme-ast-api.service is not running"]
    run.run(listening, False)
    assert len(listening.sent) == TRIES + 1


def test_repaired_condition_is_reported_only_as_a_repair(listening):
    listening.active.discard("watchme-ast-api.service")
    run.run(listening, True)
    assert [said["lines"] for said in listening.sent] == [["repaired: watchme-ast-api.service was started"]]


def test_the_address_is_a_secret(listening):
    listening.status = 500
    listening.active.discard("watchme-ast-api.service")
    assert "hooks.example.com" not in json.dumps(run.run(listening, False))


def test_invalid_webhook_is_not_quoted():
    assert World().fetch("hooks.example.com/T0/secret", {}) == (0, b"")


def test_no_notice_is_sent_without_a_webhook():
    world = watchme()
    world.active.discard("watchme-ast-api.service")
    assert run.run(world, False)["left"] == [] and not [path for path in world.files if path.endswith("told.json")]
