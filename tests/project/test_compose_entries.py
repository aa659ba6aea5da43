"""A project for a compose file: what its catalogue begins with, and what `infra check` then leaves open."""

import re

import pytest
import yaml

from catalogue.checks import check
from catalogue.loading import load
from catalogue.problems import CatalogueError
from catalogue.stack import read_stack
from infra.errors import InfraError
from infra.project.compose_entries import entries, find_secrets
from infra.project.new import Answers, create
from tests.catalogue.upstream import UPSTREAM

SEVERAL = """
services:
  web:
    build: .
    ports: ["3000:3000"]
    environment: {PUBLIC_URL: "${PUBLIC_URL}", SESSION_SECRET: "${SESSION_SECRET}", LEVEL: "${LEVEL:-info}", TZ: }
    depends_on: {migrate: {condition: service_completed_successfully}}
    deploy: {resources: {limits: {memory: 300m}}}
  migrate: {build: ., command: [migrate], restart: "no", environment: {SESSION_SECRET: "${SESSION_SECRET}"}}
  admin: {image: "ghcr.io/x/admin:${TAG}", ports: ["9000:80"]}
  extra: {image: x, profiles: [debug]}
"""


def made(tmp_path, text, dotenv="", **answers):
    (tmp_path / "given").mkdir()
    (tmp_path / "given/docker-compose.yml").write_text(text)
    if dotenv:
        (tmp_path / "given/.env").write_text(dotenv)
    known = {"zone": "shop.example", "account": "123456789012", "email": "a@shop.example", "cidr": "198.51.100.7/32"}
    create(tmp_path / "shop", Answers("shop", "ap-northeast-1", **known, compose=tmp_path / "given/docker-compose.yml"))
    return tmp_path / "shop"


def left_open(project, stack="prod"):
    try:
        return [
            problem.message for problem in check(load(project, read_stack(project, stack))) if problem.level == "error"
        ]
    except CatalogueError as error:
        return [problem.message for problem in error.problems]


def test_each_compose_service_gets_an_entry():
    found = entries(yaml.safe_load(SEVERAL), "shop", "TAG=1.2\nPUBLIC_URL=https://x\nSESSION_SECRET=abc\n")
    assert found == {
        "compose": {"file": "shop/compose.yml", "variables": {"PUBLIC_URL": "https://x", "TAG": "1.2", "TZ": "TODO"}},
        "services": [
            {
                "name": "web", "purpose": "web of shop", "without": ["build"], "image": {"repository": "shop-web"},
                "port": 8040, "routes": [{"public": "/"}], "secrets": ["SESSION_SECRET"],
            },
            {"name": "admin", "purpose": "admin of shop", "port": 8041, "memory": {"limit": "256m"}},
        ],
    }  # fmt: skip


def test_secrets_and_unknown_values_of_a_compose_file_are_left_open(tmp_path):
    project = made(tmp_path, UPSTREAM)
    assert left_open(project) == [
        "files/systems/shop.yaml: compose.variables.URL: is still TODO; write its value, or remove it"
    ]
    file = project / "files/systems/shop.yaml"
    file.write_text(file.read_text().replace("TODO", "https://shop.shop.example"))
    said = left_open(project)
    assert all("is missing; set it: infra secret set" in line or "infra init" in line for line in said), said
    assert {found[1] for line in said if (found := re.search(r"secret set (\S+)", line))} == {
        "db.POSTGRES_PASSWORD", "webserver.PAPERLESS_DBPASS",
    }  # fmt: skip
    assert (project / "files/static/shop/compose.yml").read_text() == UPSTREAM


