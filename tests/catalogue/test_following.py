"""Services whose hosts follow a tag by themselves: what is refused, and what a host gets."""

import json

import pytest

from catalogue.checks import check
from catalogue.deployed_images import pin_images
from rendering.following import CONFIG, UNIT
from rendering.host import render
from tests.catalogue.changes import both, configured, setting
from tests.support import catalogue, unchanged

FOLLOWS = setting("web", deploy={"watch": "latest"})
DIGEST = f"sha256:{'a' * 64}"


def image_name() -> str:
    made = catalogue().systems["watchme"]
    return next(one.image.name for one in made.compose_services if one.name == "web")


REPOSITORY = image_name().partition(":")[0]
FAULTS = {
    "another tag": (
        setting("web", deploy={"watch": "main"}),
        f"service web: deploy: {{watch: main}} for image {REPOSITORY}:latest; must be the same tag: image: {{tag: main}}",
    ),
    "another registry's image": (
        setting("web", deploy={"watch": "1"}, image={"repository": "docker.io/library/nginx", "tag": "1"}),
        "deploy: {watch: 1} for an image of another registry",
    ),
    "release steps": (
        both(FOLLOWS, setting("web", release={"name": "migrate", "command": ["true"]})),
        "deploy: {watch: latest} for a service with release steps; must have no release steps",
    ),
    "the same image elsewhere": (
        both(FOLLOWS, setting("admin", image={"repository": REPOSITORY})),
        f"service admin: image {REPOSITORY}, of which web follows tag latest; must have deploy: {{watch: latest}} too",
    ),
}


@pytest.mark.parametrize(("change", "expected"), FAULTS.values(), ids=FAULTS)
def test_tag_that_cannot_be_followed_is_refused(change, expected):
    messages = [str(problem) for problem in check(catalogue(change)) if problem.level == "error"]
    assert any(expected in message for message in messages), messages


def test_followed_tag_is_refused_with_a_standby_region():
    config = configured(standbyRegions=["ap-southeast-2"])
    messages = [str(problem) for problem in check(catalogue(FOLLOWS, config))]
    assert any("deploy: {watch: latest} in a stack with standby regions" in message for message in messages)


def entries(made) -> list | None:
    files = {file.path: file.content for file in render(made, "watchme").files}
    return json.loads(files[CONFIG]) if CONFIG in files else None


def test_a_host_has_the_timer_only_where_something_follows_a_tag():
    assert not [problem for problem in check(catalogue(FOLLOWS)) if problem.level == "error"]
    files, without = render(catalogue(FOLLOWS), "watchme"), render(catalogue(unchanged), "watchme")
    assert UNIT in {unit.name for unit in files.units} - {unit.name for unit in without.units}
    (entry,) = entries(catalogue(FOLLOWS)) or []
    assert entry["image"].endswith(f".amazonaws.com/{REPOSITORY}")
    assert (entry["tag"], entry["services"]) == ("latest", ["web"])
    assert entries(catalogue(unchanged)) is None


def test_pinned_image_is_no_longer_followed():
    """The timer stays, so that a deploy of one service changes no unit of the host's."""
    pinned = pin_images(catalogue(FOLLOWS), {"watchme": {"web": {image_name(): DIGEST}}})
    assert entries(pinned) == []
    assert UNIT in {unit.name for unit in render(pinned, "watchme").units}
    assert not [problem for problem in check(pinned) if problem.level == "error"]
