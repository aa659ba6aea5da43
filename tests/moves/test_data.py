"""A region move takes data along: PostgreSQL, between two regions and back, with failures, kills and cut connections in
the middle, while a client counts each row whose commit was confirmed. None of these is missing, and no two hosts
write."""

import re
from collections.abc import Iterator
from time import sleep

import pytest

from tests.moves.commits import Database, committing
from tests.moves.on import goes_to, move, must_move, opposite, other_region, points_to, stays_in
from tests.product import HOST
from tests.reader import Reader, in_lab
from tests.system.conftest import System
from tests.system.on import until

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
MARKS = "create table if not exists marks (id text primary key)"


@pytest.fixture(scope="module")
def reader(sydney: System) -> Iterator[Reader]:
    other_region(sydney)
    with in_lab(sydney) as made:
        sydney.must_up()
        yield made
        stays_in(sydney)


@pytest.fixture(scope="module")
def home(reader: Reader) -> tuple[str, str]:
    """The region where it runs when the first test begins, and the other one."""
    here = points_to(reader.system)
    assert here
    return here, opposite(here)


def database(reader: Reader) -> Database:
    return Database(reader.system, "reader-db", "reader")


def query(reader: Reader, region: str, text: str) -> str:
    return database(reader).query(region, text)


def writes(reader: Reader, region: str) -> bool:
    return database(reader).runs(region)


def mark(reader: Reader, region: str, id: str) -> None:
    """What no other database has."""
    query(reader, region, f"{MARKS}; insert into marks values ('{id}')")


def marks(reader: Reader, region: str) -> set[str]:
    return set(query(reader, region, "select id from marks").split())


def test_a_move_takes_the_data_along_and_the_old_host_rests(reader: Reader, home: tuple[str, str]) -> None:
    here, there = home
    mark(reader, here, "first")
    ticks = int(query(reader, here, "select count(*) from ticks"))
    checked = reader.system.command("infra", "move", there, "--check", "--stack", "lab")
    assert f"host {HOST}: its data is moved: /var/lib/docker/volumes/reader-db/_data" in checked.output
    with committing(database(reader), here, there) as commits:
        said = must_move(reader.system, there)
    line = re.search(r"in use; stopped for ([\d.]+) s, in which \d+ requests? got an error", said)
    # What the line says is what a client of the database saw, and not less
    assert line and commits.gap < 2 * float(line[1]) + 20, (line, commits.gap)
    report = max(reader.system.project.glob("move-lab-*.md"), key=lambda file: file.stat().st_mtime)
    assert "## Data" in report.read_text() and line[0] in report.read_text()
    assert marks(reader, there) == {"first"} and int(query(reader, there, "select count(*) from ticks")) >= ticks
    assert not writes(reader, here)
    assert reader.ask("/healthcheck") == (200, b"OK")
    assert reader.system.pulumi("preview", "--expect-no-changes").code == 0
    # A boot of the old host starts nothing that writes, nor does a release
    reader.system.on_host("systemctl", "start", "reader-db.service", host=HOST, region=here)
    assert not writes(reader, here)
    status = reader.system.command("infra", "status", "--stack", "lab")
    assert "healthy" in status.output


def test_a_copy_that_fails_leaves_the_old_host_serving(reader: Reader, home: tuple[str, str]) -> None:
    here, there = home
    mark(reader, there, "second")
    reader.system.on_host("mv", "/usr/bin/rsync", "/usr/bin/rsync.away", host=HOST, region=here)
    ran = move(reader.system, here)
    reader.system.on_host("mv", "/usr/bin/rsync.away", "/usr/bin/rsync", host=HOST, region=here)
    assert ran.code != 0 and "has no rsync, which the data is copied with" in ran.output, ran.output
    assert writes(reader, there) and not writes(reader, here) and "second" in marks(reader, there)
    assert reader.ask("/healthcheck") == (200, b"OK")


def test_failed_start_returns_the_data_to_the_old_host(reader: Reader, home: tuple[str, str]) -> None:
    here, there = home
    broken = "/etc/systemd/system/reader-db.service.d/broken.conf"
    spoil = f"mkdir -p {broken.rsplit('/', 1)[0]}; printf '[Service]\\nExecStartPre=/bin/false\\n' > {broken}"
    reader.system.on_host("sh", "-c", f"{spoil}; systemctl daemon-reload", host=HOST, region=here)
    ran = move(reader.system, here)
    reader.system.on_host("sh", "-c", f"rm {broken}; systemctl daemon-reload", host=HOST, region=here)
    assert ran.code != 0 and f"{HOST} in {there} still serves reader" in ran.output, ran.output
    assert writes(reader, there) and not writes(reader, here) and "second" in marks(reader, there)


def test_killed_move_leaves_one_writer_and_continues(reader: Reader, home: tuple[str, str]) -> None:
    here, _ = home
    for number, moment in enumerate(["serves meanwhile", "stops the services that write", "moved and in use"]):
        source = points_to(reader.system) or here
        target = opposite(source)
        mark(reader, source, f"kill{number}")
        goes_to(reader.system, target, source)
        with committing(database(reader), source, target):
            reader.system.up_killed_at(moment)
            # The lease of an update that is gone ends by itself
            until("one host writes", lambda t=target, s=source: writes(reader, t) != writes(reader, s), 90)
            must_move(reader.system, target)
            assert writes(reader, target) and not writes(reader, source)
        assert f"kill{number}" in marks(reader, target)
    assert reader.ask("/healthcheck") == (200, b"OK")


# The line after which the connections to a host break, seconds later, and whether the data comes from that host
CUTS = [
    ("serves meanwhile", 0.0, True),
    ("stops the services that write", 0.0, True),
    ("stops the services that write", 0.0, False),
    ("stops the services that write", 3.0, True),
    ("stops the services that write", 3.0, False),
]


@pytest.mark.parametrize(("moment", "later", "of_giver"), CUTS)
def test_cut_connections_leave_one_writer_and_lose_no_commit(
    reader: Reader, home: tuple[str, str], moment: str, later: float, of_giver: bool
) -> None:
    source = points_to(reader.system) or home[0]
    target = opposite(source)
    goes_to(reader.system, target, source)

    def break_connections(_: object) -> None:
        sleep(later)
        region = source if of_giver else target
        reader.system.on_host("pkill", "-KILL", "-f", "sshd: ubuntu@", host=HOST, region=region)

    with committing(database(reader), source, target):
        ran = reader.system.up_and(moment, break_connections)
        # Some of them are made again, and the move comes to its end; or it ends, and the lease does by itself
        until("one host writes", lambda: writes(reader, target) != writes(reader, source), 90)
        if ran.code:
            must_move(reader.system, target)
        assert writes(reader, target) and not writes(reader, source), ran.output
    assert reader.ask("/healthcheck") == (200, b"OK")
