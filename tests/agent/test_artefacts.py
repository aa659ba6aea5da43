"""What owners built: fetched and unpacked beside what serves, put in place and back by a link, kept while it may be
needed."""

import contextlib
import re
from typing import Any

import pytest

from agent import artefacts, prune, store
from agent.artefacts import COMING, PLACE, RECORDS, locate
from agent.recover import recover
from tests.agent.built import FILES, INTO, UNIT, folder_of, host, release
from tests.agent.fake import Killed
from tests.agent.parcels import ParcelWorld
from tests.agent.releases import JOB, applied, gone_back
from tests.rows import changes


def test_artefact_is_unpacked_before_and_linked_by_the_switch():
    world = host()
    made = release(world.publish("recall", FILES))
    ended = applied(world, made)
    assert ended.outcome == "applied", ended.line
    assert world.links[INTO] == folder_of(made) and folder_of(made).startswith(f"{PLACE}/recall-")
    assert world.tree(folder_of(made)).keys() == FILES.keys() and not world.tree(COMING)
    assert world.directories[PLACE][2] == 0o755 and world.directories[COMING][2] == 0o700
    assert applied(world, made).outcome == "unchanged" and len(world.asked) == 3


def test_new_artefact_restarts_its_service_and_the_earlier_one_is_kept():
    world = host()
    first, second = (release(world.publish("recall", {**FILES, "v": text})) for text in ("1", "2"))
    applied(world, first)
    ended = applied(world, second)
    assert UNIT in ended.restarted and INTO in ended.changed and world.links[INTO] == folder_of(second)
    world.asked.clear()
    assert gone_back(world, first.id).outcome == "applied"
    assert world.links[INTO] == folder_of(first) and not world.asked


def test_unhealthy_release_is_rolled_back_to_the_earlier_artefact():
    world = host()
    first, second = (release(world.publish("recall", {**FILES, "v": text})) for text in ("1", "2"))
    applied(world, first)
    before = world.links[INTO]
    world.web = lambda url: 500 if world.links[INTO] != before else 200
    assert applied(world, second).outcome == "rolled back" and world.links[INTO] == before


def test_artefacts_that_no_kept_release_needs_are_pruned():
    world = host()
    made = [release(world.publish("recall", {**FILES, "v": str(number)})) for number in range(8)]
    for one in made:
        applied(world, one)
    kept = {folder_of(one) for one in made if one.id in store.kept_ids(world)}
    assert {f"{PLACE}/{name}" for name in world.listing(PLACE)} == kept and len(kept) == 5
    assert len(world.listing(RECORDS)) == 5
    assert prune.needed_images(world) == sorted(
        {one.manifest["artefacts"][0]["image"] for one in made if one.id in store.kept_ids(world)}
    )


def test_nothing_is_pruned_while_a_kept_release_is_unreadable():
    world = host()
    made = [release(world.publish("recall", {**FILES, "v": str(number)})) for number in range(2)]
    for one in made:
        applied(world, one)
    world.files[f"{store.RELEASES}/{made[0].id}/manifest.json"] = (b"{torn", 0o600, "root", "root")
    artefacts.prune(world)
    assert len(world.listing(PLACE)) == 2


def test_an_artefact_that_leaves_the_catalogue_leaves_no_link():
    world = host()
    applied(world, release(world.publish("recall", FILES)))
    world.there |= {"/srv/recall/venv/bin/gunicorn"}
    assert applied(world, release(None, has=False)).outcome == "applied" and INTO not in world.links


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda world: setattr(world, "machine", "aarch64"), "this host is arm64, but"),
        (lambda world: setattr(world, "refuses", 403), "its registry answers 403"),
        (lambda world: setattr(world, "space", 1024), "no space left on device"),
        (lambda world: world.faults.extend(["the connection was lost"] * 9), "cannot be fetched: the connection was lost"),
        (lambda world: world.blobs.clear(), "its registry answers 404"),
        (lambda world: _damage(world), "was damaged in transfer"),
        (lambda world: _swap(world), "answered with other content than requested"),
    ],
    ids=["architecture", "refused", "disk", "connection", "gone", "damaged", "swapped"],
)  # fmt: skip
def test_release_is_refused_when_an_artefact_cannot_be_fetched(prepare, expected):
    world = host()
    first, second = (release(world.publish("recall", {**FILES, "v": text})) for text in ("1", "2"))
    applied(world, first)
    before = world.seen_by_programs()
    prepare(world)
    ended = applied(world, second)
    assert ended.outcome == "refused"
    assert re.search(expected, ended.line), ended.line
    assert world.seen_by_programs()[1:] == before[1:] and world.links[INTO] == folder_of(first)


def _damage(world: ParcelWorld) -> None:
    """The registry sends other bytes than those of the digest."""
    for name, content in world.blobs.items():
        if b"manifests" not in content and b"layers" not in content:
            world.blobs[name] = b"x" * len(content)


def _swap(world: ParcelWorld) -> None:
    for name, content in world.blobs.items():
        if b"manifests" in content:
            world.blobs[name] = content + b" "


def test_missing_artefact_image_is_reported_with_the_remedy():
    world = host()
    ended = applied(world, release(None))
    assert ended.outcome == "refused" and "uv run infra push recall:1 --from YOUR-DIRECTORY" in ended.line


