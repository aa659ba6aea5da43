"""Images that come after a while: a registry that throttles, or does not know a new role's rights yet."""

import itertools

import pytest

from agent.images import PAUSES, MissingImages, pull
from agent.outcome import Refused
from agent.world import CommandResult
from tests.agent.fake import FakeWorld

IMAGE = "1.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-web@sha256:" + "a" * 64


def pulling(complaint: str, times: int) -> tuple[FakeWorld, list[float]]:
    """A host whose registry complains so often, and when it was asked."""
    world, asked = FakeWorld(), []
    run = world.run

    def watched(*argv, **options):
        if "pull" not in argv:
            return run(*argv, **options)
        asked.append(world.clock)
        return CommandResult(1, complaint) if len(asked) <= times else CommandResult(0, "")

    world.run = watched
    return world, asked


@pytest.mark.parametrize(
    "complaint",
    [
        "toomanyrequests: Rate exceeded",
        "error pulling image: net/http: TLS handshake timeout",
        "received unexpected HTTP status: 503 Service Unavailable",
        "AccessDeniedException: not authorized to perform: ecr:GetAuthorizationToken",
        "no basic auth credentials",
    ],
)
def test_what_may_pass_is_pulled_again_with_growing_pauses(complaint):
    world, asked = pulling(complaint, times=4)
    pull(world, MissingImages([IMAGE], {}, {}), lambda line: None)
    assert [after - before for before, after in itertools.pairwise(asked)] == [0, *PAUSES]


def test_what_stays_is_reported_in_its_own_words():
    world, asked = pulling("toomanyrequests: Rate exceeded", times=100)
    with pytest.raises(Refused, match=r"1 image\(s\) cannot be pulled, .*: toomanyrequests: Rate exceeded"):
        pull(world, MissingImages([IMAGE], {}, {}), lambda line: None)
    assert len(asked) == 2 + len(PAUSES)


def test_an_image_that_is_not_there_is_waited_for_by_no_one():
    world, asked = pulling("manifest unknown", times=100)
    with pytest.raises(Refused, match="missing in the registry"):
        pull(world, MissingImages([IMAGE], {}, {}), lambda line: None)
    assert asked == [0, 0]
