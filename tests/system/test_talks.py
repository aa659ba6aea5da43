"""A Django product of others by its own compose file: web, worker, scheduler, Redis, PostgreSQL and a migration. Its
program is the real one from PyPI; Redis and PostgreSQL are Debian's."""

from collections.abc import Iterator

import pytest

from tests.product import HOST, publish
from tests.system.conftest import System
from tests.system.on import destroy, until
from tests.talks import COMPOSE, FIRST, LATER, YAML, Talks, image, in_lab

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
PERSON = "from pretalx.person.models import User; print(User.objects.create_user(email='{}', password='x').pk)"
# What a worker does, and says when it has: its answer comes by way of Redis
TASK = "from pretalx.celery_app import app; print(app.control.ping(timeout=20))"


@pytest.fixture(scope="module")
def talks(system: System) -> Iterator[Talks]:
    with in_lab(system) as made:
        yield made


@pytest.fixture(scope="module")
def first(talks: Talks) -> str:
    """What the first release of it said."""
    said = talks.system.must_up()
    talks.django(PERSON.format("first@example.com"))
    return said


def test_first_release_starts_the_product(talks: Talks, first: str) -> None:
    assert "copying docker.io/pretalx/standalone:v2025.1.0 into ap-northeast-1" in first
    assert "running release step migrate of web" in first
    status, page = talks.ask("/orga/login/")
    assert status == 200 and b"pretalx" in page
    assert talks.people() == ["first@example.com"] and int(talks.query("select count(*) from django_migrations")) > 100
    listening = talks.on("ss", "-Hltn")
    assert "127.0.0.1:8345" in listening and "6379" not in listening and "5432" not in listening
    assert "pong" in talks.django(TASK)
    running = talks.on("docker", "ps", "--format", "{{.Names}}").split()
    assert sorted(running) == ["db", "redis", "scheduler", "web", "worker"]


def test_second_update_changes_nothing(talks: Talks, first: str) -> None:
    previewed = talks.system.pulumi("preview", "--expect-no-changes")
    assert previewed.code == 0, previewed.output


def test_a_bad_release_is_rolled_back_with_its_data_intact(talks: Talks, first: str) -> None:
    database = talks.started("db")
    talks.system.edit(COMPOSE, "command: web", "command: webb")
    with talks.system.configured(healthDeadline="60"):
        ran = talks.system.up()
    assert ran.code != 0 and "rolled back on box: web" in ran.output and "Unknown command" in ran.output, ran.output
    talks.system.edit(COMPOSE, "command: webb", "command: web")
    assert talks.started("db") == database and talks.people() == ["first@example.com"]
    assert talks.ask("/orga/login/")[0] == 200


def test_a_migration_that_fails_is_refused_and_the_old_version_serves(talks: Talks, first: str) -> None:
    web = talks.started("web")
    talks.system.edit(COMPOSE, "command: migrate", "command: migrat")
    ran = talks.system.up()
    assert ran.code != 0 and "release step migrate of web ended with 1" in ran.output, ran.output
    assert "Unknown command: 'migrat'" in ran.output and "nothing switched" in ran.output
    talks.system.edit(COMPOSE, "command: migrat\n", "command: migrate\n")
    assert talks.started("web") == web and talks.ask("/orga/login/")[0] == 200


def test_an_upgrade_migrates_its_data(talks: Talks, first: str) -> None:
    publish(talks.system, image(LATER))
    database, migrations = talks.started("db"), int(talks.query("select count(*) from django_migrations"))
    talks.system.edit(YAML, f"v{FIRST}", f"v{LATER}")
    # The makers' own file changes too, as theirs does with a version
    talks.system.edit(COMPOSE, "stop_grace_period: 1m", "stop_grace_period: 90s")
    previewed = talks.infra("preview", "--whole")
    assert "migrate" in previewed and f"v{LATER}" in previewed, previewed
    assert "-    stop_grace_period: 1m" in previewed and "+    stop_grace_period: 90s" in previewed, previewed
    said = talks.system.must_up()
    assert said.count("running release step migrate of web") >= 1
    assert talks.django("import pretalx; print(pretalx.__version__)").endswith(LATER)
    assert int(talks.query("select count(*) from django_migrations")) > migrations
    assert talks.people() == ["first@example.com"] and talks.started("db") == database
    assert talks.ask("/orga/login/")[0] == 200 and "pong" in talks.django(TASK)


def test_a_lost_host_gets_database_and_uploads_from_backups(talks: Talks, first: str) -> None:
    talks.on("docker", "exec", "web", "sh", "-c", "mkdir -p /data/media && echo picture > /data/media/x.txt")
    said = talks.infra("backup", "now")
    assert "db: backup" in said and "web: backup" in said, said
    destroy(talks.system, HOST)
    talks.system.must_up()
    assert talks.people() == [], "a new host has an empty database"
    for service in ("db", "web"):
        talks.infra("backup", "restore", service, "--yes")
    assert talks.people() == ["first@example.com"]
    assert talks.on("docker", "exec", "web", "cat", "/data/media/x.txt").strip() == "picture"
    until("its pages are back", lambda: talks.ask("/orga/login/")[0] == 200, 60)
