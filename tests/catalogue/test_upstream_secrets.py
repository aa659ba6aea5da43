"""Secrets of an upstream compose file: none of them is rendered in plain text."""

import pytest

from catalogue.problems import CatalogueError
from tests.catalogue.upstream import OWN, UPSTREAM, read, services

WITH_FILE = UPSTREAM.replace("    mem_limit: 512m\n", "    mem_limit: 512m\n    env_file: [app.env]\n")


def with_variables(folder, text):
    static = folder / "files/static/paperless"
    static.mkdir(parents=True)
    (static / "app.env").write_text(text)
    return folder


SECRETS = {
    "a password": "DB_PASSWORD=hunter2\n",
    "an address with a password": "DATABASE_URL=postgres://app:hunter2@db/app\n",
    "in quotes": "API_TOKEN='hunter2 and more'\n",
    "by its variable": "DB_PASSWORD=${URL}-hunter2\n",
    "of several lines": 'PRIVATE_KEY="hunter2\nhunter2"\n',
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_secret_in_a_file_of_variables_is_refused_without_its_value(tmp_path, text):
    name = text.partition("=")[0]
    with pytest.raises(CatalogueError) as raised:
        read(with_variables(tmp_path, text), WITH_FILE)
    assert f"service webserver: env_file: app.env has {name}, a secret in plain text; name {name} under secrets" in str(
        raised.value
    )
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("value", ["hunter2", "${PASSWORD:-hunter2}", "${URL}hunter2", '"12345678"'])
def test_secret_in_the_compose_file_itself_is_refused_without_its_value(tmp_path, value):
    text = UPSTREAM.replace("PAPERLESS_DBHOST: db", f"PAPERLESS_DBHOST: db\n      ADMIN_PASSWORD: {value}")
    with pytest.raises(CatalogueError, match="ADMIN_PASSWORD: is a secret in plain text") as raised:
        read(tmp_path, text)
    assert "hunter2" not in str(raised.value)


def test_secret_of_a_file_that_the_entry_names_comes_from_the_stack(tmp_path):
    own = [OWN["services"][0] | {"secrets": ["PAPERLESS_DBPASS", "DB_PASSWORD"]}, *OWN["services"][1:]]
    web = services(read(with_variables(tmp_path, "DB_PASSWORD=hunter2\nLEVEL=info\n"), WITH_FILE, services=own))[
        "webserver"
    ]
    assert "DB_PASSWORD" in web["secrets"] and web["environment"]["LEVEL"] == "info"
    assert "hunter2" not in str(web)


PLAIN = "LEVEL=info\nTZ=Asia/Tokyo\nPORT=8000\nDB_PASSWORD=\nPASSWORD_MIN_LENGTH=12\nDATABASE_URL=postgres://db/app\n"


def test_values_that_are_no_secrets_stay_plain(tmp_path):
    web = services(read(with_variables(tmp_path, PLAIN), WITH_FILE))["webserver"]
    assert web["environment"] | {"LEVEL": "info", "TZ": "Asia/Tokyo", "DB_PASSWORD": ""} == web["environment"]


def test_value_that_the_entry_sets_is_its_own(tmp_path):
    own = [OWN["services"][0] | {"environment": {"SESSION_TOKEN": "none"}}, *OWN["services"][1:]]
    web = services(read(with_variables(tmp_path, "SESSION_TOKEN=hunter2\n"), WITH_FILE, services=own))["webserver"]
    assert web["environment"]["SESSION_TOKEN"] == "none" and "hunter2" not in str(web)


def test_file_of_variables_that_need_not_be_there_may_be_missing(tmp_path):
    text = UPSTREAM.replace("mem_limit: 512m\n", "mem_limit: 512m\n    env_file: [{path: .env, required: false}]\n")
    assert services(read(tmp_path, text))["webserver"]["environment"]["PAPERLESS_DBHOST"] == "db"


BY_FILE = UPSTREAM.replace(
    "      POSTGRES_PASSWORD: ${DB_PASS}\n",
    "      POSTGRES_PASSWORD_FILE: /run/secrets/db-password\n    secrets: [db-password]\n",
)
TOP = "secrets:\n  db-password: {file: ./db_password.txt}\nvolumes:\n  pgdata:"
PLAIN_DB = [OWN["services"][0], {"name": "db", "purpose": "x", "memory": {"limit": "256m"}}, OWN["services"][2]]  # fmt: skip
FORMS = {
    "by name": ("secrets: [db-password]", {"/run/secrets/db-password": "DB_PASSWORD"}),
    "with a target": ("secrets: [{source: db-password, target: pg}]", {"/run/secrets/pg": "DB_PASSWORD"}),
    "with a path": ("secrets: [{source: db-password, target: /etc/pg, mode: 0400, uid: '70'}]", {"/etc/pg": "DB_PASSWORD"}),
}  # fmt: skip


@pytest.mark.parametrize(("form", "files"), FORMS.values(), ids=FORMS)
def test_secret_of_a_compose_file_is_a_file_in_the_container(tmp_path, form, files):
    text = BY_FILE.replace("secrets: [db-password]", form).replace("volumes:\n  pgdata:", TOP)
    system = read(tmp_path, text, services=PLAIN_DB)
    db = services(system)["db"]
    assert db["secret_files"] == files and "secrets" not in db
    assert system.services[1].secret_names == ["DB_PASSWORD"]


def test_variable_of_a_secret_is_its_name_in_the_stack(tmp_path):
    text = BY_FILE.replace("volumes:\n  pgdata:", TOP.replace("file: ./db_password.txt", "environment: PG_PASS"))
    assert services(read(tmp_path, text, services=PLAIN_DB))["db"]["secret_files"] == {
        "/run/secrets/db-password": "PG_PASS"
    }


UNSAID = {
    "one that is not defined": ("volumes:\n  pgdata:", "service db: secrets: the file does not define the secret db-password"),
    "from elsewhere": ("secrets:\n  db-password: {driver: x, file: x}\nvolumes:\n  pgdata:", "db-password has driver: only file, environment and external"),
}  # fmt: skip


@pytest.mark.parametrize(("top", "line"), UNSAID.values(), ids=UNSAID)
def test_secret_that_no_stack_can_have_is_refused(tmp_path, top, line):
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, BY_FILE.replace("volumes:\n  pgdata:", top), services=PLAIN_DB)
    assert line in str(raised.value)


