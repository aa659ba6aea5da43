"""Secrets of the stack, as services get them."""

import bcrypt

from catalogue.checks import check
from components.passwords import hash_password
from components.release import secrets_for
from rendering.archive import build
from rendering.host import render
from tests.catalogue.changes import configured, setting
from tests.serving import SECRETS, shop
from tests.support import catalogue


def test_shared_secret_is_set_once_and_can_be_overridden():
    def both(data):
        setting("web", secrets=["TOKEN", "KEY"])(data)
        setting("admin", secrets=["TOKEN"])(data)

    given = {"watchme": {"TOKEN": "shared", "KEY": "k"}, "admin": {"TOKEN": "its own"}}
    made = catalogue(both, configured(secrets=given))
    assert not [problem for problem in check(made) if "secret" in str(problem)]
    assert made.secrets["web"] == {"TOKEN": "shared", "KEY": "k"} and made.secrets["admin"] == {"TOKEN": "its own"}
    rendered = render(made, "watchme")
    versions = {name: file.versions for file in rendered.environment_files for name in file.secrets.values()}
    assert {"web/TOKEN", "web/KEY", "admin/TOKEN"} <= {*versions} and all(versions.values())
    # A host gets what its own services name, and the group itself only by that
    sent = secrets_for(made, "watchme", {})
    assert sent["web"] == {"TOKEN": "shared", "KEY": "k"} and "watchme" not in sent


def test_a_given_secret_is_no_problem():
    made = catalogue(setting("web", secrets=["TOKEN"]), configured(secrets={"web": {"TOKEN": "x"}}))
    assert not [problem for problem in check(made) if problem.level == "error"]


def test_changed_site_password_makes_another_release_and_is_sent_as_a_hash(tmp_path, monkeypatch):
    made = shop(tmp_path, "nginx")
    sent = secrets_for(made, "box", {})
    assert {*sent["shop"]} == {"ALICE:bcrypt", "BOB:bcrypt"} and "correct horse" not in str(sent)
    first = build(render(made, "box", secrets=sent))
    # A preview, which has nothing to send, shows the same
    assert build(render(made, "box")).id == first.id
    monkeypatch.setitem(SECRETS["shop"], "ALICE", "another")
    again = shop(tmp_path, "nginx")
    second = build(render(again, "box", secrets=secrets_for(again, "box", {})))
    changed = {path for path in second.hashes if second.hashes[path] != first.hashes.get(path)}
    assert second.id != first.id and changed and all(path.startswith("/etc/nginx/users/") for path in changed)


def test_password_hash_is_deterministic_and_unique():
    found = hash_password("key", "shop.ALICE", "correct horse")
    assert found == hash_password("key", "shop.ALICE", "correct horse") and bcrypt.checkpw(
        b"correct horse", found.encode()
    )
    assert (
        len(
            {
                found,
                hash_password("key2", "shop.ALICE", "correct horse"),
                hash_password("key", "shop.BOB", "correct horse"),
            }
        )
        == 3
    )
