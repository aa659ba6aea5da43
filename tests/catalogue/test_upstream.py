"""A compose file of a product's makers, as it is: nothing of it is dropped in silence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from catalogue.compose.variables import fill_variables, missing
from catalogue.loading import read_system
from catalogue.problems import CatalogueError
from tests.catalogue.upstream import OWN, UPSTREAM, read, services


def test_upstream_file_and_catalogue_are_combined(tmp_path):
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
        ("    mem_limit: 512m\n", "    mem_limit: 512m\n    userns_mode: host\n"),
        "files/static/paperless/docker-compose.yml: service webserver: userns_mode: the catalogue has no such option; "
        "change the file, or ignore the key: without: [userns_mode] for the service in the catalogue",
    ),
    "a service that the catalogue does not name": (
        ("  tika:\n    profiles: [extra]\n", "  tika:\n"),
        "service tika: the catalogue does not list it; an entry under services of the catalogue: {name: tika",
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
        "service webserver: env_file: docker-compose.env does not exist beside the compose file: put it there, or name its variables in the catalogue, secret ones under secrets (infra secret import)",
    ),
    "a volume without a name": (("[redisdata:/data]", "[/data]"), "service broker: volumes: /data is an anonymous volume"),
    "two ports": (('["8000:8000"]', '["8000:8000", "9000:9000"]'), "ports: several ports are published"),
    "a range of ports": (('["8000:8000"]', '["8000-8010:8000-8010"]'), "ports: 8000-8010 is a port range: list it under publish"),
    "one that runs once": (("  broker:\n    <<: *common", '  broker:\n    restart: "no"'), "restart: it runs once"),
    "top level": (("volumes:\n  pgdata:", "models: {x: {file: x}}\nvolumes:\n  pgdata:"), "yml: models: is not understood"),
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


def changed(tmp_path: Path, which: str, **values: Any) -> str:
    """All problems of the file with other values of one service; "" where there are none."""
    document = yaml.safe_load(UPSTREAM)
    document["services"][which].update(values)
    try:
        read(tmp_path, yaml.safe_dump(document))
    except CatalogueError as error:
        return "\n".join(str(problem) for problem in error.problems)
    return ""


ODD = [5, "x", True, [5], ["x"], {"x": 5}, {"x": None}, [None], [[1]], "", 1.5]
KEYS = (
    "environment", "networks", "depends_on", "volumes", "labels", "sysctls", "ulimits", "deploy", "healthcheck", "ports",
    "command", "entrypoint", "cpus", "user", "tmpfs", "dns", "extra_hosts", "group_add", "devices", "env_file", "image",
    "mem_limit", "shm_size", "restart", "init", "gpus", "cap_add", "stop_grace_period", "container_name", "profiles",
)  # fmt: skip


@pytest.mark.parametrize("value", [5, True, "x", ["size"], {"x": 5}])
def test_odd_options_of_a_mount_in_memory_are_refused(tmp_path, value):
    said = changed(tmp_path, "broker", volumes=[{"type": "tmpfs", "target": "/x", "tmpfs": value}])
    assert "volumes: /x: its options: the catalogue has no such option" in said


@pytest.mark.parametrize("key", KEYS)
def test_odd_values_of_a_key_are_read_or_refused(tmp_path, key):
    for number, value in enumerate(ODD):
        changed(tmp_path / str(number), "broker", **{key: value})


SAID = {
    "an empty entrypoint": ({"entrypoint": []}, "entrypoint: is empty, which removes the image's"),
    "a check without a test": ({"healthcheck": {"interval": "5m"}}, "healthcheck: has no test"),
    "an option of a check": ({"healthcheck": {"test": "x", "start_interval": "1s"}}, "healthcheck.start_interval: the cat"),
    "UDP": ({"ports": ["53:53/udp"]}, "ports: 53/udp is for udp, but the proxy needs TCP: list it under publish"),
    "odd digits": ({"ports": ["\u00b2:80"]}, "is a port range: list it under publish"),
    "a part of a volume": (
        {"volumes": [{"type": "volume", "source": "redisdata", "target": "/d", "volume": {"subpath": "a"}}]},
        "volumes: /d: volume: the catalogue has no such option",
    ),
    "shared mounts": ({"volumes": ["/srv/x:/x:rshared"]}, "volumes: /x: rshared: the catalogue has no such option"),
    "out of its directory": ({"volumes": ["../../etc:/x"]}, "../../etc points outside the file's directory"),
    "a volume of another file": ({"volumes": ["other:/x"]}, "volumes: the file does not define the volume other"),
    "one GPU": (
        {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"], "device_ids": ["0"]}]}}}},
        "only a count of NVIDIA GPUs, or all",
    ),
    "a placement": ({"deploy": {"placement": {"constraints": []}}}, "deploy.placement: the catalogue has no such option"),
    "another platform": ({"platform": "linux/386"}, "platform: found 'linux/386': hosts take images for their own"),
    "a restart with another": ({"depends_on": {"db": {"condition": "service_started", "restart": True}}}, "depends_on.db.restart: is not understood"),
    "an address": ({"networks": {"default": {"ipv4_address": "10.0.0.2"}}}, "broker: networks.default.ipv4_address: its network is another one here"),
    "a variable in a variable": ({"command": "run ${X:-${Y:-z}}"}, "command: ${"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "line"), SAID.values(), ids=SAID)
def test_keys_with_another_meaning_here_are_refused(tmp_path, values, line):
    assert line in changed(tmp_path, "broker", **values)


TOP_LEVEL = {
    "a volume elsewhere": ("  redisdata:\n", "  redisdata: {driver_opts: {type: nfs}}\n", "volumes.redisdata.driver_opts: no options of a volume's driver"),
    "a closed network": ("volumes:\n  pgdata:", "networks: {default: {internal: true}}\nvolumes:\n  pgdata:", "networks.default.internal: the system's one network is not closed"),
    "volumes that are a list": ("volumes:\n  pgdata:\n  redisdata:\n  data: {name: paperless-files}", "volumes: [a]", "volumes: cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), TOP_LEVEL.values(), ids=TOP_LEVEL)
def test_unsupported_volumes_and_networks_are_refused(tmp_path, old, new, line):
    assert old in UPSTREAM
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, UPSTREAM.replace(old, new))
    assert line in "\n".join(str(problem) for problem in raised.value.problems)


def test_volumes_have_the_names_of_compose(tmp_path):
    text = UPSTREAM.replace("  redisdata:\n", "  redisdata: {external: {name: old-redis}}\n").replace(
        "services:", "name: docs\nservices:", 1
    )
    found = services(read(tmp_path, text))
    assert (
        found["broker"]["volumes"][0]["source"] == "old-redis" and found["db"]["volumes"][0]["source"] == "docs_pgdata"
    )


def test_files_beside_the_compose_file_are_included(tmp_path):
    static = tmp_path / "files/static/paperless"
    (static / "conf").mkdir(parents=True)
    (static / "conf/redis.conf").write_text("save 60 1\n")
    (static / "redis.env").write_text("# of theirs\nexport A=1\nB='$x'\nC=\"a b\"\nD=${URL} # where\nPASSWORD=theirs\n")
    text = UPSTREAM.replace(
        "[redisdata:/data]", '["redisdata:/data", "./conf/redis.conf:/etc/redis.conf:ro"]\n    env_file: redis.env'
    )
    own = [*OWN["services"][:2], OWN["services"][2] | {"secrets": ["PASSWORD"]}]
    found = services(read(tmp_path, text, services=own))["broker"]
    assert found["files"] == [{"path": "/etc/redis.conf", "source": "paperless/conf/redis.conf"}]
    assert found["environment"] == {"A": "1", "B": "$x", "C": "a b", "D": "https://docs.example.com"}
    assert len(found["volumes"]) == 1


def test_a_file_of_variables_that_compose_could_not_read_is_named(tmp_path):
    static = tmp_path / "files/static/paperless"
    static.mkdir(parents=True)
    (static / "x.env").write_text("A=1\nKEY='hunter2\n")
    text = UPSTREAM.replace("    mem_limit: 512m\n", "    mem_limit: 512m\n    env_file: x.env\n", 1)
    with pytest.raises(CatalogueError) as error:
        read(tmp_path, text)
    assert "env_file: x.env: the value of KEY begins with a ' that is not closed" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_missing_mounted_file_is_refused(tmp_path):
    line = changed(tmp_path, "broker", volumes=["./conf/redis.conf:/etc/redis.conf:ro"])
    assert "./conf/redis.conf does not exist: Docker would create a directory with its name" in line


def test_tag_of_an_upstream_image_can_be_changed(tmp_path):
    own = [OWN["services"][0] | {"image": {"tag": "2.14"}}, *OWN["services"][1:]]
    found = services(read(tmp_path, services=own))["webserver"]["image"]
    assert found == {"repository": "ghcr.io/paperless-ngx/paperless-ngx", "tag": "2.14"}


def test_which_path_is_healthy_the_file_does_not_say(tmp_path):
    assert services(read(tmp_path))["webserver"]["health"] == "tcp"


def test_two_files_with_a_db_are_named_apart(tmp_path):
    own = [OWN["services"][0], OWN["services"][1] | {"name": "paperless-db", "compose_key": "db"}, OWN["services"][2]]
    found = services(read(tmp_path, services=own))
    assert found["paperless-db"]["compose_key"] == "db" and found["paperless-db"]["container"] == "paperless-db"
    assert found["webserver"]["depends_on"] == {"paperless-db": {"condition": "service_healthy"}, "broker": {}}


def test_yaml_is_composes(tmp_path):
    more = "POSTGRES_DB: paperless\n      A: yes\n      B: 22:22\n      C: 2024-01-01\n      D: true\n      E: 010"
    found = services(read(tmp_path, UPSTREAM.replace("POSTGRES_DB: paperless", more)))["db"]["environment"]
    assert {name: found[name] for name in "ABCDE"} == {
        "A": "yes",
        "B": "22:22",
        "C": "2024-01-01",
        "D": "true",
        "E": "010",
    }


@pytest.mark.parametrize("without", [5, "image", [["a"]], ["zzz"]])
def test_without_must_list_keys_of_the_file(tmp_path, without):
    own = [OWN["services"][0] | {"without": without}, *OWN["services"][1:]]
    with pytest.raises(CatalogueError, match="without"):
        read(tmp_path, services=own)


def test_keys_listed_under_without_are_left_out(tmp_path):
    own = [OWN["services"][0] | {"without": ["userns_mode", "env_file"]}, *OWN["services"][1:]]
    more = "    mem_limit: 512m\n    userns_mode: host\n    env_file: x.env\n"
    found = services(read(tmp_path, UPSTREAM.replace("    mem_limit: 512m\n", more), services=own))
    assert "userns_mode" not in found["webserver"]


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
        ("${A:-${B}}", {"B": "1"}, "${A:-1}", ["A:-}"]),
    ],
)
def test_variables_are_composes(text, values, made, lacking):
    assert fill_variables(text, values) == made and missing(text, values) == lacking
