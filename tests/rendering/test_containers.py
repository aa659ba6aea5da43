"""A product with a database, a worker and images of other registries, as compose files and units."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from catalogue.checks import ensure_valid
from catalogue.problems import CatalogueError
from rendering.archive import manifest_of
from rendering.files import HostFiles
from rendering.host import data, render
from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import DATA, with_database
from tests.support import catalogue, digests

SECRETS = configured(secrets={"db": {"POSTGRES_PASSWORD": "x"}}, adminCidrs=["198.18.0.1/32"])


def made(*more: Any) -> HostFiles:
    change = both(with_database, *more)
    return render(ensure_valid(catalogue(change, SECRETS)), "watchme", digests(change))


def text(files: HostFiles, path: str) -> str:
    return next(file.content.decode() for file in files.files if file.path == path)


def body(files: HostFiles, name: str) -> dict[str, Any]:
    return yaml.safe_load(text(files, f"/opt/{name}/docker-compose.prod.yml"))["services"][name]


def probe(files: HostFiles, name: str) -> str | None:
    return next(probe.url for probe in files.probes if probe.service == name)


def test_database_has_no_published_port_and_a_volume():
    files = made()
    found = body(files, "db")
    assert "ports" not in found and not [port for port in files.ports if port.service == "db"]
    assert found["volumes"] == [{"type": "volume", "target": DATA, "source": "web-db"}]
    # What removes the project, by whatever option, leaves the volume
    whole = yaml.safe_load(text(files, "/opt/db/docker-compose.prod.yml"))
    assert whole["volumes"] == {"web-db": {"external": True}}
    assert "docker volume create --label infra.system=watchme web-db\n" in text(files, "/etc/systemd/system/db.service")
    assert found["networks"]["watchme-network"]["aliases"] == ["postgres"]
    assert (found["shm_size"], found["stop_signal"], found["stop_grace_period"]) == ("64m", "SIGINT", "1m")


def test_image_of_another_registry_runs_from_the_own_registry():
    image = body(made(), "db")["image"]
    assert image.split("@")[0].endswith(".amazonaws.com/docker.io/library/postgres") and "@sha256:" in image


def test_a_workers_options_are_composes():
    found = body(made(), "worker")
    assert found["command"] == ["worker", "--rate", "$$RATE"] and found["labels"]["team"] == "$$web"
    assert found["volumes"] == [
        {"type": "bind", "target": "/outbox", "source": "/srv/web/outbox"},
        {"type": "bind", "target": "/etc/localtime", "source": "/etc/localtime", "read_only": True},
    ]
    assert found["ulimits"] == {"nofile": {"soft": 4096, "hard": 4096}} and found["sysctls"] == {
        "net.core.somaxconn": "1024"
    }
    assert (found["init"], found["read_only"], found["cap_drop"], found["cpus"]) == (True, True, ["ALL"], 0.5)
    assert "depends_on" not in found, "the database is in a project of its own"


def test_unit_waits_for_the_health_of_the_database():
    unit = text(made(), "/etc/systemd/system/worker.service")
    assert "After=docker.service watchme-infrastructure.service db.service\n" in unit
    waits = [line for line in unit.splitlines() if line.startswith("ExecStartPre") and "until" in line]
    assert len(waits) == 1 and 'timeout 10 docker inspect -f "{{.State.Health.Status}}" db' in waits[0]
    # A $ of the shell's is one of systemd's first
    assert '"$$(timeout' in waits[0]
    # What a release waits for is no reason to restart anything
    later = render(ensure_valid(catalogue(with_database, both(SECRETS, configured(healthDeadline=900)))), "watchme")
    assert text(later, "/etc/systemd/system/worker.service") == unit


def test_services_of_one_project_wait_by_compose():
    files = made(setting("db", directory="/opt/worker", unit="worker.service"))
    found = yaml.safe_load(text(files, "/opt/worker/docker-compose.prod.yml"))["services"]
    assert found["worker"]["depends_on"] == {"db": {"condition": "service_healthy"}} and set(found) == {"worker", "db"}


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ({}, "container://worker"),
        ({"health": "image"}, "container://worker/health"),
        ({"health": {"command": ["true"]}}, "container://worker/health"),
        ({"port": 8050, "health": "tcp"}, "tcp://127.0.0.1:8050"),
        ({"port": 8050, "container_port": 80, "health": "/up?x=1"}, "http://127.0.0.1:8050/up?x=1"),
        ({"port": 8050}, "http://127.0.0.1:8050/health"),
    ],
)
def test_health_probe_of_a_container_is_rendered(values, asked):
    files = made(setting("worker", **values))
    assert probe(files, "worker") == asked
    ports = body(files, "worker").get("ports")
    inside = values.get("container_port", values.get("port"))
    assert ports == ([f"127.0.0.1:{values['port']}:{inside}"] if "port" in values else None)


def test_health_command_becomes_a_compose_check_with_escaped_dollars():
    check = body(made(), "db")["healthcheck"]
    assert check["test"] == ["CMD-SHELL", "pg_isready -U $$USER"]
    assert {key: check[key] for key in ("interval", "timeout", "retries", "start_period")} == {
        "interval": "10s", "timeout": "5s", "retries": 3, "start_period": "0s",
    }  # fmt: skip


def test_volumes_and_directories_are_data():
    given = catalogue(with_database, SECRETS)
    assert data(given, "watchme") == ["/var/lib/docker/volumes/web-db/_data", "/srv/web/outbox"]
    entries = {entry["path"]: entry for entry in made().directories}
    assert entries["/srv/web/outbox"]["if_missing"], "one that is there stays as it is"


def test_manifest_lists_mounts():
    manifest = json.loads(json.dumps(manifest_of(made()), default=str))
    (entry,) = [entry for entry in manifest["containers"] if entry["name"] == "worker"]
    assert entry["covered"] == ["/outbox", "/etc/localtime", "/tmp"] and entry["image"].startswith("754724220380.dkr")


def test_gpus_and_a_memory_disk():
    disk = {"type": "tmpfs", "target": "/cache", "size": "64m"}
    found = body(made(setting("worker", gpus="all", volumes=[disk])), "worker")
    (device,) = found["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": -1, "capabilities": ["gpu"]}
    assert found["volumes"] == [{"type": "tmpfs", "target": "/cache", "tmpfs": {"size": 64 * 1024**2}}]


@pytest.mark.parametrize("path", ["/a/../../etc/cron.d/x", "/..", "/a//b", "/a:b", "/./a", "/" + "x" * 2000])
def test_invalid_container_path_is_refused(path):
    for values in (
        {"files": [{"path": path, "source": "x"}]},
        {"tmpfs": [path]},
        {"volumes": [{"type": "tmpfs", "target": path}]},
    ):
        with pytest.raises(ValidationError):
            made(setting("worker", **values))


@pytest.mark.parametrize(
    "device",
    [
        "/dev/sda",
        "/dev/mem",
        "/dev/.",
        "/dev/../etc/shadow",
        "/dev/disk/by-id/x",
        "/dev/kmsg",
        "/dev/dri/../sda",
        "/dev/loop0",
    ],
)
def test_disk_and_memory_devices_are_refused(device):
    with pytest.raises((ValidationError, CatalogueError)):
        made(setting("worker", devices=[device]))
    assert made(setting("worker", devices=["/dev/dri/renderD128", "/dev/ttyUSB0:/dev/modem:rw", "/dev/net/tun"]))


@pytest.mark.parametrize(
    "added", ["SYS_ADMIN", "CAP_SYS_ADMIN", "CAP_CAP_SYS_ADMIN", "ALL", "MKNOD", "SYS_TIME", "sys_admin", "X"]
)
def test_no_capability_reaches_the_host(added):
    with pytest.raises((ValidationError, CatalogueError)):
        made(setting("worker", cap_add=[added]))
    assert body(made(setting("worker", cap_add=["CAP_NET_BIND_SERVICE"])), "worker")["cap_add"] == ["NET_BIND_SERVICE"]


@pytest.mark.parametrize(
    "option", ["seccomp=profile.json", "seccomp=unconfined", "apparmor=unconfined", "apparmor=none", "label:disable"]
)
def test_no_protection_is_taken_away(option):
    with pytest.raises((ValidationError, CatalogueError)):
        made(setting("worker", security_opt=[option]))


LIMITS = [
    {"cpus": float("inf")}, {"cpus": 0}, {"ulimits": {"nofile": {"soft": 2, "hard": 1}}}, {"ulimits": {"nofile": -9}},
    {"health": {"command": []}}, {"health": {"command": ""}}, {"health": {"command": "x", "interval": "0s"}},
    {"stop_grace_period": "9" * 400 + "h"}, {"sysctls": {"net": 1}}, {"sysctls": {"kernel.panic": 1}},
    {"volumes": [f"{'v' * 200}:/x"]}, {"volumes": ["v:/proc"]}, {"volumes": ["v:/dev/shm"]}, {"volumes": ["v:/"]},
]  # fmt: skip


@pytest.mark.parametrize("values", LIMITS, ids=map(str, range(len(LIMITS))))
def test_invalid_container_options_are_refused(values):
    with pytest.raises(ValidationError):
        made(setting("worker", **values))


def test_text_that_looks_like_a_number_is_text_for_compose():
    found = made(setting("worker", command=["1e3", "0o17", "+.5", "010", ".inf", "1_000"], labels={"v": "1e3"}))
    whole = text(found, "/opt/worker/docker-compose.prod.yml")
    for word in ("1e3", "0o17", "+.5", "010", ".inf", "1_000"):
        assert f"- '{word}'\n" in whole, word
    assert "v: '1e3'\n" in whole


def test_health_condition_is_kept_beside_a_plain_dependency():
    second = {
        "name": "second", "kind": "compose", "purpose": "x", "image": {"repository": "watchme-web", "tag": "latest"},
        "memory": {"limit": "8m"}, "depends_on": ["db"], "directory": "/opt/worker", "unit": "worker.service",
    }  # fmt: skip
    unit = text(made(lambda data: data["services"].append(second)), "/etc/systemd/system/worker.service")
    assert "until" in unit and unit.count(" db.service") == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("serve --name 'a b' $HOME", ["serve", "--name", "a b", "$$HOME"]),
        (["a", "b c"], ["a", "b c"]),
        ("sed s/a|b/c/", ["sed", "s/a|b/c/"]),
    ],
)
def test_a_text_is_words_for_every_compose(command, words):
    assert body(made(setting("worker", command=command)), "worker")["command"] == words


@pytest.mark.parametrize("command", ["sh -c 'oops", "a | b", "a && b", "a > b", "a ; b"])
def test_shell_syntax_in_a_command_is_refused(command):
    with pytest.raises(ValidationError):
        made(setting("worker", command=command))


@pytest.mark.parametrize(
    ("given", "test"),
    [
        (["CMD-SHELL", "pg_isready -U x"], ["CMD-SHELL", "pg_isready -U x"]),
        (["CMD", "pg_isready"], ["CMD", "pg_isready"]), (["pg_isready"], ["CMD", "pg_isready"]), ("a | b", ["CMD-SHELL", "a | b"]),
    ],
)  # fmt: skip
def test_a_health_command_may_be_written_as_in_compose(given, test):
    assert body(made(setting("db", health={"command": given})), "db")["healthcheck"]["test"] == test


def test_an_images_own_check_that_is_not_asked_is_off():
    assert body(made(setting("worker", health="running")), "worker")["healthcheck"] == {"disable": True}
    assert "healthcheck" not in body(made(), "worker")


@pytest.mark.parametrize(("grace", "limit"), [("5m", 330), ("61s", 91), ("30s", None)])
def test_systemd_waits_as_long_as_the_container_may_take(grace, limit):
    unit = text(made(setting("worker", stop_grace_period=grace)), "/etc/systemd/system/worker.service")
    assert (f"TimeoutStopSec={limit}\n" in unit) if limit else "TimeoutStopSec" not in unit


def test_read_only_mount_sources_are_not_created():
    assert "/etc/localtime" not in [entry["path"] for entry in made().directories]


def test_a_value_that_no_environment_file_can_hold_stands_in_the_compose_file():
    files = made(setting("worker", environment={"PLAIN": "x", "PRICE": "it's 5\\$ and ${X}"}))
    assert body(files, "worker")["environment"] == {"PRICE": "it's 5\\$$ and $${X}"}
    (own,) = [file for file in files.environment_files if file.path == "/opt/worker/worker.env"]
    assert own.values == {"PLAIN": "x"}


def test_a_directory_may_belong_to_a_containers_account():
    files = made(lambda data: data.update(directories=[{"path": "/srv/web/data", "owner": "999", "mode": "0700"}]))
    entry = next(entry for entry in files.directories if entry["path"] == "/srv/web/data")
    assert (entry["owner"], entry["group"], entry["mode"]) == ("999", "999", 0o700)


STEP = setting(
    "web", memory={"limit": "90m"}, release={"command": "migrate --now", "environment": {"PRICE": "5$"}, "limit": "90s"}
)


def test_a_release_step_is_a_container_like_its_services_without_its_port():
    change = both(
        with_database, STEP, setting("web", environment={"A": "1"}, files=[{"path": "/etc/x.ini", "source": "x.ini"}])
    )
    whole = replace(
        ensure_valid(catalogue(both(with_database, STEP), SECRETS)), systems=catalogue(change, SECRETS).systems
    )
    files = render(replace(whole, sources={"x.ini": b"[x]"}), "watchme", digests(change))
    step = files.steps[0]
    found = yaml.safe_load(step.document)["services"]["release"]
    assert found["command"] == ["migrate", "--now"] and found["environment"] == {"PRICE": "5$$"}
    assert not {"ports", "container_name", "depends_on", "restart"} & {*found}
    assert found["env_file"] == [f"{step.place}{step.files[0]}"] and step.files[0].endswith("/web.env")
    assert [mount["source"] for mount in found["volumes"]] == [f"{step.place}{step.files[1]}"]
    assert step.limit == 90 and step.needs == ["db"] and step.said == "migrate --now"
    assert found["image"] in next(unit.images for unit in files.units if unit.name == "watchme-web-app.service")
    # Its own service and its container stay as they were
    assert not [file for file in files.files if b"infra-step-" in file.content or b"migrate" in file.content]


def test_steps_run_in_the_order_of_dependencies():
    first = setting("worker", release={"command": "first"})
    waits = setting("web", depends_on=["worker"])
    assert [step.service for step in made(STEP, first, waits).steps] == ["worker", "web"]
    assert made(STEP, first, waits).steps[1].needs == ["worker", "db"]


def test_step_with_its_own_image_runs_its_command():
    other = {"repository": "docker.io/library/flyway", "tag": "10"}
    change = both(
        with_database,
        setting("web", memory={"limit": "90m"}, command="serve", entrypoint="/entry", release={"image": other}),
    )
    files = render(ensure_valid(catalogue(change, SECRETS)), "watchme", digests(change))
    found = yaml.safe_load(files.steps[0].document)["services"]["release"]
    assert "command" not in found and "entrypoint" not in found and "library/flyway@sha256:" in found["image"]
    assert [image.name for image in catalogue(change).foreign_images] == [
        "docker.io/library/flyway:10", "docker.io/library/postgres:16.4",
    ]  # fmt: skip


KEYS = {
    "another image": (setting("web", image={"repository": "watchme-web", "tag": "2"}), False),
    "another command": (setting("web", release={"command": "migrate --later"}), False),
    "another volume of the database": (setting("db", volumes=[f"other:{DATA}"]), False),
    "more memory": (setting("web", memory={"limit": "91m"}), True),
    "a longer limit": (setting("web", release={"command": "migrate --now", "environment": {"PRICE": "5$"}, "limit": "9m"}), True),
    "another port": (setting("web", environment={"MODE": "x"}), True),
}  # fmt: skip


@pytest.mark.parametrize(("change", "same"), KEYS.values(), ids=KEYS)
def test_changes_that_make_another_step(change, same):
    assert (made(STEP).steps[0].key == made(STEP, change).steps[0].key) is same


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"command": []},
        {"command": ""},
        {"command": "a | b"},
        {"command": "x", "limit": "0s"},
        {"command": "x", "limit": 30},
    ],
)
def test_invalid_release_step_is_refused(given):
    with pytest.raises(ValidationError):
        catalogue(setting("web", release=given))
