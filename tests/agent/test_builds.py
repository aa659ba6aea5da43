"""What images say of their builds."""

import json

from agent import builds
from agent.world import CommandResult
from infra.releases import build
from tests.agent.fake import FakeWorld
from tests.agent.releases import images, release

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def said(lines, code=0):
    world = FakeWorld()
    world.answers["docker image inspect"] = CommandResult(code, "\n".join(lines))
    return builds.build_labels(world, release().manifest)


def line(image, **labels):
    return f"{json.dumps([image])} {json.dumps(labels or None)}"


def test_labels_are_shown_by_service():
    every = sorted(images(release()))
    ast = next(image for image in every if "watchme-api-ast@" in image)
    labels = {
        "org.opencontainers.image.revision": COMMIT,
        "org.opencontainers.image.created": "2026-11-30T01:02:03Z",
        "maintainer": "x",
    }
    others = [line(image) for image in every if image != ast]
    assert said([line(ast, **labels), *others]) == {"ast-api": {"commit": COMMIT, "created": "2026-11-30T01:02:03Z"}}


def test_missing_image_does_not_hide_the_builds_of_others():
    ast = next(image for image in images(release()) if "watchme-api-ast@" in image)
    found = said(
        [
            line(ast, **{"org.opencontainers.image.version": "1" * 500}),
            "Error response from daemon: No such image: x",
            "[1",
            "null null",
        ],
        1,
    )
    assert found == {"ast-api": {"version": "1" * 120}}


def test_builds_are_empty_without_docker():
    assert said(["Cannot connect to the Docker daemon"], 1) == {} and said([]) == {}


def test_build_is_written_as_one_line():
    assert build({"commit": COMMIT, "created": "2026-11-30T01:02:03Z"}) == "commit 0123456789ab, 2026-11-30 01:02 UTC"
    assert build({"version": "1.2", "commit": "main"}) == "1.2, commit main"
