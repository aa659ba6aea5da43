"""Secrets that containers read from files: written whole, hidden in drift and known to masks."""

from agent import drift, store
from agent.contents import contents
from tests.agent.releases import applied, release, world_for
from tests.catalogue.changes import configured, setting

BY_FILE = setting("web", secret_files={"/run/secrets/db_password": "DB_PASSWORD"})
SECRETS = {"web": {"DB_PASSWORD": "hunter2 and more"}}
VALUES = configured(secrets=SECRETS)


def place_of(made):
    items = made.manifest["environment_files"]
    return next(item["path"] for item in items if item["path"].endswith("/secrets/web/run/secrets/db_password"))


def test_secret_file_holds_the_value_alone():
    made = release(BY_FILE, VALUES)
    world = world_for(made)
    assert applied(world, made, secrets=SECRETS).code == 0
    path = place_of(made)
    assert world.files[path] == (b"hunter2 and more", 0o444, "root", "root")
    assert "hunter2 and more" in store.secrets_of(world, store.current(world).id)


def test_secret_file_edited_by_hand_is_drift_and_is_not_shown():
    made = release(BY_FILE, VALUES)
    world = world_for(made)
    assert applied(world, made, secrets=SECRETS).code == 0
    path = place_of(made)
    world.files[path] = (b"other words", 0o444, "root", "root")
    (finding,) = [item for item in drift.drift(world, []) if item["path"] == path]
    assert finding == {"path": path, "found": "was edited", "diff": "[another text, not shown]"}
    shown = str(contents(world))
    assert "other words" not in shown and "hunter2" not in shown and "[another value, not shown]" in shown
