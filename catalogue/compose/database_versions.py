"""Which version of a database an image is: data of one is not read by every other. Pure."""

import re
from typing import NamedTuple

from catalogue.compose.keeping import data_paths, key_of

# Databases of which images of several names are made, by what the name has in it
FAMILIES = {
    "postgres": ("postgres", "postgis", "pgvector", "timescaledb", "pgvecto-rs", "supabase"),
    "mysql": ("mysql", "percona"),
    "mariadb": ("mariadb",),
    "redis": ("redis", "valkey", "keydb"),
    "mongo": ("mongo",),
}
# Where a change of the second number is one of the data's form too
TWO_NUMBERS = {"mysql", "mariadb", "mongo", "cassandra", "cockroach", "scylla"}
_OF_POSTGRES = re.compile(r"(?:^|[^a-z])pg(\d{1,2})(?!\d)")
_NUMBERS = re.compile(r"v?(\d+)(?:\.(\d+))?")


class Database(NamedTuple):
    """What an image runs, such as postgres 16; an unknown version is ""."""

    family: str
    version: str


def database_of(name: str) -> Database | None:
    """The database that an image is by its whole name (with tag or digest); None for what is none that is known."""
    repository, _, digest = name.partition("@")
    head, colon, tag = repository.rpartition(":")
    repository, tag = (head, tag) if colon and "/" not in tag else (repository, "")
    if not data_paths(repository):
        return None
    key = key_of(repository)
    family = next((family for family, words in FAMILIES.items() if any(word in key for word in words)), key)
    return Database(family, "" if digest else _version(family, key, tag))


def _version(family: str, key: str, tag: str) -> str:
    match = _OF_POSTGRES.search(tag) if family == "postgres" else None
    if match:
        return match[1]
    if family == "postgres" and "timescaledb" in key:
        # Its own number, and not that of the database
        return ""
    numbers = _NUMBERS.match(tag)
    if numbers is None:
        return ""
    return f"{numbers[1]}.{numbers[2]}" if family in TWO_NUMBERS and numbers[2] else numbers[1]
