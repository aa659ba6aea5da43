"""A compose file of a product's makers, as it is: nothing of it is dropped in silence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from catalogue.compose.variables import filled, missing
from catalogue.loading import read_system
from catalogue.models import System
from catalogue.problems import CatalogueError

# As Paperless-ngx and many others write theirs
UPSTREAM = """
version: "3.4"
x-common: &common
  restart: unless-stopped
services:
  broker:
    <<: *common
    image: docker.io/library/redis:7
    volumes: [redisdata:/data]
  db:
    image: postgres:16
    restart: unless-stopped
    volumes:
      - pgdata:/var/lib/postgresql/data
    environment:
      POSTGRES_DB: paperless
      POSTGRES_USER: paperless
      POSTGRES_PASSWORD: ${DB_PASS}
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U $$POSTGRES_USER"]
      interval: 5s
  webserver:
    image: ghcr.io/paperless-ngx/paperless-ngx:${PAPERLESS_TAG:-2.13}
    restart: unless-stopped
    depends_on:
      db: {condition: service_healthy}
      broker: {condition: service_started}
    ports: ["8000:8000"]
    volumes:
      - data:/usr/src/paperless/data
      - ./export:/usr/src/paperless/export
    mem_limit: 512m
    environment:
      PAPERLESS_REDIS: redis://broker:6379
      PAPERLESS_DBHOST: db
      PAPERLESS_DBPASS: ${DB_PASS}
      PAPERLESS_URL: ${URL}
  tika:
    profiles: [extra]
    image: docker.io/apache/tika:2.9
volumes:
  pgdata:
  redisdata:
  data: {name: paperless-files}
