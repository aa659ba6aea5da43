"""Images of another architecture than the host's are refused before anything that serves is touched."""

import json

import pytest

from agent import registry
from agent.registry import Offer, offer
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, images, release, serving, world_for

LOGIN = json.dumps({"Username": "AWS", "Secret": "t"})


@pytest.fixture(autouse=True)
def made_up_digests(monkeypatch):
    """Releases of tests name images that were never built."""
    monkeypatch.setattr(registry, "is_of", lambda body, digest: True)


def index(*architectures: str) -> bytes:
    entries = [
        {"digest": f"sha256:{name}", "platform": {"os": "linux", "architecture": name}} for name in architectures
    ]
    return json.dumps({"manifests": entries}).encode()


SINGLE = json.dumps({"layers": [{"size": 7}, {"size": 3}]}).encode()


def with_registry(world: FakeWorld, body: bytes) -> FakeWorld:
    world.answers["docker-credential-ecr-login get"] = CommandResult(0, LOGIN)
    last = {"sha256:amd64", "sha256:arm64"}
    world.fetch = lambda url, *_, **__: (200, SINGLE if url.rsplit("/", 1)[1] in last else body)  # type: ignore[method-assign]
    return world


def one_of_another(machine: str, architecture: str) -> FakeWorld:
    """A host on which one image of the release comes in one architecture only."""
    world = world_for(release())
    world.machine = machine
    world.architectures = dict.fromkeys(images(release()), {"x86_64": "amd64", "aarch64": "arm64"}[machine])
    world.architectures[sorted(images(release()))[0]] = architecture
    return world


@pytest.mark.parametrize(("machine", "ours", "theirs"), [("x86_64", "amd64", "arm64"), ("aarch64", "arm64", "amd64")])
def test_an_index_without_the_hosts_architecture_is_refused_before_anything_is_pulled(machine, ours, theirs):
    world = with_registry(world_for(release()), index(theirs, "s390x", "unknown"))
    world.machine = machine
    ended = applied(world, release())
    assert ended.outcome == "refused" and not world.images and not world.commands("docker --config")
    assert f"this host is {ours}" in ended.line and f"is for {', '.join(sorted([theirs, 's390x']))}" in ended.line
    assert sorted(images(release()))[0] in ended.line


@pytest.mark.parametrize(("machine", "ours", "theirs"), [("x86_64", "amd64", "arm64"), ("aarch64", "arm64", "amd64")])
def test_pulled_image_of_another_architecture_is_refused_before_the_switch(machine, ours, theirs):
    world = one_of_another(machine, theirs)
    before = world.seen_by_programs()
    ended = applied(world, release())
    assert ended.outcome == "refused" and world.seen_by_programs() == before
    assert (
        f"{sorted(images(release()))[0]} is for {theirs}" in ended.line
        and f"this host is {ours}, unlike 1 image:" in ended.line
    )


def test_present_image_of_another_architecture_is_refused():
    world = one_of_another("x86_64", "arm64")
    world.images = images(release())
    ended = applied(world, release())
    assert ended.outcome == "refused" and "is for arm64" in ended.line and not world.commands("docker --config")


@pytest.mark.parametrize(("machine", "ours"), [("x86_64", "amd64"), ("aarch64", "arm64")])
def test_images_of_the_hosts_architecture_are_applied(machine, ours):
    world = with_registry(world_for(release()), index("amd64", "arm64"))
    world.machine, world.architectures = machine, dict.fromkeys(images(release()), ours)
    assert applied(world, release()).outcome == "applied"


def test_architectures_are_read_from_the_registry():
    world = with_registry(FakeWorld(), index("arm64", "amd64", "unknown"))
    config = {"credHelpers": {"r.example": "ecr-login"}}
    image = "r.example/web@sha256:1"
    assert offer(world, image, "amd64", config, {}) == Offer(10, frozenset({"amd64", "arm64"}))
    assert offer(world, image, "riscv64", config, {}) == Offer(None, frozenset({"amd64", "arm64"}))
    assert offer(with_registry(FakeWorld(), SINGLE), image, "amd64", config, {}) == Offer(10, frozenset())
    assert offer(FakeWorld(), image, "amd64", config, {}) == Offer()


def test_image_without_an_architecture_is_accepted():
    world = serving(release())
    world.architectures = dict.fromkeys(images(release()), "")
    assert applied(world, release(version=2)).outcome == "applied"
