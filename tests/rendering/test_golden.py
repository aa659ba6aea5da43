"""The rendered files, held against the document's own examples."""

import json
import re

import pytest
import yaml

from rendering.host import render
from tests.support import GOLDEN, catalogue, service, stack

DOCUMENT = GOLDEN / "watchme"
HOST = render(catalogue(), "watchme")
FILES = {file.path: file.content.decode() for file in HOST.files}
SITE = FILES["/etc/nginx/sites-available/api.hey-watch.me"]


def directives(text: str) -> list[str]:
    """A unit's or Nginx block's lines, without comments, blank lines and indentation."""
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def location(path: str) -> list[str]:
    start = SITE.index(f"    location {path} {{")
    # Pages of other sites read errors too, which the document's headers do not go with
    lines = directives(SITE[start : SITE.index("\n    }\n", start) + 6])
    return resolve_upstreams([re.sub(r'("Access-Control-.*") always;', r"\1;", line) for line in lines])


def resolve_upstreams(lines: list[str]) -> list[str]:
    """What passes requests to a service's upstream passes them to its server, while the service does not restart."""
    groups = [FILES[link.target] for link in HOST.links if link.path.startswith("/etc/nginx/conf.d/service-")]
    servers = dict(re.findall(r"upstream (service_\S+) \{ server (\S+); \}", "".join(groups)))
    return [re.sub(r"//(service_[a-z0-9-]+)", lambda group: f"//{servers[group[1]]}", line) for line in lines]


def on_loopback(lines: list[str]) -> list[str]:
    """The document writes localhost; ports are published on 127.0.0.1 only, and localhost is ::1 too. It hands on what
    a client says of its own address."""
    lines = [line.replace("//localhost:", "//127.0.0.1:") for line in lines]
    return [line.replace("$proxy_add_x_forwarded_for", "$remote_addr") for line in lines]


@pytest.mark.parametrize(("name", "path"), [("ast", "api_ast"), ("superb", "api_superb_v1")])
def test_compose_file_is_the_documents(name, path):
    expected = yaml.safe_load((DOCUMENT / f"{name}-compose.yml").read_text())["services"]["api"]
    rendered = yaml.safe_load(FILES[f"/home/ubuntu/{path}/docker-compose.prod.yml"])
    found = rendered["services"]["api"]
    assert list(found.pop("networks")) == expected.pop("networks")
    # Not in the document: without compose in the foreground the journal gets the log from Docker, under the unit's name
    assert found.pop("labels") == {"object_systemd_unit": f"watchme-{name}-api.service"}
    logging = {"driver": "journald", "options": {"labels": "object_systemd_unit", "tag": "{{.Name}}"}}
    assert found.pop("logging") == logging
    assert found == expected
    # The document's own 3.8 is obsolete: v2 of compose warns of it at each start, and v1 from 1.27 on needs none
    assert set(rendered) == {"services", "networks"}


def test_every_compose_file_follows_the_network_template():
    template = yaml.safe_load((DOCUMENT / "template-compose.yml").read_text())
    for path, text in FILES.items():
        if "docker-compose" in path:
            document = yaml.safe_load(text)
            assert document["networks"] == template["networks"]
            for entry in document["services"].values():
                assert list(entry["networks"]) == ["watchme-network"]
                assert all(port.startswith("127.0.0.1:") for port in entry["ports"])


def without_foreground(line: str, containers: list[str], project: str) -> list[str]:
    """The document's unit, but nothing that costs 25 MB waits in the foreground for the container's end, what is here
    already is not asked for at the registry (a digest says what it is), what a failed start left is removed before the
    next one, and a stop removes our own project's containers alone."""
    if line.endswith(" pull -q") or " pull" in line:
        return []
    if line.startswith("ExecStop="):
        own = f"$$(docker ps --all --quiet --filter label=com.docker.compose.project={project})"
        stop = '{ docker stop "$$@" && docker rm "$$@"; }'
        return [f"ExecStop=/bin/sh -c 'set -- {own}; [ $$# -eq 0 ] || {stop} >/dev/null'"]
    line = line.replace("docker-compose -f", f"docker-compose -p {project} -f")
    if not (line.startswith("ExecStart=") and line.endswith(" up")):
        return [line]
    waiting = "curl --silent --show-error --output /dev/null --unix-socket /run/docker.sock --request POST http://localhost/containers"
    if len(containers) == 1:
        wait = f"/usr/bin/{waiting}/{containers[0]}/wait"
    else:
        # Two containers under one unit: the document's line would not notice the death of one
        wait = f"/bin/bash -c 'for name in {' '.join(containers)}; do {waiting}/$$name/wait & done; wait -n'"
    left = f"filters=%%7B%%22label%%22%%3A%%5B%%22com.docker.compose.project%%3D{project}%%22%%5D%%7D"
    return [
        f"ExecStartPre=-/usr/bin/{waiting.removesuffix('/containers')}/containers/prune?{left}",
        f"{line.replace('ExecStart=', 'ExecStartPre=')} -d --remove-orphans",
        f"ExecStart={wait}",
    ]


