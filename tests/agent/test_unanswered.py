"""A systemd that does not answer: what it runs is not known, and nothing is taken for off."""

import pytest

from agent import rollback, store, transaction, units
from agent.outcome import Failed, Refused
from agent.plan import plan
from agent.world import NOT_STARTED, TIMED_OUT, CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.native import release, serving

OF_ICE = "runuser -u ice"
SILENCES = {
    "no end": CommandResult(TIMED_OUT, "no end after 20 s"),
    "no memory": CommandResult(NOT_STARTED, "runuser: Cannot allocate memory"),
    "no bus": CommandResult(1, "Failed to connect to bus: Connection refused"),
}


@pytest.fixture(params=SILENCES.values(), ids=SILENCES)
def silent(request):
    world = serving(release("home"))
    world.answers = {OF_ICE: request.param}
    return world


def test_release_is_refused_when_unit_states_are_unknown(silent):
    made = store.kept_release(silent, release("home").id)
    with pytest.raises(Refused, match=r"ice's systemd does not answer for ice/.*loginctl terminate-user ice"):
        plan(silent, made, made)


def test_unit_without_an_answer_is_not_reported_as_removed(silent):
    with pytest.raises(Failed, match=r"whether ice/vocoder.service, which is to be removed, still runs is unknown"):
        units.retire(silent, ["ice/vocoder.service"])


def test_rollback_reports_unknown_unit_states(silent):
    begun = transaction.Transaction(
        "j", "apply", "me", "home", "a" * 64, None, 0.0, [], {"ice/vocoder.service": {"active": True, "enabled": True}},
        [], ["ice/vocoder.service"], [],
    )  # fmt: skip
    (complaint,) = rollback._units_that_differ(silent, begun, set())
    assert complaint.startswith("ice's systemd does not answer for ice/vocoder.service")


def test_an_account_without_a_manager_runs_nothing():
    world = FakeWorld(accounts={"ice": "/home/ice"})
    world.answers = {OF_ICE: CommandResult(1, "Failed to connect to bus: No medium found")}
    off = {"active": False, "enabled": False}
    assert units.settled_states(world, ["ice/vocoder.service"]) == {"ice/vocoder.service": off}
