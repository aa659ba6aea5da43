"""Secrets of the stack, as services get them."""

from catalogue.checks import check
from components.release import secrets_for
from rendering.host import render
from tests.catalogue.changes import configured, setting
from tests.support import catalogue


def test_a_value_that_services_of_a_system_share_is_given_once_and_each_may_have_its_own():
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