def test_every_compose_unit_is_the_documents_template():
    template = directives((DOCUMENT / "template.service").read_text())
    units = [unit for unit in HOST.units if unit.images]
    assert len(units) == 13
    for unit in units:
        compose = next(path for path in unit.files if "docker-compose" in path)
        containers = [entry["container_name"] for entry in yaml.safe_load(FILES[compose])["services"].values()]
        project = f"infra-{unit.name.removesuffix('.service')}"
        lines = [line.replace("[docker-compose.prod.ymlへの絶対パス]", compose) for line in template]
        expected = [made for line in lines for made in without_foreground(line, containers, project)]
        # Not in the document: they come back with Docker, and not only with the machine
        expected = [
            line.replace("WantedBy=multi-user.target", "WantedBy=multi-user.target docker.service") for line in expected
        ]
        found = directives(FILES[f"/etc/systemd/system/{unit.name}"])
        assert [line for line in found if not line.startswith("Description=")] == [
            line for line in expected if not line.startswith("Description=")
        ]


def containers_of(path: str) -> set[str]:
    return {entry["container_name"] for entry in yaml.safe_load(FILES[path])["services"].values()}


def test_manager_and_scheduler_have_separate_units():
    """The scheduler outage came from a unit that started a file without it. The document's cure is one file with both;
    since at most one scheduler runs anywhere, and the manager wherever a host is, each has its own here."""
    manager, scheduler = "/home/ubuntu/watchme-api-manager", "/home/ubuntu/watchme-scheduler"
    assert containers_of(f"{manager}/docker-compose.all.yml") == {"watchme-api-manager-prod"}
    assert containers_of(f"{scheduler}/docker-compose.prod.yml") == {"watchme-scheduler-prod"}
    assert f"{manager}/docker-compose.all.yml up -d" in FILES["/etc/systemd/system/watchme-api-manager.service"]
    assert f"{scheduler}/docker-compose.prod.yml up -d" in FILES["/etc/systemd/system/watchme-scheduler.service"]


def test_a_single_services_unit_is_bound_to_the_watch():
    drop_in = "/etc/systemd/system/watchme-scheduler.service.d/infra-single.conf"
    assert directives(FILES[drop_in]) == [
        "[Unit]",
        "BindsTo=infra-singles.service",
        "After=infra-singles.service",
        "ConditionPathExists=/run/infra/single/scheduler",
        "[Service]",
        "TimeoutStopSec=10",
        "ExecStopPost=-/usr/bin/python3 -I -B /var/lib/infra/bin end-container watchme-scheduler-prod",
        "ExecStopPost=-/usr/bin/docker rm --force watchme-scheduler-prod",
    ]
    unit = next(unit for unit in HOST.units if unit.name == "watchme-scheduler.service")
    assert unit.flag == "/run/infra/single/scheduler" and drop_in in unit.files
    assert json.loads(FILES["/etc/infra/singles.json"]) == {
        "address": "", "check": 30, "zone": "hey-watch.me",
        "singles": [
            {
                "name": "api.hey-watch.me", "service": "scheduler", "unit": "watchme-scheduler.service",
                "container": "watchme-scheduler-prod",
            }
        ],
    }  # fmt: skip
    assert "WatchdogSec=10" in FILES["/etc/systemd/system/infra-singles.service"]