"""
OWN: dict[str, Any] = {
    "system": "paperless", "document": "x",
    "network": {"name": "paperless", "subnet": "172.30.9.0/24", "gateway": "172.30.9.1", "unit": "paperless.service"},
    "compose": {"file": "paperless/docker-compose.yml", "variables": {"URL": "https://docs.example.com"}},
    "sites": [{"name": "docs.example.com", "challenge": "http-01"}],
    "services": [
        {"name": "webserver", "purpose": "Documents", "port": 8050, "routes": [{"public": "/"}],
         "secrets": ["PAPERLESS_DBPASS"], "environment": {"PAPERLESS_OCR_LANGUAGE": "jpn"}},
        {"name": "db", "purpose": "Database", "memory": {"limit": "256m"}, "secrets": ["POSTGRES_PASSWORD"]},
        {"name": "broker", "purpose": "Queue", "memory": {"limit": "64m"}},
    ],
}  # fmt: skip


def read(tmp_path: Path, upstream: str = UPSTREAM, **own: Any) -> System:
    static = tmp_path / "files/static/paperless"
    static.mkdir(parents=True)
    (static / "docker-compose.yml").write_text(upstream)
    path = tmp_path / "files/systems/paperless.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(OWN | own))
    return read_system(path)


def services(system: System) -> dict[str, dict[str, Any]]:
    return {service.name: service.model_dump(exclude_defaults=True) for service in system.services}


def test_what_it_says_and_what_is_our_own(tmp_path):
    found = services(read(tmp_path))
    web, db, broker = found["webserver"], found["db"], found["broker"]
    assert list(found) == ["webserver", "db", "broker"], "in the catalogue's order"
    assert web["image"] == {"repository": "ghcr.io/paperless-ngx/paperless-ngx", "tag": "2.13"}
    assert (web["port"], web["container_port"], web["memory"]) == (8050, 8000, {"limit": "512m"})
    assert web["environment"] == {
        "PAPERLESS_REDIS": "redis://broker:6379", "PAPERLESS_DBHOST": "db", "PAPERLESS_URL": "https://docs.example.com",
        "PAPERLESS_OCR_LANGUAGE": "jpn",
    }  # fmt: skip
    assert web["depends_on"] == {"db": {"condition": "service_healthy"}, "broker": {}}
    assert [(mount["source"], mount["target"]) for mount in web["volumes"]] == [
        ("paperless-files", "/usr/src/paperless/data"), ("/opt/paperless/export", "/usr/src/paperless/export"),
    ]  # fmt: skip
    # As Compose calls it after its project, so that data which is there is found again
    assert db["volumes"][0]["source"] == "paperless_pgdata"
    assert db["health"] == {"command": "pg_isready -U $POSTGRES_USER", "interval": "5s"}
    assert db["environment"] == {"POSTGRES_DB": "paperless", "POSTGRES_USER": "paperless"}
    assert (
        broker["image"] == {"repository": "docker.io/library/redis", "tag": "7"} and broker["compose_key"] == "broker"
    )


# What is changed in the file, and the one line about it
REFUSED = {
    "a key that is not understood": (
        ("    mem_limit: 512m\n", "    mem_limit: 512m\n    privileged: true\n"),
        "files/static/paperless/docker-compose.yml: service webserver: privileged: the catalogue has no such option; "
        "change the file, or leave it out: without: [privileged] for the service in the catalogue",
    ),
    "a service that the catalogue does not name": (
        ("  tika:\n    profiles: [extra]\n", "  tika:\n"),
        "service tika: the catalogue does not name it; an entry under services of the catalogue: {name: tika",
    ),
    "a variable without a value": (
        ("PAPERLESS_DBHOST: db", "PAPERLESS_DBHOST: ${DB_HOST}"),
        "service webserver: environment.PAPERLESS_DBHOST: ${DB_HOST} has no value; name PAPERLESS_DBHOST under secrets",
    ),
    "a variable elsewhere": (
        ("image: postgres:16", "image: postgres:${VERSION}"),
        "service db: image: ${VERSION} has no value; compose: {variables: {VERSION: …}} in the catalogue",
    ),
    "a file of variables": (
        ("    mem_limit: 512m\n", "    env_file: docker-compose.env\n"),
        "service webserver: env_file: its file is not here: write its variables under environment and secrets",
    ),
    "a volume without a name": (("[redisdata:/data]", "[/data]"), "service broker: volumes: /data is a volume without a name"),
    "two ports": (('["8000:8000"]', '["8000:8000", "9000:9000"]'), "ports: more than one port is published"),
    "a range of ports": (('["8000:8000"]', '["8000-8010:8000-8010"]'), "ports: 8000-8010:8000-8010 is no single port"),
    "one that runs once": (("  broker:\n    <<: *common", '  broker:\n    restart: "no"'), "restart: it runs once"),
    "top level": (("volumes:\n  pgdata:", "secrets: {x: {file: x}}\nvolumes:\n  pgdata:"), "yml: secrets: is not understood"),
    "memory that is no size": (("mem_limit: 512m", "mem_limit: lots"), "service webserver: mem_limit: found 'lots'"),
    "no services": ((UPSTREAM, "volumes: {}"), "yml: file: has no services"),
    "a service that is a word": (("  tika:\n    profiles: [extra]\n    image: docker.io/apache/tika:2.9", "  db2: x"), "service db2: is no mapping"),
    "no yaml": ((UPSTREAM, "services: ["), "files/static/paperless/docker-compose.yml"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "line"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_dropped_in_silence(tmp_path, change, line):
    assert change[0] in UPSTREAM
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, UPSTREAM.replace(*change))
    assert line in "\n".join(str(problem) for problem in raised.value.problems)


def test_what_is_left_out_on_purpose_is_named_in_the_catalogue(tmp_path):
    own = [OWN["services"][0] | {"without": ["privileged", "env_file"]}, *OWN["services"][1:]]
    more = "    mem_limit: 512m\n    privileged: true\n    env_file: x.env\n"
    found = services(read(tmp_path, UPSTREAM.replace("    mem_limit: 512m\n", more), services=own))
    assert "privileged" not in found["webserver"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "files/systems/paperless.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(OWN))
    with pytest.raises(CatalogueError, match=r"files/static/paperless/docker-compose.yml"):
        read_system(path)


@pytest.mark.parametrize(
    ("text", "values", "made", "lacking"),
    [
        ("$A-${B}", {"A": "1", "B": "2"}, "1-2", []),
        ("${A:-x}${A-y}", {}, "xy", []),
        ("${A:-x}${A-y}", {"A": ""}, "x", []),
        ("${A:+set}${B+set}", {"A": "1"}, "set", []),
        ("${A:?is missing}", {}, "${A:?is missing}", ["A"]),
        ("$$A costs 5$", {}, "$$A costs 5$", []),
        ("$A", {"A": "a$B"}, "a$$B", []),
        ("$A $A", {}, "$A $A", ["A", "A"]),
    ],
)
def test_variables_are_composes(text, values, made, lacking):
    assert filled(text, values) == made and missing(text, values) == lacking
