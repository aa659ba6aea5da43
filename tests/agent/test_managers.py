"""Managers that hang, and starts that take long: nothing waits for longer than it has to."""

import pytest

from agent import units
from agent.managers import ANSWER
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.native import release, serving
from tests.agent.releases import applied
from tests.support import service

OF_ICE = "runuser -u ice -- env systemctl --user"
SILENT = CommandResult(124, "\nno end after 20 s")


def louder(data):
    service(data, "vocoder")["drop_ins"]["override"]["Service"]["Environment"] = "DEBUG=2"


def test_hanging_user_manager_is_refused_with_the_remedy():
    world = serving(release("home"))
    before = (dict(world.files), set(world.active))
    world.answers = {OF_ICE: SILENT}
    outcome = applied(world, release("home", "vocoder", louder))
    assert outcome.outcome == "refused"
    assert f"the user manager of account ice (systemd --user) did not answer within {ANSWER:.0f} s" in outcome.line
    assert "systemctl restart user@1003" in outcome.line
    assert (world.files, world.active) == before


def test_hanging_manager_is_asked_once_for_all_units():
    world = serving(release("home"))
    world.ran.clear()
    world.answers = {OF_ICE: SILENT}
    names = ["ice/vocoder.service", "ice/vocoder@production.service", "gpu-upsampler.service"]
    assert units.active(world, names) == dict.fromkeys(names, False) | {"gpu-upsampler.service": True}
    assert len([command for command in world.ran if command.startswith(OF_ICE)]) == 1


class Timed(FakeWorld):
    """Keeps how long each command may take."""

    def run(self, *argv, timeout=300, environment=None, stdin=""):
        self.limits = [*getattr(self, "limits", []), (argv[:2], timeout)]
        return super().run(*argv, timeout=timeout, environment=environment, stdin=stdin)


@pytest.mark.parametrize(("number", "deadline", "limit"), [(1, 60, 305), (1, 900, 905), (200, 60, 1300)])
def test_start_timeout_follows_the_health_deadline(number, deadline, limit):
    world = Timed()
    units.start(world, [f"web{index}.service" for index in range(number)], deadline)
    assert (("systemctl", "restart"), limit) in world.limits


def test_starts_use_the_health_deadline_of_the_release():
    world = Timed(active=set(), enabled=set(), accounts={"ice": "/home/ice"}, there=set(serving().there))
    made = release("home", config=lambda config: config.update({"infra:healthDeadline": 900}))
    assert applied(world, made).outcome == "applied"
    assert max(limit for words, limit in world.limits if words == ("systemctl", "restart")) >= 900