PLAIN = {
    "a mapping": "services: {db: {image: x, environment: {POSTGRES_PASSWORD: hunter2}}}",
    "a list": "services: {db: {image: x, environment: [POSTGRES_PASSWORD=hunter2]}}",
    "a number": "services: {db: {image: x, environment: {POSTGRES_PASSWORD: 12345}}}",
    "an address": "services: {web: {image: x, environment: {DATABASE_URL: 'postgres://a:hunter2@db/x'}}}",
    "a default": "services: {db: {image: x, environment: {POSTGRES_PASSWORD: '${PW:-hunter2}'}}}",
    "a command": "services: {web: {image: x, command: ['--password=hunter2']}}",
    "a label": "services: {web: {image: x, labels: {auth.password: hunter2}}}",
    "two words of a command": 'services: {r: {image: x, command: ["redis-server", "--requirepass", "hunter2secret"]}}',
    "words of a check": "services: {r: {image: x, healthcheck: {test: [CMD, redis-cli, -a, hunter2, ping]}}}",
    "a command with a variable": "services: {r: {image: x, command: '--password hunter2 --host ${H}'}}",
    "words with a variable": 'services: {r: {image: x, command: ["--password", "hunter2", "--host", "${H}"]}}',
    "an address with a variable": "services: {w: {image: x, environment: {U: 'postgres://a:hunter2@${DB_HOST}/x'}}}",
    "an address with two": "services: {w: {image: x, environment: {U: 'postgres://${U}:hunter2@${DB_HOST}/x'}}}",
    "a default and a variable": "services: {w: {image: x, environment: {ADMIN_PASSWORD: '${PW:-hunter2s}${SUFFIX}'}}}",
    "a variable and a default": "services: {w: {image: x, environment: {ADMIN_PASSWORD: '${SUFFIX}-hunter2s'}}}",
    "one like an option": "services: {w: {image: x, environment: {ADMIN_PASSWORD: '-hunter2s${SUFFIX}'}}}",
    "a default in a default": "services: {w: {image: x, environment: {LEVEL: '${X:-${DB_PASSWORD:-hunter2}}'}}}",
    "an alternative": "services: {w: {image: x, environment: {LEVEL: '${DB_PASSWORD:+hunter2}'}}}",
    "one in a secret's name": "services: {w: {image: x, environment: {DB_PASSWORD: '${P:+hunter2}'}}}",
    "a comment": "# admin login: DB_PASSWORD=oldhunter2\nservices: {web: {image: x}}",
    "a comment behind a value": "services:\n  web:\n    image: x  # --password hunter2\n",
    "a config": 'services: {w: {image: x}}\nconfigs: {c: {content: "host = ${H}\\npassword = hunter2\\n"}}',
    "a query": "services: {w: {image: x, environment: {U: 'http://x/?token=${T}&password=hunter2'}}}",
    "a hook": "services: {w: {image: x, environment: {WEBHOOK_URL: 'https://${H}/hooks/hunter2x'}}}",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_a_secret_in_plain_text_does_not_come_into_a_repository(tmp_path, text):
    with pytest.raises(InfraError, match="secrets in plain text") as raised:
        made(tmp_path, text)
    assert "hunter2" not in str(raised.value) and not (tmp_path / "shop").exists()


NONE = {
    "a list": "[]",
    "no services": "version: '3'",
    "services that are none": "services: []",
    "no YAML": "a: [",
    "": "",
}


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_invalid_compose_file_is_refused_without_a_project(tmp_path, text):
    with pytest.raises(InfraError):
        made(tmp_path, text)
    assert not (tmp_path / "shop").exists()


HARMLESS = {
    "settings": "environment: {PASSWORD_MIN_LENGTH: '12', COOKIE_SECURE: 'true', URL: 'http://x'}",
    "a variable": "environment: {DB_PASSWORD: '${DB_PASSWORD}', TOKEN: $TOKEN, API_KEY: '${K:-}', PW: '${PW:?set it}'}",
    "an address": "environment: {DATABASE_URL: 'postgres://app:${PW}@db:5432/app?sslmode=disable', U: '${S}://${H}/a'}",
    "an address by name": "environment: {SENTRY_DSN: 'https://${KEY}@o1.example.com/12', WEBHOOK_URL: 'https://${H}/'}",
    "settings in one": "environment: {CONNECTION_STRING: 'Server=db;User=app;Password=${PW};Port=5432'}",
    "a header": "environment: {AUTH_HEADER: 'Bearer ${TOKEN}', COOKIE_DOMAIN: '.${DOMAIN}'}",
    "a command": "command: redis-server --requirepass ${PW} --port 6379",
    "words": "command: [redis-server, --requirepass, '${PW}', --port, '6379']",
    "a shell's variable": 'healthcheck: {test: [CMD-SHELL, "mysqladmin ping -p$$MYSQL_ROOT_PASSWORD -h db1"]}',
    "of a command": "command: sh -c 'PGPASSWORD=${PW} psql -h db1'",
    "a comment": "image: x  # the first of them; DB_PASSWORD=${PW}\n    # see https://docs.example.com/#secrets",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_reference_to_a_secret_is_no_secret(text):
    text = f"services:\n  web:\n    {text}\n"
    assert [*find_secrets(yaml.safe_load(text), text)] == []


def test_place_of_a_secret_is_named():
    text = "services:\n  r: {image: x, command: [redis-server, --requirepass, hunter2]}  # PASSWORD=hunter2\n"
    assert [*find_secrets(yaml.safe_load(text), text)] == ["services.r.command", "the comment in line 2"]
