"""Miniflux with PostgreSQL, a product of others: images of another registry, a database that keeps its data, a worker
without a port. Its program is the real one, built from its module; PostgreSQL is Debian's."""

import json
import re
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from lab import elsewhere
from tests.product import HOST
from tests.reader import NAME, POSTGRES, YAML, Reader, in_lab
from tests.system.conftest import System
from tests.system.on import destroy, until

pytestmark = [pytest.mark.lab, pytest.mark.nightly]


@pytest.fixture(scope="module")
def reader(system: System) -> Iterator[Reader]:
    with in_lab(system) as made:
        yield made


@pytest.fixture(scope="module")
def first(reader: Reader) -> str:
    """What the first release of it said."""
    previewed = reader.system.pulumi("preview", "--diff")
    assert previewed.code == 0, previewed.output
    return reader.system.must_up()


def test_a_first_release_brings_database_web_and_worker(reader: Reader, first: str) -> None:
    assert "copying docker.io/library/postgres:15.1 into ap-northeast-1" in first
    assert reader.ask("/healthcheck") == (200, b"OK")
    assert b"Miniflux" in reader.ask("/")[1]
    # The database has a table of Miniflux's and is reached by no port of the host
    assert int(reader.query("select count(*) from users")) == 1
    assert "5432" not in reader.on("ss", "-Hltn")
    assert reader.ticks() > 0
    image = reader.on("docker", "inspect", "-f", "{{.Config.Image}}", "reader-db")
    assert ".dkr.ecr.ap-northeast-1.amazonaws.com/docker.io/library/postgres@sha256:" in image


def test_second_update_changes_nothing(reader: Reader, first: str) -> None:
    previewed = reader.system.pulumi("preview", "--expect-no-changes")
    assert previewed.code == 0, previewed.output


def test_later_pushes_to_the_foreign_registry_change_nothing(reader: Reader, first: str) -> None:
    elsewhere.publish(reader.system.lab, "postgres", f"{POSTGRES}:15.1", note="built again")
    elsewhere.publish(reader.system.lab, "postgres", f"{POSTGRES}:15.2", note="newer")
    previewed = reader.system.pulumi("preview", "--expect-no-changes")
    assert previewed.code == 0, previewed.output
    said = reader.system.command("infra", "images", "--outdated", "--stack", "lab")
    assert said.code == 0 and "docker.io/library/postgres:15.1: here sha256:" in said.output, said.output
    assert "rebuilt since" in said.output and "newer: 15.2" in said.output and "miniflux" not in said.output


def test_a_bad_release_is_rolled_back_with_its_data_intact(reader: Reader, first: str) -> None:
    counted, database = reader.ticks(), reader.started("reader-db")
    reader.system.edit(YAML, "ADMIN_USERNAME: admin}", "ADMIN_USERNAME: admin, LISTEN_ADDR: '0.0.0.0:9999'}")
    with reader.system.configured(healthDeadline="20"):
        ran = reader.system.up()
    assert ran.code != 0 and "rolled back" in ran.output and "reader-web" in ran.output, ran.output
    reader.system.edit(YAML, ", LISTEN_ADDR: '0.0.0.0:9999'}", "}")
    assert reader.started("reader-db") == database, "the database had no part in it"
    assert reader.ask("/healthcheck") == (200, b"OK") and reader.ticks() >= counted


def test_unhealthy_database_is_reported_with_its_check_output(reader: Reader, first: str) -> None:
    counted = reader.ticks()
    reader.system.edit(YAML, "pg_isready -h 127.0.0.1 -U reader,", "echo the disk is on fire; exit 3,")
    with reader.system.configured(healthDeadline="30"):
        ran = reader.system.up()
    assert ran.code != 0 and "its health check ended with 3: the disk is on fire" in ran.output, ran.output
    reader.system.edit(YAML, "echo the disk is on fire; exit 3,", "pg_isready -h 127.0.0.1 -U reader,")
    assert reader.ask("/healthcheck") == (200, b"OK") and reader.ticks() >= counted


def test_a_newer_database_starts_on_the_same_data(reader: Reader, first: str) -> None:
    counted = reader.ticks()
    reader.system.edit(YAML, 'tag: "15.1"} # copied', 'tag: "15.2"} # copied')
    reader.system.must_up()
    assert reader.ticks() >= counted and int(reader.query("select count(*) from users")) == 1
    assert reader.ask("/healthcheck") == (200, b"OK")


