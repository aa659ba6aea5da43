"""What a preview says of environments of Python before a release."""

import json

import pytest

from infra.preview.environments import changes
from tests.agent.locked import release
from tests.agent.parcels import ParcelWorld

NEW = "environment of recall-api: new, made on the host before it is switched"


def manifest(*words, **own):
    return json.loads(json.dumps(release(*words, **own).manifest))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (manifest("2.0"), "environment of recall-api: new (lock changed), made on the host before it is switched"),
        (
            manifest(version="3.11"),
            "environment of recall-api: new (version of Python changed), made on the host before it is switched",
        ),
        (
            manifest(extras=("fast",)),
            "environment of recall-api: new (groups or extras changed), made on the host before it is switched",
        ),
        ({**manifest(), "keep": 7}, "environment of recall-api: unchanged"),
    ],
)
def test_change_of_an_environment_is_one_line(after, said):
    assert changes(manifest(), after) == [said]


def test_first_environment_is_new_and_unchanged_one_not_reported():
    assert changes(None, manifest()) == changes(manifest(has=False), manifest()) == [NEW]
    assert (
        changes(manifest(), manifest()) == changes(manifest(), None) == changes(manifest(), manifest(has=False)) == []
    )


def test_lock_inside_an_artefact_is_reported_as_possibly_changed():
    world = ParcelWorld()
    one, other = (manifest(artefact=world.publish("recall", {"app.py": text})) for text in ("1", "2"))
    assert changes(one, other) == [
        "environment of recall-api: made before it is switched, if the lock in the new artefact is another one"
    ]
    assert changes(manifest(), one) == [
        "environment of recall-api: new (lock changed), made on the host before it is switched"
    ]
