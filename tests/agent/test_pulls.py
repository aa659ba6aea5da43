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
def test_transient_pull_failures_are_retried_with_growing_pauses(complaint):
    world, asked = pulling(complaint, times=4)
    pull(world, MissingImages([IMAGE], {}, {}), lambda line: None)
    assert [after - before for before, after in itertools.pairwise(asked)] == [0, *PAUSES]


def test_lasting_pull_failure_is_reported_with_its_message():
    world, asked = pulling("toomanyrequests: Rate exceeded", times=100)
    with pytest.raises(Refused, match=r"1 image cannot be pulled, .*: toomanyrequests: Rate exceeded"):
        pull(world, MissingImages([IMAGE], {}, {}), lambda line: None)
    assert len(asked) == 2 + len(PAUSES)


def test_missing_image_is_not_pulled_again():
    world, asked = pulling("manifest unknown", times=100)
    with pytest.raises(Refused, match="missing in the registry"):
        pull(world, MissingImages([IMAGE], {}, {}), lambda line: None)
    assert asked == [0, 0]