TABLE = "create table if not exists ticks (at timestamptz default now())"


def test_a_failed_migration_leaves_the_old_version_serving(reader: Reader, first: str) -> None:
    worker, counted = reader.started("reader-worker"), reader.ticks()
    reader.system.edit(YAML, TABLE, "alter table no_such_table add column note text")
    ran = reader.system.up()
    assert ran.code != 0 and "release step release of reader-worker ended with 1" in ran.output, ran.output
    assert 'relation "no_such_table" does not exist' in ran.output and "nothing switched" in ran.output
    assert reader.started("reader-worker") == worker and reader.ticks() >= counted
    assert "infra-step-" not in reader.on("docker", "ps", "-a", "--format", "{{.Names}}")
    assert "no_such_table" in reader.on("journalctl", "-u", "reader-worker", "-n", "50"), "its output is in the log"
    reader.system.edit(YAML, "alter table no_such_table add column note text", TABLE)


def test_migration_of_an_upgrade_runs_once_before_the_switch(reader: Reader, first: str) -> None:
    counted, database = reader.ticks(), reader.started("reader-db")
    reader.system.edit(YAML, TABLE, f"{TABLE}; alter table ticks add column if not exists note text default $$new$$")
    reader.system.edit(YAML, "insert into ticks default values", "insert into ticks (note) values ($$of it$$)")
    said = reader.system.pulumi("preview", "--diff")
    assert said.code == 0, said.output
    assert "running release step release of reader-worker" in reader.system.must_up()
    until(
        "the new version writes", lambda: int(reader.query("select count(*) from ticks where note = 'of it'")) > 0, 30
    )
    assert int(reader.query("select count(*) from ticks where note = 'new'")) >= counted
    assert reader.started("reader-db") == database
    # Neither going back nor coming again runs it
    newest = reader.on("readlink", "/var/lib/infra/current").strip().rsplit("/", 1)[1]
    for wanted in ([], [newest[:12]]):
        ran = reader.system.command("infra", "rollback", "--stack", "lab", "--host", HOST, *wanted)
        assert ran.code == 0 and "running release step" not in ran.output, ran.output
    assert reader.ask("/healthcheck") == (200, b"OK")


def test_data_without_a_place_is_refused_before_anything_is_touched(reader: Reader, first: str) -> None:
    database = reader.started("reader-db")
    reader.system.edit(YAML, "tmpfs: [/var/lib/postgresql/data] # this", "init: true # this")
    checked = reader.system.command("infra", "check", "--stack", "lab")
    assert (
        checked.code != 0
        and "service reader-worker: its image keeps data in /var/lib/postgresql/data" in checked.output
    )
    reader.system.edit(YAML, "init: true # this", "tmpfs: [/var/lib/postgresql/data] # this")
    assert reader.started("reader-db") == database


def test_services_return_after_a_restart_of_docker(reader: Reader, first: str) -> None:
    counted = reader.ticks()
    reader.on("systemctl", "restart", "docker")
    until("the reader is back", lambda: reader.ask("/healthcheck") == (200, b"OK"), 90)
    assert reader.ticks() >= counted
    database, web = (reader.started(name).split()[1] for name in ("reader-db", "reader-web"))
    assert database < web


def test_removed_service_leaves_its_data(reader: Reader, first: str) -> None:
    counted, config = reader.ticks(), reader.system.lab.config_file
    with_reader = config.read_text()
    for key in (f"hosts.{HOST}.systems[1]", "secrets.reader-db", "secrets.reader-web", "secrets.reader"):
        reader.system.unset(f"infra:{key}")
    reader.system.must_up()
    assert "reader-db" not in reader.on("docker", "ps", "-a", "--format", "{{.Names}}")
    assert "reader-db" in reader.on("docker", "volume", "ls", "-q").split()
    config.write_text(with_reader)
    reader.system.must_up()
    assert reader.ticks() >= counted and reader.ask("/healthcheck") == (200, b"OK")


def set_secrets(reader: Reader, values: dict[str, str]) -> None:
    for name, value in values.items():
        ran = reader.system.command("infra", "secret", "set", name, "--stack", "lab", stdin=value)
        assert ran.code == 0, ran.output


