"""Artefacts that were edited, left or damaged on their host, and paths that lead through them."""

import pytest

from agent import artefacts, drift, preflight, store
from agent.artefacts import COMING, PLACE
from agent.outcome import Refused
from agent.store import Release
from tests.agent.built import FILES, INTO, folder_of, host, release
from tests.agent.parcels import digest
from tests.agent.releases import applied, gone_back


def edit(world, made, name="lib/x.py", text=b"edited"):
    world.files[f"{folder_of(made)}/{name}"] = (text, 0o644, "root", "root")


def drifted(world, made):
    return {entry["path"]: entry["found"] for entry in drift.drift(world)}.get(folder_of(made))


def test_edited_artefact_is_drift_and_stays_until_the_next_artefact():
    world = host()
    made, other = (release(world.publish("recall", {**FILES, "v": text})) for text in ("1", "2"))
    applied(world, made)
    assert drift.drift(world) == []
    edit(world, made)
    assert drifted(world, made) == "was edited: lib/x.py; the next build replaces it"
    world.refuses = 503
    # Neither a release of what serves nor a way back asks the registry for it
    assert applied(world, made).outcome == "unchanged"
    assert world.files[f"{folder_of(made)}/lib/x.py"][0] == b"edited"
    world.refuses = 0
    applied(world, other)
    world.refuses = 503
    assert gone_back(world, made.id).outcome == "applied"


def test_compiled_python_files_are_not_drift():
    world = host()
    made = release(world.publish("recall", FILES))
    applied(world, made)
    edit(world, made, "lib/__pycache__/x.cpython-311.pyc")
    assert drift.drift(world) == []
    edit(world, made, "lib/new.py")
    assert drifted(world, made) == "was edited: lib/new.py; the next build replaces it"


def test_incomplete_artefact_is_drift_and_is_fetched_again():
    world = host()
    made = release(world.publish("recall", FILES))
    applied(world, made)
    edit(world, made, "bin/gunicorn")
    world.remove(f"{folder_of(made)}/lib/x.py")
    assert drifted(world, made) == "is incomplete; the next release fetches it again"
    applied(world, made)
    assert drift.drift(world) == []
    assert world.files[f"{PLACE}/.edited-{folder_of(made).rsplit('/', 1)[1]}/bin/gunicorn"][0] == b"edited"


def test_leftovers_of_failed_releases_are_removed_by_the_next():
    world = host()
    made, other = (release(world.publish("recall", {**FILES, "v": text})) for text in ("1", "2"))
    wrong = [release(world.publish("recall", {"v": str(number)})) for number in range(3)]
    applied(world, made)
    for one in wrong:
        assert "is not in it" in applied(world, one).line
    world.files[f"{artefacts.UNPACKING}/x"] = world.files[f"{COMING}/old"] = (b"x" * 1000, 0o600, "root", "root")
    applied(world, other)
    assert {f"{PLACE}/{name}" for name in world.listing(PLACE)} == {folder_of(made), folder_of(other)}


def test_partial_download_is_not_counted_twice_in_disk_space():
    world = host()
    made = release(world.publish("recall", FILES))
    (artefact,) = artefacts.absent(world, Release(made.id, made.manifest, []))
    whole = artefacts.bytes_needed(world, [artefact])
    world.files[f"{COMING}/{artefact.layers[0]['digest'][7:]}"] = (b"x" * 10, 0o600, "root", "root")
    assert artefacts.bytes_needed(world, [artefact]) == whole - 10


@pytest.mark.parametrize("places", [{"directories": [INTO]}, {"directories": [f"{INTO}/a"]}, {"files": [f"{INTO}/b"]}])
def test_release_does_not_write_through_the_link_of_an_earlier_artefact(places):
    """Root would give the artefact to an account, or write into it."""
    world = host()
    applied(world, release(world.publish("recall", FILES)))
    after = release(None, has=False)
    owner = {"mode": 0o775, "owner": "recall", "group": ""}
    more = {kind: [{"path": path, **owner, "sha256": digest(b"x")} for path in found] for kind, found in places.items()}
    manifest = {**after.manifest, **{kind: [*after.manifest[kind], *found] for kind, found in more.items()}}
    with pytest.raises(Refused, match="has the link to an artefact"):
        preflight.check_former_artefacts(store.current(world), Release("x", manifest, []))
    preflight.check_former_artefacts(store.current(world), Release("x", after.manifest, []))


def test_subpath_does_not_follow_a_link_out_of_the_artefact():
    world = host()
    world.tree = lambda folder: {"dist": "-> /etc", ".": "0 755 directory"}
    with pytest.raises(Refused, match=r"dist of recall@[0-9a-f]{12} is a link in the subpath of recall-api"):
        artefacts.check(world, Release("x", release(world.publish("recall", FILES), "dist").manifest, []))
