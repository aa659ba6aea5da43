"""A client of a database that counts: each row is one whose commit the database confirmed, wherever it ran then."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

TABLE = "create table if not exists commits (id integer primary key)"
# Region, statement → the database's answer; None where it did not take the statement
Query = Callable[[str, str], str | None]


@dataclass
class Commits:
    """`confirmed` are the rows of which the database said that they are in it, `gap` the longest time in seconds
    without one."""

    query: Query
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
                if self.query(region, f"insert into commits values ({number})") == "INSERT 0 1":
                    self.confirmed.append(number)
                    self.gap, last = max(self.gap, monotonic() - last), monotonic()
            sleep(0.1)


@contextmanager
def committing(query: Query, here: str, there: str) -> Iterator[Commits]:
    """The client writes meanwhile, to whichever of two regions takes it; the database runs `here` when it begins."""
    assert query(here, TABLE) == "CREATE TABLE", f"no database takes a table in {here}"
    begin = int(query(here, "select coalesce(max(id), 0) from commits") or 0)
    commits = Commits(query, (here, there), begin)
    client = threading.Thread(target=commits.write, daemon=True)
    client.start()
    try:
        yield commits
    finally:
        commits.is_over.set()
        client.join(60)
    assert commits.confirmed, "the client never wrote"