def test_second_instance_runs_with_its_own_data(reader: Reader, first: str) -> None:
    """The same system for trying things out: its containers reach the names of the file, and mean their own."""
    config, place = reader.system.lab.config_file, f"infra:hosts.{HOST}.systems[2]"
    before, ids = config.read_text(), [reader.started(name) for name in ("reader-db", "reader-web", "reader-worker")]
    reader.system.set(f"{place}.system", "reader")
    reader.system.set(f"{place}.as", "reader-trial")
    reader.system.set(f'{place}.names["{NAME}"]', f"trial-{NAME}")
    missing = reader.system.command("infra", "check", "--stack", "lab")
    assert "infra secret set reader-trial-db.POSTGRES_PASSWORD" in missing.output, missing.output
    url = "postgres://reader:another@reader-db/reader?sslmode=disable"
    set_secrets(
        reader,
        {
            "reader-trial-db.POSTGRES_PASSWORD": "another", "reader-trial.DATABASE_URL": url,
            "reader-trial-web.ADMIN_PASSWORD": "another-one",
        },
    )  # fmt: skip
    reader.system.must_up()
    for name in (NAME, f"trial-{NAME}"):
        assert reader.system.ask("GET", "/healthcheck", name=name)[::2] == (200, b"OK"), name
    tables = "select count(*) from information_schema.tables where table_name = 'ticks'"
    query = ("psql", "-U", "reader", "-tAc")
    assert int(reader.on("docker", "exec", "reader-trial-db", *query, tables)) == 1
    reader.query("create table only_here (id int)")
    here = "select count(*) from information_schema.tables where table_name = 'only_here'"
    assert int(reader.on("docker", "exec", "reader-trial-db", *query, here)) == 0
    reader.query("drop table only_here")
    assert [reader.started(name) for name in ("reader-db", "reader-web", "reader-worker")] == ids, "the first restarted"
    # Without it the first is as it was, and the data of the second is kept
    config.write_text(before)
    reader.system.must_up()
    assert "reader-trial" not in reader.on("docker", "ps", "-a", "--format", "{{.Names}}")
    assert "reader-trial-db" in reader.on("docker", "volume", "ls", "-q")
    assert [reader.started(name) for name in ("reader-db", "reader-web", "reader-worker")] == ids


PEEK = """
  - name: peek
    kind: compose
    purpose: Looks at the host
    image: {repository: docker.io/library/postgres, tag: "15.1"}
    entrypoint: [/bin/sleep, infinity]
    network_mode: host
    volumes: ["/var/run/docker.sock:/var/run/docker.sock", "/var/log:/logs:ro"]
    tmpfs: [/var/lib/postgresql/data]
    exceptions: {host-network: finds devices, docker-socket: shows logs, host-paths: shows logs}
    memory: {limit: 32m}
"""


def test_exceptions_apply_with_a_reason_and_are_removed(reader: Reader, first: str) -> None:
    """A port of the world, the host's own network, and Docker's socket."""
    database = reader.started("reader-db")
    file = reader.system.project / YAML
    before = file.read_text()
    reader.system.edit(YAML, "    init: true\n", '    init: true\n    publish: ["8044:8080"]\n')
    refused = reader.system.command("infra", "check", "--stack", "lab")
    assert refused.code != 0 and "it is public at 8044/tcp, without the proxy" in refused.output, refused.output
    reader.system.edit(YAML, '"8044:8080"]\n', '"8044:8080"]\n    exceptions: {public-ports: apps on phones}\n' + PEEK)
    previewed = reader.system.command("infra", "preview", "--stack", "lab")
    assert "public-ports: reader-web: it is public at 8044/tcp" in previewed.output, previewed.output
    assert "docker-socket: peek: Docker's socket" in previewed.output and "(shows logs)" in previewed.output
    reader.system.must_up()
    address = json.loads(reader.system.output("addresses"))[HOST]
    with urlopen(f"http://{address}:8044/healthcheck", timeout=20) as answer:
        assert answer.read() == b"OK"
    peek = ("docker", "inspect", "-f", "{{.HostConfig.NetworkMode}} {{.State.Running}}", "peek")
    assert reader.on(*peek).split() == ["host", "true"]
    assert "docker.sock" in reader.on("docker", "exec", "peek", "ls", "/var/run")
    assert "reader-web" in reader.on("docker", "ps", "--filter", "publish=8044/tcp", "--format", "{{.Names}}")
    # No alert condition takes it for a fault, and no drift
    looked = reader.system.on_host("/usr/local/bin/infra-monitor", "--quiet", host=HOST).output
    assert "peek" not in looked and "8044" not in looked, looked
    file.write_text(before)
    reader.system.must_up()
    with pytest.raises(OSError):
        urlopen(f"http://{address}:8044/healthcheck", timeout=3)
    assert "peek" not in reader.on("docker", "ps", "-a", "--format", "{{.Names}}")
    assert reader.started("reader-db") == database


