"""A service whose host follows a tag by itself: asked of a registry in memory, deployed by the job of every release."""

import copy
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache

import pytest

from agent import jobs, lock, store, tag_releases, tags
from agent.job import Job
from agent.recover import recover
from agent.world import CommandResult
from catalogue.deployed_images import pin_images
from rendering.archive import build
from rendering.host import render
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import JOB, applied, world_for
from tests.agent.stored import all_of
from tests.rows import changes
from tests.support import catalogue, digests, service

REGISTRY = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com"
REPOSITORY = "watchme-api-avatar-uploader"
NAME = f"{REPOSITORY}:latest"


def following(data) -> None:
    service(data, "avatar-uploader").update(deploy={"watch": "latest"})


def manifest(build: str, *architectures: str) -> bytes:
    if not architectures:
        return json.dumps({"layers": [], "build": build}).encode()
    entries = [{"platform": {"architecture": one}, "digest": f"sha256:{one}"} for one in architectures]
    return json.dumps({"manifests": entries, "build": build}).encode()


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


FIRST, SECOND, THIRD = manifest("1"), manifest("2"), manifest("3")


@cache
def release_with(body: bytes):
    return build(render(catalogue(following), "watchme", {**digests(following), NAME: digest_of(body)}))


@dataclass
class Registry:
    """What its tag means; `status` is what it answers, `asked` what was asked of it."""

    tag: bytes = FIRST
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def fetch(self, url, headers, method="GET", body=None, timeout=20):
        self.asked.append(url)
        assert url.startswith(f"https://{REGISTRY}/v2/{REPOSITORY}/manifests/"), url
        return (200, self.tag) if self.status == 200 else (self.status, b"")


@pytest.fixture(autouse=True)
def jobs_in_a_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(jobs, "JOBS", str(tmp_path / "jobs"))


def host(registry: Registry) -> FakeWorld:
    """One that serves the first image, with a login for its registry."""
    made = release_with(FIRST)
    world = world_for(made)
    ended = applied(world, made)
    jobs.with_history(world, JOB, world.wall(), jobs.Mask([])).record(ended)
    assert ended.outcome == "applied", ended.line
    world.registry |= {f"{REGISTRY}/{REPOSITORY}@{digest_of(body)}" for body in (FIRST, SECOND, THIRD)}
    world.answers["docker-credential-ecr-login get"] = CommandResult(
        0, json.dumps({"Username": "AWS", "Secret": "token"})
    )
    world.fetch = registry.fetch  # type: ignore[method-assign]
    look(world)
    return world


def look(world: FakeWorld) -> list[str]:
    """One round of the timer; what it said."""
    said: list[str] = []
    world.time += 31
    assert tags.run(world, said.append) == 0
    return said


def started(world: FakeWorld) -> list[dict]:
    """The jobs that were handed to systemd, and not done yet."""
    paths = [path for path in world.files if path.startswith(jobs.JOBS) and path.endswith("/spec.json")]
    return [json.loads(world.files[path][0]) for path in sorted(paths)]


def do(world: FakeWorld, spec: dict):
    """The job, as its unit does it; its directory in memory is gone afterwards."""
    payload = json.loads(world.files.pop(f"{jobs.JOBS}/{spec['id']}/payload.json")[0])
    world.files.pop(f"{jobs.JOBS}/{spec['id']}/spec.json")
    world.ran.clear()
    vars(world).pop("can", None)
    job = Job(spec["id"], spec["kind"], spec["who"], spec["host"], only=tuple(spec["only"]))
    job = jobs.with_history(world, job, world.wall(), jobs.Mask([]))
    return jobs.execute(world, job, spec, payload)  # type: ignore[arg-type]


def moved(registry: Registry, world: FakeWorld, body: bytes):
    """What became of the tag's other image, once the host has seen it."""
    registry.tag = body
    look(world)
    (spec,) = started(world)
    return do(world, spec)


def fault(world: FakeWorld) -> str:
    return tags.faults(world)[NAME]


def refuse_only(body: bytes, world: FakeWorld) -> None:
    """The service is healthy with any image but this one."""
    compose = "/home/ubuntu/watchme-avatar-uploader/docker-compose.prod.yml"
    world.web = lambda url: 503 if digest_of(body).encode() in world.files[compose][0] else 200


def test_derived_release_equals_the_rendered_one():
    world = host(Registry())
    before, after = (f"{REGISTRY}/{REPOSITORY}@{digest_of(body)}" for body in (FIRST, SECOND))
    made = release_with(SECOND)
    ours = tag_releases.exchange(world, release_with(FIRST).id, before, after)
    assert ours.id == made.id and ours.manifest == made.manifest


def test_unchanged_tag_starts_no_job():
    registry = Registry()
    world = host(registry)
    before = dict(world.files)
    assert look(world) == [] and not started(world)
    assert world.files == before and len(registry.asked) == 2, "one question a round, and nothing is written"


def test_moved_tag_is_deployed_and_known_to_the_next_update():
    registry = Registry()
    world = host(registry)
    ended = moved(registry, world, SECOND)
    assert ended.outcome == "applied", ended.line
    last = store.history(world)[-1]
    assert (last["kind"], last["who"], last["release"]) == ("watch", "watch latest", release_with(SECOND).id)
    look(world)
    assert not started(world) and fault(world) == ""
    update = Job("j2", "apply", "alice@laptop", "watchme", base=release_with(FIRST).id)
    assert applied(world, release_with(SECOND), job=update).outcome == "unchanged"


