"""Which version of a database an image is, by its name."""

import pytest

from catalogue.compose.database_versions import database_of
from catalogue.compose.keeping import data_paths

VERSIONS = {
    "docker.io/library/postgres:16.4-alpine": ("postgres", "16"),
    "docker.io/pgvector/pgvector:pg15": ("postgres", "15"),
    "docker.io/pgvector/pgvector:0.7.0-pg16": ("postgres", "16"),
    "docker.io/timescale/timescaledb:2.14.2-pg15": ("postgres", "15"),
    "docker.io/timescale/timescaledb:latest": ("postgres", ""),
    "docker.io/timescale/timescaledb-ha:pg16": ("postgres", "16"),
    "docker.io/postgis/postgis:16-3.4": ("postgres", "16"),
    "docker.io/tensorchord/pgvecto-rs:pg14-v0.2.0": ("postgres", "14"),
    "docker.io/library/mariadb:10.6": ("mariadb", "10.6"),
    "docker.io/library/mariadb:10.11.8": ("mariadb", "10.11"),
    "docker.io/library/mysql:8.0.36": ("mysql", "8.0"),
    "docker.io/library/mysql:8.4": ("mysql", "8.4"),
    "docker.io/library/mongo:6.0": ("mongo", "6.0"),
    "docker.io/library/redis:7.2": ("redis", "7"),
    "docker.io/library/redis:alpine": ("redis", ""),
    f"docker.io/library/postgres@sha256:{'0' * 64}": ("postgres", ""),
    "registry.example.com:5000/postgres:15": ("postgres", "15"),
    "mcr.microsoft.com/mssql/server:2022-latest": ("mssql/server", "2022"),
}


@pytest.mark.parametrize(("name", "database"), VERSIONS.items())
def test_version_of_a_database_is_read_from_the_name_of_its_image(name, database):
    assert database_of(name) == database


@pytest.mark.parametrize("name", ["ghcr.io/x/app:1.2", "docker.io/library/server:1", "shop-api"])
def test_image_of_another_program_is_no_database(name):
    assert database_of(name) is None


@pytest.mark.parametrize(
    "repository",
    ["timescale/timescaledb-ha", "mcr.microsoft.com/mssql/server", "cockroachdb/cockroach", "surrealdb/surrealdb",
     "redis/redis-stack", "redis/redis-stack-server", "tensorchord/pgvecto-rs"],
)  # fmt: skip
def test_database_that_its_last_name_does_not_show_is_known(repository):
    assert data_paths(repository)