def infra(reader: Reader, *argv: str) -> str:
    ran = reader.system.command("infra", "backup", *argv, "--stack", "lab")
    assert ran.code == 0, ran.output
    return ran.output


def test_a_backup_is_made_tried_and_verified(reader: Reader, first: str) -> None:
    said = infra(reader, "now")
    assert re.search(r"box: reader-db: backup [0-9a-f]{8}, [0-9.]+ MiB in \d+ s", said), said
    database = reader.started("reader-db")
    assert "started on it and healthy" in infra(reader, "drill", "reader-db")
    assert "infra-drill" not in reader.on("docker", "ps", "-a", "--format", "{{.Names}}")
    assert "infra-drill" not in reader.on("docker", "volume", "ls", "-q") and reader.started("reader-db") == database
    assert "no errors found" in infra(reader, "verify", "--all")
    assert "reader-db: 1 backup (the last one" in infra(reader, "list")
    # By its timer too, and with the password nowhere but in its file
    reader.on("systemctl", "start", "infra-backup-reader-db.service")
    assert "reader-db: 2 backups" in infra(reader, "list")
    assert reader.on("systemctl", "is-active", "infra-backup-reader-db.timer").strip() == "active"


def test_a_host_cannot_reach_the_backups_of_another(reader: Reader, first: str) -> None:
    script = "set -a; . /etc/infra/backup.env; RESTIC_REPOSITORY=${RESTIC_REPOSITORY%/*}/other restic snapshots"
    refused = reader.system.on_host("bash", "-c", script, host=HOST)
    assert refused.code != 0 and "denied" in refused.output.lower(), refused.output


def test_mistake_in_the_data_is_undone_from_a_backup(reader: Reader, first: str) -> None:
    infra(reader, "now", "reader-db")
    counted, web = reader.ticks(), reader.started("reader-web")
    reader.query("delete from ticks; delete from users")
    said = infra(reader, "restore", "reader-db", "--yes")
    assert "and healthy; started: " in said and "what was there is kept at /var/lib/docker/volumes/reader-db/" in said
    assert reader.ticks() >= counted - 20 and int(reader.query("select count(*) from users")) == 1
    assert reader.ask("/healthcheck") == (200, b"OK") and reader.started("reader-web") != web
    growing = reader.ticks()
    until("the worker writes again", lambda: reader.ticks() > growing, 30)


def test_failed_restore_leaves_the_existing_data(reader: Reader, first: str) -> None:
    counted = reader.ticks()
    # What loads the dump, in the release as the host keeps it
    kept, aside = "/var/lib/infra/current/manifest.json", "/root/manifest.json"
    reader.on("cp", kept, aside)
    reader.on("sed", "-i", "s/ON_ERROR_STOP=1/ON_ERROR_STOP=1 --no-such-option/", kept)
    ran = reader.system.command("infra", "backup", "restore", "reader-db", "--yes", "--stack", "lab")
    reader.on("cp", aside, kept)
    assert ran.code != 0 and "and its earlier data is back in place" in ran.output, ran.output
    assert reader.ticks() >= counted and reader.ask("/healthcheck") == (200, b"OK")


def test_a_lost_host_gets_its_data_from_a_backup_in_another_region(reader: Reader, first: str) -> None:
    infra(reader, "now", "reader-db")
    counted = reader.ticks()
    destroy(reader.system, HOST)
    reader.system.must_up()
    assert int(reader.query("select count(*) from ticks")) < counted, "a new host has an empty database"
    infra(reader, "restore", "reader-db", "--yes")
    assert reader.ticks() >= counted - 20 and int(reader.query("select count(*) from users")) == 1
    assert reader.ask("/healthcheck") == (200, b"OK")
