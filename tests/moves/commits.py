"""A client of a database that counts: each row is one whose commit the database confirmed, wherever it ran then."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

from tests.product import HOST
from tests.system.conftest import System
from tests.system.on import until

TABLE = "create table if not exists commits (id integer primary key)"


@dataclass(frozen=True)
class Database:
    """PostgreSQL in a container of a product's host, in whichever region that is."""

    system: System
    container: str
    user: str

    def answer(self, region: str, text: str) -> str | None:
        """What psql says; None where the database did not take it, or does not run there."""
        argv = ("docker", "exec", self.container, "psql", "-U", self.user, "-tAc", text)
        try:
            ran = self.system.on_host(*argv, host=HOST, region=region)
        except (AssertionError, LookupError, RuntimeError, subprocess.SubprocessError):
            # There is no such host for a moment, or it is stopped
            return None
        return ran.output if ran.code == 0 else None

    def query(self, region: str, text: str) -> str:
        said = self.answer(region, text)
        assert said is not None, f"{self.container} in {region} does not take {text!r}"
        return said

    def runs(self, region: str) -> bool:
        ran = self.system.on_host("docker", "ps", "--format", "{{.Names}}", host=HOST, region=region)
        return ran.code == 0 and self.container in ran.output.split()


@dataclass
class Commits:
    """`confirmed` are the rows of which the database said that they are in it, `gap` the longest time in seconds
    without one."""

    database: Database
    regions: tuple[str, str]
    begin: int
    confirmed: list[int] = field(default_factory=list[int])
    gap: float = 0.0
    is_over: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        """One row after the other; one that is not confirmed may be there or not, and is not tried again."""
        number, last = self.begin, monotonic()
        while not self.is_over.is_set():
            for region in self.regions:
                number += 1
                # A database without the table is not this one: a new host's own, before the data came
                if self.database.answer(region, f"insert into commits values ({number})") == "INSERT 0 1":
                    self.confirmed.append(number)
                    self.gap, last = max(self.gap, monotonic() - last), monotonic()
            sleep(0.1)

    def write_more(self) -> None:
        written = len(self.confirmed)
        until("the client writes", lambda: len(self.confirmed) > written + 3, 90)


@contextmanager
def committing(database: Database, here: str, there: str) -> Iterator[Commits]:
    """A client writes meanwhile, to whichever of two regions takes it; the database runs `here` when it begins. None of
    the confirmed rows may be missing at the end, where the database then runs."""
    database.query(here, TABLE)
    commits = Commits(database, (here, there), int(database.query(here, "select coalesce(max(id), 0) from commits")))
    client = threading.Thread(target=commits.write, daemon=True)
    client.start()
    try:
        commits.write_more()
        yield commits
        commits.write_more()
    finally:
        commits.is_over.set()
        client.join(150)
    home = there if database.runs(there) else here
    missing = sorted(set(commits.confirmed) - set(map(int, database.query(home, "select id from commits").split())))
    assert missing == [], f"{len(missing)} of {len(commits.confirmed)} confirmed commits are missing: {missing[:9]}"
