"""Containers of `docker run`, as a compose file would say them, and as services."""

import copy
import json

import pytest
import yaml

from infra.adopt.host import by_run, on_host, understanding
from infra.adopt.host.forms import checked_facts
from infra.adopt.host.remarks import unsaid
from tests.adopt import hosts
from tests.support import stack

IMAGE = {
    "Env": ["PATH=/bin", "LANG=C"], "Cmd": ["serve"], "Entrypoint": None, "User": "", "WorkingDir": "/app", "Labels": {"made": "x"},
    "Healthcheck": {"Test": ["CMD", "check"]},
}  # fmt: skip
# As `docker container inspect` has it
PLAIN = {
    "Id": "0123456789abcdef", "Name": "/notes", "Image": "sha256:1", "State": {"Running": True, "Pid": 0}, "Mounts": [],
    "Config": {"Image": "ghcr.io/o/notes:1.2", "Hostname": "0123456789ab", **IMAGE},
    "HostConfig": {"Memory": 0, "PortBindings": {}, "NetworkMode": "bridge", "PidMode": "", "ShmSize": by_run.SHM},
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}  # fmt: skip


def started(config=(), host=(), **more):
    made = copy.deepcopy(PLAIN)
    made["Config"].update(dict(config))
    made["HostConfig"].update(dict(host))
    return {**made, **more}


def said(entry):
    return by_run.compose_document(entry, IMAGE)["services"]["notes"]


def test_defaults_of_the_image_are_left_out():
    assert said(PLAIN) == {"image": "ghcr.io/o/notes:1.2", "container_name": "notes"}


