"""What a promotion takes from one stack, shows, copies and deploys to another."""

import json
from dataclasses import replace

import pytest

from infra import hosts, promoting
from infra.errors import InfraError
from tests.support import catalogue, changed, service

NEW, OLD = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def of_stack(name, **values):
    made = catalogue()
    return replace(made, stack=made.stack.model_copy(update={"name": name, **values}))


DEV = of_stack("dev")
PROD = of_stack("prod", region="ap-southeast-2")


@pytest.fixture
def serve(monkeypatch):
    """What each stack's host says that it serves: stack → service → images."""
    said = {}

    def targets(stack, host):
        return {host: stack.name}

    def ask(target, verb):
        return {"current": "r1", "services": {"r1": said[target]}}

    monkeypatch.setattr(hosts, "targets", targets)
    monkeypatch.setattr(promoting, "ask", ask)
    said["dev"] = {"admin": [f"x.dkr.ecr.r.amazonaws.com/watchme-admin@{NEW}"]}
    said["prod"] = {"admin": [f"x.dkr.ecr.r.amazonaws.com/watchme-admin@{OLD}"]}
    return said


class Copier:
    """Stands for skopeo: what each registry has, and the labels of each image."""

    has: dict[str, str]
    labels: dict[str, dict[str, str]]
    copies: list[tuple[str, str]]

    def __init__(self, *_):
        pass

    def digest(self, name):
        return self.has.get(name.removeprefix("docker://"))

    def copy(self, source, target):
        self.copies.append((source, target))
        self.has[target.removeprefix("docker://")] = source.rpartition("@")[2]

    def configuration(self, name):
        digest = name.rpartition("@")[2]
        if digest not in self.labels:
            raise InfraError("no such image")
        return json.dumps({"config": {"Labels": self.labels[digest]}}).encode()


@pytest.fixture(autouse=True)
def skopeo(monkeypatch):
    Copier.has, Copier.labels, Copier.copies = {}, {}, []
    monkeypatch.setattr(promoting, "Copier", Copier)
    monkeypatch.setattr(promoting, "login", lambda *_: "login")


def test_serving_image_of_the_first_stack_is_promoted_by_digest(serve):
    made = promoting.plan_promotion(DEV, PROD, "admin", None, None)
    assert made.deployment.host == "watchme" and made.deployment.images == {"admin": {"watchme-admin:latest": NEW}}


def test_promotion_shows_the_labels_of_both_images(serve):
    prefix = "org.opencontainers.image."
    Copier.labels = {
        NEW: {f"{prefix}revision": "3f2a", f"{prefix}created": "2026-11-29", "other": "x"},
        OLD: {f"{prefix}revision": "1111", f"{prefix}created": "2026-11-29"},
    }
    made = promoting.plan_promotion(DEV, PROD, "admin", None, None)
    assert list(promoting.lines(made, PROD)) == [
        f"watchme-admin: {OLD[:19]} in prod → {NEW[:19]} of dev", "  commit: 1111 → 3f2a",
    ]  # fmt: skip


def test_labels_that_cannot_be_read_hold_up_nothing(serve):
    made = promoting.plan_promotion(DEV, PROD, "admin", None, None)
    assert list(promoting.lines(made, PROD)) == [f"watchme-admin: {OLD[:19]} in prod → {NEW[:19]} of dev"]


def test_images_of_the_other_catalogue_are_reported_and_not_copied(serve):
    serve["dev"]["admin"].append(f"x.dkr.ecr.r.amazonaws.com/docker.io/library/flyway@{OLD}")
    made = promoting.plan_promotion(DEV, PROD, "admin", None, None)
    assert made.images == {"watchme-admin": NEW}
    assert "not promoted" in (said := next(promoting.lines(made, PROD))) and "docker.io/library/flyway" in said


def test_already_serving_image_is_reported(serve):
    serve["prod"] = serve["dev"]
    made = promoting.plan_promotion(DEV, PROD, "admin", None, None)
    assert list(promoting.lines(made, PROD)) == [f"watchme-admin: {NEW[:19]} serves in prod already"]


def test_only_missing_images_are_copied(serve):
    made = promoting.plan_promotion(DEV, PROD, "admin", None, None)
    there = "754724220380.dkr.ecr.ap-southeast-2.amazonaws.com/watchme-admin"
    assert list(promoting.bring_images(made, PROD)) == [
        f"copied watchme-admin@{NEW[:19]} into the registry of stack prod"
    ]
    assert Copier.copies == [
        (f"docker://754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-admin@{NEW}",
         f"docker://{there}:promoted-{'a' * 12}"),
    ]  # fmt: skip
    Copier.has = {f"{there}@{NEW}": NEW}
    assert list(promoting.bring_images(made, PROD)) == [] and len(Copier.copies) == 1


def test_promotion_within_one_registry_copies_nothing(serve):
    made = promoting.plan_promotion(DEV, of_stack("prod"), "admin", None, None)
    assert list(promoting.bring_images(made, of_stack("prod"))) == [] and Copier.copies == []


def test_a_copy_that_is_something_else_is_no_promotion(serve, monkeypatch):
    monkeypatch.setattr(Copier, "copy", lambda *_: None)
    made = promoting.plan_promotion(DEV, PROD, "admin", None, None)
    with pytest.raises(InfraError, match=r"the copy of watchme-admin@sha256:a+ in ap-southeast-2 has another digest"):
        list(promoting.bring_images(made, PROD))


def elsewhere(data):
    service(data, "admin")["image"]["repository"] = "other-admin"


REFUSED = {
    "one stack": (DEV, DEV, {}, "--from dev --to dev: two stacks"),
    "not served": (DEV, PROD, {"dev": {}}, "watchme of stack dev serves no admin: infra status says why"),
    "by no digest": (DEV, PROD, {"dev": {"admin": ["x/watchme-admin:latest"]}}, "it is not clear which image admin has"),
    "another repository": (
        DEV, changed(PROD, "watchme", elsewhere), {}, "stack prod has admin from other repositories than watchme-admin",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_impossible_promotion_is_refused(serve, case):
    source, target, says, line = case
    serve.update(says)
    with pytest.raises(InfraError) as error:
        promoting.plan_promotion(source, target, "admin", None, None)
    assert line in str(error.value)
