"""Images of other registries in the whole program, under Pulumi's mocks."""

import json
from typing import Any

import pulumi
import pytest

from catalogue import loading
from components import elsewhere
from tests.catalogue.containers import with_database
from tests.components.program import Mocks, opened, run_program
from tests.support import ROOT, catalogue, changed

NAME = "docker.io/library/postgres:16.4"
DIGEST = "sha256:" + "d" * 64
SECRETS = {"infra:secrets": {"db": {"POSTGRES_PASSWORD": "x"}, "registries": {"docker.io": "me:token"}}}


@pytest.fixture
def program(monkeypatch) -> Any:
    monkeypatch.chdir(ROOT)
    load = loading.load
    monkeypatch.setattr(loading, "load", lambda root, stack: changed(load(root, stack), "watchme", with_database))
    asked: list[list[str]] = []

    def answer(stack: Any, wanted: list[Any]) -> dict[str, str]:
        asked.append([image.name for image in wanted])
        return {image.name: DIGEST for image in wanted}

    monkeypatch.setattr(elsewhere, "_resolve_digests", answer)

    def run(tags: list[str], state: Any = None, **values: Any) -> tuple[Mocks, list[list[str]]]:
        monkeypatch.setattr(Mocks, "tags", tags)
        return run_program({**SECRETS, **values}, state), asked

    return run


def copies(made: Mocks) -> dict[str, Any]:
    found = made.of("command:local:Command")
    return {entry.name: entry for entry in found if "infra.mirror" in entry.inputs["create"]}


def test_missing_image_is_resolved_in_its_own_registry(program):
    made, asked = program(["latest"])
    assert asked == [[NAME]]
    (entry,) = copies(made).values()
    request = json.loads(opened(entry.inputs["stdin"]))
    assert entry.name == f"image-ap-northeast-1-{NAME}" and request["digest"] == DIGEST
    assert request["logins"] == {"docker.io": {"user": "me", "password": "token"}}
    assert "docker.io/library/postgres" in [entry.inputs["name"] for entry in made.of("aws:ecr/repository:Repository")]


def test_preview_pins_the_foreign_image_to_its_digest(program):
    made, _ = program(["latest"])
    (apply,) = [entry for entry in made.of("command:local:Command") if "infra.deliver" in entry.inputs["create"]]
    images = json.loads(opened(apply.inputs["stdin"]))["images"]
    assert f"754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/docker.io/library/postgres@{DIGEST}" in images


def test_present_image_is_not_resolved_elsewhere(program):
    made, asked = program(["latest", "16.4"])
    assert asked == [[]]
    (entry,) = copies(made).values()
    assert json.loads(opened(entry.inputs["stdin"]))["digest"] != DIGEST


def test_owner_stack_of_shared_repositories_copies_the_images(program):
    made, _ = program(["latest", "16.4"], **{"infra:sharedRepositories": True})
    assert not copies(made) and not made.of("aws:ecr/repository:Repository")


def test_unresolvable_image_stops_the_update(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", "/nowhere")
    made = catalogue(with_database)
    with pytest.raises(pulumi.RunError, match="nothing was touched: skopeo is not on PATH: install it"):
        elsewhere._resolve_digests(made.stack, made.foreign_images)


def test_move_copies_foreign_images_from_the_old_region(program):
    """No other registry is asked: it may have another image under the tag by now."""
    left = "ap-southeast-2"
    urn = "urn:pulumi:prod::infra::"
    state = {
        f"{urn}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": {"region": left}},
        f"{urn}infra:index:Host::watchme-{left}": {
            "type": "infra:index:Host", "outputs": {"host": "watchme", "region": left, "address": "127.71.0.9"},
        },
    }  # fmt: skip
    made, asked = program(["latest", "16.4"], state=state)
    assert asked == []
    images = next(entry for entry in made.of("command:local:Command") if "-images" in entry.name)
    moved = json.loads(opened(images.inputs["stdin"]))["images"]
    (entry,) = copies(made).values()
    digest = json.loads(opened(entry.inputs["stdin"]))["digest"]
    assert digest in [image["digest"] for image in moved if image["repository"] == "docker.io/library/postgres"]