def test_order_of_memory_stops_is_the_documents():
    """docker stop api-sed-aggregator opensmile-aggregator, in that order."""
    entries = json.loads(FILES["/etc/infra/memory.json"])
    assert [(entry["container"], entry["unit"], entry["needs"] // 1024**2) for entry in entries] == [
        ("api-sed-aggregator", "api-sed-aggregator.service", 512),
        ("opensmile-aggregator", "opensmile-aggregator.service", 512),
    ]
    for entry in entries:
        drop_in, bar = (
            f"/etc/systemd/system/{entry['unit']}.d/infra-memory.conf",
            f"/run/infra/stopped/{entry['service']}",
        )
        assert directives(FILES[drop_in]) == ["[Unit]", f"ConditionPathExists=!{bar}"]
        unit = next(unit for unit in HOST.units if unit.name == entry["unit"])
        assert unit.bar == bar and drop_in in unit.files
    assert {unit.name for unit in HOST.units if unit.bar} == {entry["unit"] for entry in entries}


def test_avatar_location_is_the_documents():
    expected = on_loopback(directives((DOCUMENT / "avatar-location.conf").read_text()))
    assert set(expected) <= set(location("/avatar/"))
    extra = set(location("/avatar/")) - set(expected)
    # Not in the document: WebSockets, and the name that a client asked for
    assert extra == {
        'add_header Strict-Transport-Security "max-age=63072000" always;',
        "proxy_set_header Upgrade $infra_upgrade;",
        "proxy_set_header Connection $infra_connection;",
        "proxy_set_header X-Forwarded-Host $host;",
        "proxy_redirect http://127.0.0.1:8014/ /avatar/;",
    }


def test_scheduler_location_follows_the_template():
    text = (DOCUMENT / "template-location.conf").read_text()
    for mark, value in (("[公開URLパス]", "scheduler"), ("[ポート番号]", "8015"), ("[内部APIパス]", "api/scheduler")):
        text = text.replace(mark, value)
    assert set(on_loopback(directives(text))) <= set(location("/scheduler/"))


def rows() -> list[list[str]]:
    lines = (DOCUMENT / "services.txt").read_text().splitlines()
    return [[cell.strip(" *~") for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_service_table(row):
    """Port, public path and container of every service that the document lists; the retired ones get nothing."""
    _, port, _, path, container, _ = row
    if container == "-":
        assert f":{port}" not in SITE and not any(f":{port}:" in text for text in FILES.values())
    else:
        # Without a path of its own where nothing is rewritten: Nginx passes on what it got
        assert any(re.match(f"proxy_pass http://127.0.0.1:{port}[/;]", line) for line in location(path))
        text = next(text for text in FILES.values() if f"container_name: {container}\n" in text)
        assert f"127.0.0.1:{port}:{port}" in text


def test_address_table():
    lines = (DOCUMENT / "addresses.txt").read_text().split("# 廃止予定")[0].splitlines()
    expected = {name: address for line in lines for name, address in re.findall(r"^(\S+)\s+\(([\d.]+)\)", line)}
    found = {
        entry["container_name"]: entry["networks"]["watchme-network"]["ipv4_address"]
        for path, text in FILES.items()
        if "docker-compose" in path
        for entry in yaml.safe_load(text)["services"].values()
    }
    assert found == expected and len(found) == 13


def test_units_of_the_document_are_all_there():
    names = {unit.name for unit in HOST.units}
    assert names == {
        "watchme-infrastructure.service", "api-gpt-v1.service", "api-sed-aggregator.service", "mood-chart-api.service",
        "opensmile-aggregator.service", "vibe-transcriber-v2.service", "watchme-admin.service",
        "watchme-api-manager.service", "watchme-avatar-uploader.service", "watchme-vault-api.service",
        "watchme-web-app.service", "watchme-ast-api.service", "watchme-superb-api.service", "nginx.service",
    } | {"watchme-scheduler.service", "infra-singles.service", "infra-memory.service", "infra-monitor.timer", "infra-metadata.service"}  # fmt: skip


def test_the_network_is_the_documents():
    text = FILES["/etc/systemd/system/watchme-infrastructure.service"]
    assert "--subnet 172.27.0.0/16 --gateway 172.27.0.1 watchme-network" in text


def test_public_health_urls_go_through_the_internal_path():
    probes = {probe.service: (probe.url, probe.public) for probe in HOST.probes}
    assert probes["scheduler"] == (
        "http://127.0.0.1:8015/api/scheduler/health",
        "https://api.hey-watch.me/scheduler/health",
    )
    assert probes["web"] == ("http://127.0.0.1:3001/health", "https://api.hey-watch.me/health")


def test_a_move_changes_the_registry_and_nothing_else():
    moved = catalogue(config=lambda config: config.update({"aws:region": "ap-southeast-2"}))
    other = {file.path: file.content.decode() for file in render(moved, "watchme").files}
    assert {path: text.replace("ap-southeast-2", "ap-northeast-1") for path, text in other.items()} == FILES


def test_public_name_can_differ_per_stack():
    made = catalogue(config=lambda config: config.update({"infra:names": {"api.hey-watch.me": "dev.hey-watch.me"}}))
    paths = {file.path for file in render(made, "watchme").files}
    assert "/etc/nginx/sites-available/dev.hey-watch.me" in paths
    assert stack().public_name("api.hey-watch.me") == "api.hey-watch.me"


def test_environment_and_secrets_become_one_private_file():
    def change(data):
        service(data, "scheduler").update(environment={"MODE": "prod"}, secrets=["TOKEN"])

    host = render(catalogue(change), "watchme")
    (made,) = host.environment_files
    path = "/home/ubuntu/watchme-scheduler/scheduler.env"
    assert (made.path, made.values, made.secrets) == (path, {"MODE": "prod"}, {"TOKEN": "scheduler/TOKEN"})
    text = next(
        f.content.decode() for f in host.files if f.path == "/home/ubuntu/watchme-scheduler/docker-compose.prod.yml"
    )
    assert yaml.safe_load(text)["services"]["scheduler"]["env_file"] == ["./scheduler.env"]
    assert path in next(unit for unit in host.units if unit.name == "watchme-scheduler.service").files
