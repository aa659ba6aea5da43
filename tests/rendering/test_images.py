"""ECR's clean-up rules, evaluated as its user guide says, and the tags that they spare."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from rendering import images


@dataclass
class Pushed:
    """An image as the rules see it; `parts` are those that an index lists."""

    digest: str
    tags: set[str] = field(default_factory=set)
    parts: tuple[str, ...] = ()


def matches(selection: dict[str, Any], image: Pushed) -> bool:
    if selection["tagStatus"] == "tagged":
        return all(any(tag.startswith(prefix) for tag in image.tags) for prefix in selection["tagPrefixList"])
    return selection["tagStatus"] == "any" or not image.tags


def expired(pushed: list[Pushed]) -> set[str]:
    """What the rules expire of images in the order of their pushes. "An image that matches the tagging requirements of
    a rule cannot be expired by a rule with a lower priority", and each rule counts all that it matches. That an image
    which an index lists stays with it is not relied on."""
    rules = sorted(json.loads(images.lifecycle())["rules"], key=lambda rule: rule["rulePriority"])
    decided: set[str] = set()
    gone: set[str] = set()
    for rule in rules:
        assert rule["action"] == {"type": "expire"} and rule["selection"]["countType"] == "imageCountMoreThan"
        found = [image for image in reversed(pushed) if matches(rule["selection"], image)]
        gone |= {image.digest for image in found[rule["selection"]["countNumber"] :]} - decided
        if rule["selection"]["tagStatus"] == "tagged":
            decided |= {image.digest for image in found}
    return gone


def digest(number: int) -> str:
    return f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"


OWNER = images.owner("prod", "watchme")


def test_image_of_a_release_is_not_expired_by_pushes():
    running = Pushed(digest(1), {images.tag(OWNER, digest(1))})
    rest = [Pushed(digest(number), {"latest"} if number == 500 else set()) for number in range(2, 501)]
    gone = expired([running, *rest])
    # It counts among the 60 newest no less, where it is one of them
    assert digest(1) not in gone and len(gone) == len(rest) - images.NEWEST
    assert digest(500) not in gone and digest(2) in gone


def test_untagged_image_expires():
    assert digest(1) in expired([Pushed(digest(number)) for number in range(1, 500)])


def test_unused_image_expires_by_age():
    old = Pushed(digest(1), {images.released_tag(digest(1))})
    assert expired([old, *(Pushed(digest(number)) for number in range(2, 40))]) == set()
    assert digest(1) in expired([old, *(Pushed(digest(number)) for number in range(2, 100))])


def test_catch_all_lifecycle_rule_is_last():
    """ECR refuses a policy in which it is not."""
    rules = json.loads(images.lifecycle())["rules"]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["tagged", "any"]
    assert rules[0]["rulePriority"] < rules[1]["rulePriority"]


@pytest.mark.parametrize(
    ("stack", "host"),
    [("prod", "web"), ("p" * 100, "web"), ("prod", "h" * 63), ("p" * 100, "h" * 63), ("a.b_c-d", "x")],
)
def test_release_tag_is_valid_for_ecr(stack, host):
    tag = images.tag(images.owner(stack, host), digest(7))
    assert len(tag) <= 128 and tag.startswith(images.PREFIX)
    assert all(character.isalnum() or character in "_.-" for character in tag)
    assert images.is_of(images.owner(stack, host), tag)


def test_no_owner_has_anothers_tags():
    pairs = [
        ("prod", "web"),
        ("prod-web", "x"),
        ("prod", "web-x"),
        ("prod.web", "x"),
        ("p" * 100, "web"),
        ("p" * 101, "web"),
    ]
    owners = [images.owner(stack, host) for stack, host in pairs]
    for owner in owners:
        assert [other for other in owners if images.is_of(owner, images.tag(other, digest(1)))] == [owner]


def test_images_of_other_registries_are_none_of_ours():
    ours = f"754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-api-ast@{digest(3)}"
    others = ["ghcr.io/x/y@" + digest(3), "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/a:latest", "busybox"]
    assert images.images_in_ecr([*others, ours, ours]) == [
        images.Image("754724220380", "ap-northeast-1", "watchme-api-ast", digest(3))
    ]
