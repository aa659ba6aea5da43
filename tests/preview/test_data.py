"""What a preview says of data before a release changes where it is, or what reads it."""

import json
from typing import Any

import pytest

from infra.preview import steps
from infra.preview.data import changes
from infra.preview.formats.words import facts_of
from infra.preview.hosts import HostChange
from rendering.archive import manifest_of
from rendering.host import render
from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import DATA, with_database
from tests.support import catalogue, digests


def manifest(*more: Any) -> dict[str, Any]:
    change = both(with_database, *more)
    made = catalogue(change, configured(secrets={"db": {"POSTGRES_PASSWORD": "x"}}))
    return json.loads(json.dumps(manifest_of(render(made, "watchme", digests(change))), default=str))


def tagged(tag: str):
    return setting("db", image={"repository": "docker.io/library/postgres", "tag": tag})


CHANGES = {
    "another volume": (
        setting("db", volumes=[f"new:{DATA}"]),
        [f"data of db: {DATA} changes from web-db to new. Nothing is copied: do that by hand"],
    ),
    "another user": (
        setting("db", user="70:70"),
        [
            "data of db: runs as user 70:70 instead of its image's default user. Files keep their owner: change "
            "it with "
            "chown"
        ],
    ),
    "another place": (
        setting("db", volumes=["web-db:/elsewhere"]),
        [f"data of db: {DATA} is no longer web-db. The data in it stays, but db no longer sees it"],
    ),
    "another major version": (
        tagged("17.1"),
        [
            "data of db: version 16 → 17 of a database. Many do not start on the data of another major version: dump "
            "it before the change, and load it afterwards"
        ],
    ),
    "a minor version": (tagged("16.9"), []),
    "a digest": (
        setting("db", image={"repository": "docker.io/library/postgres", "digest": f"sha256:{'a' * 64}"}),
        [
            "data of db: postgres:16.4 → postgres@sha256:aaaaaaaaaaaa, and the names do not show whether the new image "
            "starts on the data that is there: dump it before the change, and load it afterwards where it does not"
        ],
    ),
    "another image of it": (
        setting("db", image={"repository": "docker.io/pgvector/pgvector", "tag": "pg16"}),
        [
            "data of db: postgres:16.4 → pgvector:pg16, another image of the same database's version. It may have other "
            "extensions, and sort texts in another way: take a dump before the change"
        ],
    ),
    "another C library": (
        tagged("16.4-alpine"),
        [
            "data of db: postgres:16.4 → postgres:16.4-alpine, another image of the same database's version. It may "
            "have other extensions, and sort texts in another way: take a dump before the change"
        ],
    ),
    "another program": (setting("worker", image={"repository": "other", "tag": "2"}), []),
    "only reading from now on": (
        setting("worker", volumes=["/srv/web/outbox:/outbox:ro", "/etc/localtime:/etc/localtime:ro"]),
        [],
    ),
}


def with_directory(*entries: dict[str, Any]):
    return lambda data: data.update(directories=[*data.get("directories", []), *entries])


def test_directory_of_a_product_that_changes_is_reported():
    place = {"path": "/srv/talks/uploads", "owner": "root"}
    was = manifest(with_directory(place))
    assert changes(was, manifest(with_directory(place | {"owner": "1000"}))) == [
        "the directory /srv/talks/uploads becomes 1000:1000's instead of root:root's. What is in it keeps its owner: "
        "change it with chown"
    ]
    assert changes(was, manifest(with_directory({"path": "/srv/talks/media", "owner": "root"}))) == [
        "the directory /srv/talks/uploads and what is in it stay, but the release does not have it any more. Nothing "
        "is copied or removed"
    ]


@pytest.mark.parametrize(("change", "lines"), CHANGES.values(), ids=CHANGES)
def test_change_of_data_is_reported_with_the_remedy(change, lines):
    assert changes(manifest(), manifest(change)) == lines


def test_release_step_is_reported_once_and_all_of_them_for_a_new_host():
    step = setting("web", release={"command": "python manage.py migrate", "limit": "2m"})
    line = (
        "the release step of web runs before the switch, once db is healthy: python manage.py migrate (120 s at "
        "most; if "
        "it fails, nothing is switched, or everything is rolled back)"
    )
    assert steps.changes(manifest(), manifest(step)) == [line] == steps.changes(None, manifest(step))
    assert steps.changes(manifest(step), manifest(step)) == [] == steps.changes(manifest(step), manifest())
    # A value that the image's command has nothing to do with makes it no other step
    assert steps.changes(manifest(step), manifest(step, setting("web", memory={"limit": "300m"}))) == []


def test_data_of_a_removed_service_is_reported_as_staying():
    def gone(data):
        data["services"] = [entry for entry in data["services"] if entry["name"] not in ("db", "worker")]
        setting("web", depends_on=[])(data)

    assert changes(manifest(), manifest(gone)) == [
        "data of db stays in web-db, but nothing uses it any more",
        "data of worker stays in /srv/web/outbox, but nothing uses it any more",
        "data of worker stays in /etc/localtime, but nothing uses it any more",
    ]


def test_earlier_release_without_data_has_no_report():
    old = manifest()
    for entry in old["containers"]:
        del entry["kept"]
    assert changes(old, manifest()) == [] and changes(None, manifest()) == []


def test_change_of_data_is_among_the_facts_of_a_host():
    assert list(facts_of(HostChange("box", "changed", data=["data of db: moved"]))) == ["data of db: moved"]
