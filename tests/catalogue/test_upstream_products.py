"""Compose files as products' makers write them: what an ordinary one has is taken, or refused with what to write."""

from typing import Any

import pytest

from catalogue.problems import CatalogueError
from tests.catalogue.upstream import OWN, read, services

# Each in the style of a well-known product, in the words of this test
PRODUCTS = {
    "a blog with its database": """
services:
  db:
    image: mysql:8.0
    restart: always
    volumes: [db_data:/var/lib/mysql]
    environment:
      MYSQL_DATABASE: blog
      MYSQL_PASSWORD_FILE: /run/secrets/db_password
    secrets: [db_password]
    logging: {driver: json-file, options: {max-size: "10m", max-file: "3"}}
  app:
    depends_on: [db]
    image: wordpress:6.5
    ports: ["8000:80"]
    restart: always
    environment:
      - WORDPRESS_DB_HOST=db:3306
      - WORDPRESS_DB_PASSWORD_FILE=/run/secrets/db_password
    secrets: [db_password]
volumes: {db_data: {driver: local}}
secrets:
  db_password: {file: db_password.txt}
""",
    "anchors, two networks, limits of deploy": """
version: "3.9"
x-logging: &logging
  logging:
    driver: local
    options: {max-size: 20m}
x-app: &app
  <<: *logging
  image: ghcr.io/example/tasks:${TAG:-1.20}
  restart: on-failure:5
  x-owner: team-a
  networks: [front, back]
  depends_on:
    db: {condition: service_healthy, required: true}
    cache: {condition: service_started, restart: false}
services:
  app:
    <<: *app
    ports: ["127.0.0.1:8080:8080"]
    labels: {com.example.Team: web, "traefik.http.routers.Tasks.rule": "Host(`a.example`)"}
    healthcheck: {test: ["CMD", "wget", "-qO-", "http://127.0.0.1:8080/ping"], interval: 30s, start_period: 1m, x-note: a}
  db:
    <<: *logging
    image: postgres:16-alpine
    restart: unless-stopped
    stop_grace_period: 1m
    networks: {back: {aliases: [database]}}
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
    volumes:
      - {type: volume, source: db, target: /var/lib/postgresql/data}
    healthcheck: {test: ["CMD-SHELL", "pg_isready -U $$POSTGRES_USER"], interval: 5s, retries: 5}
    deploy:
      x-why: small
      resources: {limits: {cpus: "0.50", memory: 300M}, reservations: {memory: 128M}}
      restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 120s}
  cache:
    image: redis:7
    networks: [back]
    expose: ["6379"]
    pull_policy: always
    attach: false
    platform: linux/amd64
    volumes: ["cache:/data"]
networks: {front: {driver: bridge}, back: {}}
volumes: {db: , cache: }
""",
    "container names, links, a terminal": """
name: photos
services:
  app:
    container_name: photos_app
    image: ghcr.io/example/photos:v1.100.0
    tty: true
    stdin_open: true
    links: ["cache:redis", db]
    env_file: [{path: .env, required: false}]
    environment: [DB_HOSTNAME=photos_postgres, REDIS_HOSTNAME=redis]
    volumes: ["/etc/localtime:/etc/localtime:ro", "upload:/usr/src/app/upload"]
    ports: ["2283:2283"]
    restart: always
  cache:
    container_name: photos_redis
    image: redis:6.2
    volumes: [cache:/data]
    healthcheck: {test: redis-cli ping || exit 1}
  db:
    container_name: photos_postgres
    image: postgres:14
    shm_size: 128mb
    volumes: [pg:/var/lib/postgresql/data]
    healthcheck: {disable: false, test: pg_isready}
volumes: {upload: , cache: , pg: }
""",
}


def taken(folder, text, **own):
    names = [key for key in ("app", "db", "cache") if f"\n  {key}:\n" in text]
    entries: list[Any] = [{"name": name, "purpose": "x", "memory": {"limit": "200m"}} for name in names]
    entries[0] |= {"routes": [{"public": "/"}]}
    return read(folder, text, services=entries, compose={"file": OWN["compose"]["file"], **own})


@pytest.mark.parametrize("text", PRODUCTS.values(), ids=PRODUCTS)
def test_ordinary_compose_file_is_taken(tmp_path, text):
    assert services(taken(tmp_path, text))


def test_what_a_file_says_keeps_its_meaning(tmp_path):
    blog, tasks, photos = (services(taken(tmp_path / str(n), text)) for n, text in enumerate(PRODUCTS.values()))
    assert blog["app"]["secret_files"] == blog["db"]["secret_files"] == {"/run/secrets/db_password": "DB_PASSWORD"}
    assert tasks["app"]["labels"]["com.example.Team"] == "web" and "restart" not in tasks["app"]
    assert tasks["db"]["cpus"] == 0.5 and tasks["db"]["aliases"] == ["database"]
    # By names that others have for them
    assert photos["cache"]["aliases"] == ["redis"] and photos["db"]["aliases"] == ["photos_postgres"]
    assert "aliases" not in photos["app"]
    assert set(photos["app"]["depends_on"]) == {"cache", "db"}
    assert photos["app"]["tty"] is photos["app"]["stdin_open"] is True


REFUSED = {
    "logs elsewhere": ("logging: {driver: gelf, options: {gelf-address: udp://x}}", "logging", "its log is in the journal here; infra:logs"),
    "no logs": ("logging: {driver: none}", "logging", "driver 'none'"),
    "options of a driver": ("logging: {options: {syslog-address: x}}", "logging", "syslog-address: its log is in the journal"),
    "an image that is built": ("pull_policy: build", "pull_policy", "found 'build': an image is pulled from the stack's registry"),
    "another processor": ("platform: linux/s390x", "platform", "hosts take images for their own processor"),
    "one that runs once": ('restart: "no"', "restart", "it runs once, but no other service waits for its end"),
    "one that runs once by deploy": ("deploy: {restart_policy: {condition: none}}", "deploy.restart_policy", "it runs once"),
    "an odd restart": ("restart: sometimes", "restart", "found 'sometimes'"),
    "a placement": ("deploy: {placement: {constraints: []}}", "deploy.placement", "the catalogue has no such option"),
    "a check of newer Docker": ("healthcheck: {test: x, start_interval: 1s}", "healthcheck.start_interval", "no such option"),
    "a tie": ("depends_on: {db: {condition: service_started, restart: true}}", "depends_on.db.restart", "is not understood; a service must reconnect"),
    "a label": ("labels: {'a b': c}", "labels", "found 'a b': a label's name, such as com.example.team"),
    "names of other projects": ("external_links: [x]", "external_links", "the catalogue has no such option"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "path", "line"), REFUSED.values(), ids=REFUSED)
def test_key_with_another_meaning_is_refused_until_it_is_left_out(tmp_path, text, path, line):
    given = f"""
services:
  app:
    image: ghcr.io/example/app:1
    ports: ["8000:80"]
    {text}
  db: {{image: "postgres:16", volumes: ["pg:/var/lib/postgresql/data"]}}
volumes: {{pg: }}
"""
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, given, services=entries())
    assert f"service app: {path}: " in str(raised.value) and line in str(raised.value)
    assert f"without: [{path}] for the service in the catalogue" in str(raised.value)
    assert read(tmp_path, given, services=entries(without=[path]))


def entries(**own: Any) -> list[dict[str, Any]]:
    return [
        {"name": "app", "purpose": "x", "memory": {"limit": "200m"}, "routes": [{"public": "/"}], **own},
        {"name": "db", "purpose": "x", "memory": {"limit": "200m"}},
    ]