def test_a_packing_that_cannot_be_read_is_refused():
    world = host()
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    ended = applied(world, release(world.publish("recall", FILES, mediaType=kind)))
    assert ended.outcome == "refused" and "tar+zstd" in ended.line and not world.links


@pytest.mark.parametrize(
    "layer",
    [
        {"digest": "sha256:../../../etc/cron.d/x"}, {"digest": f"sha256:{'a' * 63}/"}, {"digest": 7}, {"size": "7"},
        {"size": -1}, {"size": True}, {"mediaType": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_chooses_no_place_on_the_host(layer):
    """Who may push, a product's own workflow for one, does not become root on its hosts."""
    world = host()
    made = release(world.publish("recall", FILES, **layer))
    before = set(world.files)
    ended = applied(world, made)
    assert ended.outcome == "refused" and not world.links, ended.line
    assert not [path for path in set(world.files) - before if not path.startswith(("/var/lib/infra", "/run"))]


def test_a_layer_that_comes_twice_is_fetched_once():
    """As the empty ones of many images do."""
    world = host()
    made = release(world.publish("recall", FILES, again=True))
    assert applied(world, made).outcome == "applied"


def test_a_connection_that_breaks_is_tried_again():
    world = host()
    made = release(world.publish("recall", FILES))
    world.faults = ["the connection was lost", "its registry answers 503"]
    assert applied(world, made).outcome == "applied"


def test_a_program_that_the_artefact_lacks_is_named_before_the_switch():
    world = host()
    ended = applied(world, release(world.publish("recall", {"lib/x.py": "text"})))
    assert ended.outcome == "refused" and "/srv/recall/venv/bin/gunicorn is not in it" in ended.line
    assert INTO not in world.links


@pytest.mark.parametrize("fault", ["is not in it, but a unit starts it", "is not executable, but a unit starts it"])
def test_program_of_a_unit_is_required_from_the_artefact(fault, monkeypatch):
    """A path of ExecStart below `into` is known to be needed, by `needs` or without."""
    world = host()
    files = {"lib/x.py": "text"} if "not in it" in fault else FILES
    made = release(world.publish("recall", files))
    monkeypatch.setitem(made.manifest, "requirements", [])
    monkeypatch.setattr(world, "is_executable", lambda path: False)
    ended = applied(world, made)
    assert ended.outcome == "refused" and f"{INTO}/bin/gunicorn {fault}" in ended.line, ended.line
    assert INTO not in world.links


def test_an_interpreter_may_come_with_the_artefact():
    """As in a virtual environment, whose scripts name the place where it will be."""
    world = host()
    script = f"#!{INTO}/bin/python3\n"
    ended = applied(world, release(world.publish("recall", {"bin/gunicorn": script, "bin/python3": "x"})))
    assert ended.outcome == "applied", ended.line
    ended = applied(world, release(world.publish("recall", {"bin/gunicorn": script})))
    assert (
        ended.outcome == "refused"
        and f"gunicorn needs the interpreter {INTO}/bin/python3, which does not exist" in ended.line
    )


def test_missing_part_of_an_artefact_is_reported():
    world = host()
    inside = {f"dist/{name}": text for name, text in FILES.items()}
    made = release(world.publish("recall", inside), "dist")
    assert applied(world, made).outcome == "applied" and world.links[INTO] == f"{folder_of(made)}/dist"
    other = release(world.publish("recall", inside), "build")
    ended = applied(world, other)
    assert ended.outcome == "refused" and "has no build" in ended.line and "it has: dist" in ended.line


def test_directory_in_place_of_the_artefact_link_is_refused():
    world = host()
    world.directories[INTO] = ("recall", "recall", 0o755)
    ended = applied(world, release(world.publish("recall", FILES)))
    assert ended.outcome == "refused" and f"{INTO} is a directory" in ended.line


def test_path_is_located_in_the_artefact_before_its_link_exists():
    manifest = {"artefacts": [{"into": "/opt/a", "target": f"{PLACE}/a-1/dist"}]}
    assert locate(manifest, "/opt/a/bin/x") == f"{PLACE}/a-1/dist/bin/x"
    assert locate(manifest, "/opt/a") == f"{PLACE}/a-1/dist"
    assert locate(manifest, "/opt/ab/bin/x") == "/opt/ab/bin/x"


def on_the_way() -> tuple[ParcelWorld, Any]:
    """A host that serves one artefact, and the release that brings another."""
    world = host()
    first, second = (release(world.publish("recall", {**FILES, "v": text})) for text in ("1", "2"))
    applied(world, first)
    return world, second


def test_killed_update_ends_at_the_new_artefact_when_repeated():
    world, second = on_the_way()
    began = world.changes
    applied(world, second)
    for number in changes(world.changes - began):
        world, second = on_the_way()
        world.kill_at = world.changes + number
        with contextlib.suppress(Killed):
            applied(world, second)
        world.kill_at = None
        recover(world, JOB, "the agent was ended midway")
        ended = applied(world, second)
        assert ended.outcome in ("applied", "unchanged"), f"killed at change {number}: {ended.line}"
        assert world.links[INTO] == folder_of(second), number
        assert artefacts.edited_paths(world, folder_of(second)) == [], number