OPTIONS = {
    "-e": (started({"Env": ["PATH=/bin", "LANG=de", "A=b=c", "EMPTY="]}), {"environment": {"LANG": "de", "A": "b=c", "EMPTY": ""}}),
    "-p": (
        started(host={"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8001"}], "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}], "9/tcp": None}}),
        {"ports": ["8001:80", "127.0.0.1:53:53/udp"]},
    ),
    "-v": (
        started(Mounts=[
            {"Type": "volume", "Name": "data", "Destination": "/data", "RW": True},
            {"Type": "bind", "Source": "/srv/x", "Destination": "/x", "RW": False}, {"Type": "tmpfs", "Destination": "/t"},
        ]),
        {"volumes": ["data:/data", "/srv/x:/x:ro"]},
    ),
    "--memory": (started(host={"Memory": 1024, "NanoCpus": 5 * 10**8}), {"mem_limit": 1024, "cpus": 0.5}),
    "--user": (started({"User": "5", "WorkingDir": "/srv"}), {"user": "5", "working_dir": "/srv"}),
    "a command": (started({"Cmd": ["work"], "Entrypoint": ["tini"]}), {"command": ["work"], "entrypoint": ["tini"]}),
    "--network none": (started(host={"NetworkMode": "none"}, NetworkSettings={"Networks": {"none": {}}}), {"network_mode": "none"}),
    "the network of another": (started(host={"NetworkMode": "container:vpn"}), {"network_mode": "container:vpn"}),
    "a port that Docker chooses": (started(host={"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]}}), {"ports": ["80"]}),
    "an address of IPv6": (started(host={"PortBindings": {"81/tcp": [{"HostIp": "::1", "HostPort": "8081"}]}}), {"ports": ["[::1]:8081:81"]}),
    "--cpu-shares and others": (started(host={"CpuShares": 512, "Runtime": "nvidia", "DnsSearch": ["a"]}), {"cpu_shares": 512, "runtime": "nvidia", "dns_search": ["a"]}),
    "--network host": (started(host={"NetworkMode": "host"}), {"network_mode": "host"}),
    "--network": (started(NetworkSettings={"Networks": {"own": {"IPAddress": "172.20.0.2"}}}), {"networks": ["own"]}),
    "--privileged": (started(host={"Privileged": True, "CapAdd": ["SYS_ADMIN"]}), {"privileged": True, "cap_add": ["SYS_ADMIN"]}),
    "--device": (started(host={"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]}), {"devices": ["/dev/a:/dev/b:r"]}),
    "--tmpfs": (started(host={"Tmpfs": {"/a": "", "/b": "size=1m"}, "ShmSize": 1}), {"tmpfs": ["/a", "/b:size=1m"], "shm_size": 1}),
    "--ulimit": (started(host={"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}]}), {"ulimits": {"nofile": {"soft": 1, "hard": 2}}}),
    "--hostname": (started({"Hostname": "box", "StopTimeout": 30}), {"hostname": "box", "stop_grace_period": "30s"}),
    "--label": (started({"Labels": {"made": "x", "own": "y"}}), {"labels": {"own": "y"}}),
    "--health-cmd": (
        started({"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5 * 10**9, "Retries": 2}}),
        {"healthcheck": {"test": ["CMD-SHELL", "true"], "interval": "5000ms", "retries": 2}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "expected"), OPTIONS.values(), ids=OPTIONS)
def test_docker_run_option_becomes_a_compose_option(entry, expected):
    found = said(entry)
    assert {key: found[key] for key in found if key not in ("image", "container_name")} == expected


@pytest.mark.parametrize("entry", [entry for entry, _ in OPTIONS.values()], ids=OPTIONS)
def test_yaml_text_parses_back_to_the_same_document(entry):
    made = by_run.compose_document(entry, IMAGE)
    assert yaml.safe_load(by_run.yaml_text(made)) == made


def read(monkeypatch, *entries):
    answers = {"containers": "1", "container": json.dumps(entries)}
    monkeypatch.setattr(
        on_host,
        "_ask",
        lambda command, *words: answers.get(command, json.dumps(IMAGE) if "{{json .Config}}" in words else "[]"),
    )
    monkeypatch.setattr(on_host, "_accounts", lambda: [])
    monkeypatch.setattr(on_host, "_networks", lambda: [])
    *_, last = on_host.facts(hosts.mask_secrets)
    return last["facts"]


def test_container_of_docker_run_becomes_a_service(monkeypatch):
    entry = started(
        {"Env": ["PATH=/bin", "LANG=C", "DB_PASSWORD=hunter2", "MODE=fast"]},
        {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8001"}]}, "Memory": 256 * 1024**2},
        Mounts=[{"Type": "volume", "Name": "data", "Destination": "/data", "RW": True}],
    )
    facts = read(monkeypatch, entry)
    assert "hunter2" not in json.dumps(facts)
    assert yaml.safe_load(facts["compose"]["/opt/notes/docker-compose.prod.yml"])["services"]["notes"]["ports"] == [
        "8001:80"
    ]
    found = understanding.derive_system({**facts, "nginx": {}, "units": []}, {}, stack(), "box")
    [service] = found.system.compose_services
    assert (service.name, service.container, service.port, service.container_port) == ("notes", "notes", 8001, 80)
    assert service.environment == {"MODE": "fast"} and service.secrets == ["DB_PASSWORD"]
    assert service.image.name == "ghcr.io/o/notes:1.2" and service.memory.limit == "256m"
    assert [(mount.source, mount.target) for mount in service.volumes] == [("data", "/data")]
    assert service.unit == "notes.service" and service.directory == "/opt/notes"


def test_stopped_container_is_left_out_with_a_remark(monkeypatch):
    facts = read(monkeypatch, {**PLAIN, "State": {"Running": False, "Pid": 0}})
    remarks: list = []
    assert understanding.compose.entries(facts, remarks) == []
    assert "is not running, and no unit starts it: left out" in remarks[0].text


RANGE = {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8000-8010"}, {"HostIp": "", "HostPort": "8001"}]}}
ODD = {
    "a range of ports": (
        started(host=RANGE),
        ["notes"],
        "publishes 80/tcp at 8000-8010, which is not one port: left out",
    ),
    "no state": ({**PLAIN, "State": None}, [], "what Docker says of it cannot be read (TypeError): left out"),
    "no configuration": ({"Name": "/notes"}, [], "what Docker says of it cannot be read (KeyError): left out"),
}


@pytest.mark.parametrize(("entry", "names", "said"), ODD.values(), ids=ODD)
def test_unreadable_container_does_not_affect_the_others(monkeypatch, entry, names, said):
    facts = checked_facts(read(monkeypatch, entry, started(Name="/other")), "box")
    assert [container["name"] for container in facts["containers"]] == [*names, "other"]
    assert [place[1] for container in facts["containers"] for place in container["ports"]] == [8001 for _ in names]
    remarks: list = []
    understanding.compose.entries(facts, remarks)
    assert remarks == [unsaid("notes", said)]