def test_secret_beside_the_compose_file_is_refused(tmp_path):
    static = tmp_path / "files/static/paperless"
    static.mkdir(parents=True)
    (static / "db_password.txt").write_text("hunter2\n")
    with pytest.raises(CatalogueError, match=r"lies in plain text beside the compose file: remove \./db_password.txt"):
        read(tmp_path, BY_FILE.replace("volumes:\n  pgdata:", TOP), services=PLAIN_DB)


IN_COMMANDS = {
    "command": ("command: redis-server --requirepass ${REDIS_PASSWORD}", "command: [sh, -c, 'exec PROGRAM --option \"$REDIS_PASSWORD\"']",
                {"command": ["sh", "-c", 'exec redis-server --requirepass "$REDIS_PASSWORD"']}),
    "entrypoint": ("entrypoint: [run, '${REDIS_PASSWORD}']", "entrypoint: [sh, -c,", {"entrypoint": ["sh", "-c", "exec run"]}),
    "healthcheck": ("healthcheck: {test: 'redis-cli -a ${REDIS_PASSWORD} ping'}", "health: {command: 'PROGRAM --option \"$REDIS_PASSWORD\"'}",
                    {"health": {"command": 'redis-cli -a "$REDIS_PASSWORD" ping'}}),
}  # fmt: skip


@pytest.mark.parametrize(("line", "advice", "fields"), IN_COMMANDS.values(), ids=IN_COMMANDS)
def test_secret_in_a_command_is_refused_with_the_shell_that_fills_it_in(tmp_path, line, advice, fields):
    text = UPSTREAM.replace("    volumes: [redisdata:/data]\n", f"    volumes: [redisdata:/data]\n    {line}\n")
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, text)
    assert "secrets: [REDIS_PASSWORD] and " in str(raised.value) and advice in str(raised.value)
    own = [*OWN["services"][:2], OWN["services"][2] | {"secrets": ["REDIS_PASSWORD"], **fields}]
    broker = services(read(tmp_path, text, services=own))["broker"]
    assert {name: broker[name] for name in fields} == fields and broker["secrets"] == ["REDIS_PASSWORD"]