def test_update_planned_before_a_moved_tag_is_accepted():
    registry = Registry()
    world = host(registry)
    moved(registry, world, SECOND)
    made = release_with(THIRD)
    update = Job("j2", "apply", "alice@laptop", "watchme", base=release_with(FIRST).id)
    assert applied(world, made, job=update).outcome == "applied"


def test_rolled_back_image_is_not_tried_again_until_the_tag_moves():
    registry = Registry()
    world = host(registry)
    refuse_only(SECOND, world)
    ended = moved(registry, world, SECOND)
    assert ended.outcome == "rolled back", ended.line
    assert store.current_id(world) == release_with(FIRST).id
    for _ in range(5):
        world.time += 7200
        look(world)
    assert not started(world) and "rolled back on watchme" in fault(world)
    assert moved(registry, world, THIRD).outcome == "applied"
    look(world)
    assert fault(world) == ""


def test_manually_rolled_back_image_is_not_deployed_again():
    registry = Registry()
    world = host(registry)
    moved(registry, world, SECOND)
    look(world)
    back = Job("j3", "rollback", "alice@laptop", "watchme")
    assert applied(world, release_with(FIRST), job=back).outcome == "applied"
    look(world)
    assert not started(world) and fault(world) == ""


def test_pinned_image_stays_when_the_tag_moves():
    registry = Registry()
    world = host(registry)
    made = pin_images(catalogue(following), {"watchme": {"avatar-uploader": {NAME: digest_of(THIRD)}}})
    pinned = build(render(made, "watchme", digests(following)))
    alone = Job("j4", "apply", "alice@laptop", "watchme", only=("avatar-uploader",))
    assert applied(world, pinned, job=alone).outcome == "applied"
    asked, registry.tag = len(registry.asked), SECOND
    look(world)
    assert len(registry.asked) == asked and not started(world)


def test_silent_registry_is_asked_less_often_and_reported():
    registry = Registry(status=0)
    world = host(registry)
    for _ in range(120):
        look(world)
    assert 7 <= len(registry.asked) <= 12, "an hour"
    assert fault(world) == "it does not answer" and not started(world)
    registry.status = 200
    world.time += tags.LONGEST
    look(world)
    assert fault(world) == ""


def test_an_image_for_another_processor_is_named_once_and_touches_nothing():
    registry = Registry(tag=manifest("1", "arm64"))
    world = host(registry)
    asked = len(registry.asked)
    assert fault(world) == "it has nothing for amd64" and not started(world)
    world.time += tags.LONGEST
    look(world)
    assert len(registry.asked) == asked + 1 and not started(world)


def test_an_image_that_cannot_be_pulled_is_tried_again_later():
    registry = Registry()
    world = host(registry)
    world.registry.discard(f"{REGISTRY}/{REPOSITORY}@{digest_of(SECOND)}")
    assert moved(registry, world, SECOND).outcome == "refused"
    look(world)
    assert not started(world) and "missing in the registry" in fault(world)
    world.registry.add(f"{REGISTRY}/{REPOSITORY}@{digest_of(SECOND)}")
    look(world)
    (spec,) = started(world)
    assert do(world, spec).outcome == "applied"
    look(world)
    assert fault(world) == ""


def test_moved_tag_waits_for_a_running_job():
    registry = Registry()
    world = host(registry)
    registry.tag = SECOND
    asked = len(registry.asked)
    with lock.lock("apply of release x", lambda _: None):
        look(world)
    assert len(registry.asked) == asked and not started(world)
    look(world)
    (spec,) = started(world)
    # It waited for another job in vain, and was refused before it began: it leaves no history
    world.files = {path: file for path, file in world.files.items() if not path.startswith(jobs.JOBS)}
    assert not [job for job in store.history(world) if job["job"] == spec["id"]]
    look(world)
    assert len(started(world)) == 1


def test_killed_tag_deploy_ends_at_one_whole_release_and_continues():
    registry = Registry()
    start = host(registry)
    registry.tag = SECOND
    look(start)
    (spec,) = started(start)
    idle = copy.deepcopy(start)
    idle.files = {path: file for path, file in start.files.items() if not path.startswith(jobs.JOBS)}
    before = idle.seen_by_programs()
    done = copy.deepcopy(start)
    do(done, spec)
    after = done.seen_by_programs()
    for number in changes(done.changes - start.changes):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            do(world, spec)
        world.kill_at = None
        job = Job(spec["id"], spec["kind"], spec["who"], spec["host"])
        job = jobs.with_history(world, job, world.wall(), jobs.Mask([]))
        recover(world, job, "the agent was ended midway")
        all_of(world, before, after, release_with(FIRST).id, release_with(SECOND).id)
        assert tags.run(world, lambda _: None) == 0


def test_a_public_name_that_answers_otherwise_brings_the_old_release_back():
    world = FakeWorld(web=lambda url: 502)
    with pytest.raises(tag_releases.Failed, match=r"https://a\.example/ answered 502"):
        tag_releases.look_by_names(world, ["https://a.example/"])
    tag_releases.look_by_names(FakeWorld(web=lambda url: 0), ["https://a.example/"])


def test_a_list_that_cannot_be_read_fails_no_unit():
    world = host(Registry())
    world.files[tags.CONFIG] = (b"{", 0o644, "root", "root")
    assert len(look(world)) == 1 and tags.states(world) == {}


def test_a_release_without_followers_is_left_alone():
    registry = Registry()
    made = build(render(catalogue(), "watchme", digests()))
    world = world_for(made)
    assert applied(world, made, job=JOB).outcome == "applied"
    world.fetch = registry.fetch  # type: ignore[method-assign]
    assert look(world) == [] and not registry.asked
