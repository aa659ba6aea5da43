"""A region move takes a product by its makers' compose file along: PostgreSQL, a queue and what was uploaded, while a
client counts each row whose commit was confirmed."""

from collections.abc import Iterator

import pytest

from tests.moves.commits import Database, committing
from tests.moves.on import must_move, opposite, other_region, points_to, stays_in
from tests.product import HOST
from tests.system.conftest import System
from tests.system.on import until
from tests.talks import Talks, in_lab

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
PERSON = "import django; django.setup(); from pretalx.person.models import User; User.objects.create_user(email='{}')"
# What a worker does, and says when it has: its answer comes by way of Redis
TASK = "import django; django.setup(); from pretalx.celery_app import app; print(app.control.ping(timeout=20))"  # fmt: skip
UPLOAD = "/data/media/x.txt"


@pytest.fixture(scope="module")
def talks(sydney: System) -> Iterator[Talks]:
    other_region(sydney)
    with in_lab(sydney) as made:
        sydney.must_up()
        yield made
        stays_in(sydney)


def in_web(talks: Talks, region: str, *argv: str) -> str:
    ran = talks.system.on_host("docker", "exec", "web", *argv, host=HOST, region=region)
    assert ran.code == 0, ran.output
    return ran.output


def test_a_move_takes_database_uploads_and_queue_along(talks: Talks) -> None:
    here = points_to(talks.system)
    assert here
    there, database = opposite(here), Database(talks.system, "db", "pretalx")
    in_web(talks, here, "python3", "-c", PERSON.format("first@example.com"))
    in_web(talks, here, "sh", "-c", f"mkdir -p /data/media && echo picture > {UPLOAD}")
    migrations = database.query(here, "select count(*) from django_migrations")
    with committing(database, here, there):
        said = must_move(talks.system, there)
    assert "in use; stopped for" in said, said
    assert database.query(there, "select email from person_user") == "first@example.com"
    assert database.query(there, "select count(*) from django_migrations") == migrations
    assert in_web(talks, there, "cat", UPLOAD).strip() == "picture"
    assert "pong" in in_web(talks, there, "python3", "-c", TASK)
    # Nothing that writes runs where the data was
    for container in ("db", "web", "worker", "scheduler"):
        assert not Database(talks.system, container, "").runs(here)
    until("its pages are there", lambda: talks.ask("/orga/login/")[0] == 200, 60)
    assert talks.system.pulumi("preview", "--expect-no-changes").code == 0
