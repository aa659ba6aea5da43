"""What is a difference between a container and what a release would create in its place."""

import pytest

from agent.definitions import Image, Wanted, _of_body, differences
from agent.documents.manifest import Container
from catalogue.compose import writing

ENTRY: Container = {
    "name": "web", "service": "web", "unit": "web.service", "network": "", "address": "", "aliases": [], "limit": 0,
    "project": "", "image": "web:1", "covered": [], "kept": {}, "named": "", "user": "",
}  # fmt: skip
VALUES = {
    "command": ["serve"], "entrypoint": ["/init"], "user": "5", "group_add": ["5"], "working_dir": "/srv",
    "tmpfs": ["/tmp"], "cpus": 2.0, "mem_reservation": "10m", "pids_limit": 5, "shm_size": "1m", "init": True,
    "stop_signal": "SIGINT", "stop_grace_period": "30s", "read_only": True, "cap_add": ["NET_ADMIN"],
    "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "devices": ["/dev/fuse"], "tty": True,
    "stdin_open": True, "sysctls": {"net.core.somaxconn": 5}, "extra_hosts": ["db:10.0.0.1"], "dns": ["10.0.0.2"],
    "hostname": "web1", "privileged": True, "pid": "host", "ipc": "host",
}  # fmt: skip


def wanted(**body):
    return Wanted(ENTRY, "web", {"image": "web:1", **body}, {})


def container(**host):
    """A container that is what the body without anything creates."""
    return {
        "Id": "e" * 64, "Name": "/web", "Image": "id", "Config": {"Image": "web:1"}, "HostConfig": host,
        "NetworkSettings": {"Networks": {}}, "Mounts": [],
    }  # fmt: skip


def differing(body, details):
    image = Image("id", frozenset(), {})
    return differences(wanted(**body), details, image, image)


@pytest.mark.parametrize("name", writing.PLAIN)
def test_every_option_of_a_container_is_compared(name):
    assert _of_body(wanted(**{name: VALUES[name]}), {}) != _of_body(wanted(), {})
    assert differing({name: VALUES[name]}, container()) == [name]


def gpus(count):
    device = {"driver": "nvidia", "count": count, "capabilities": ["gpu"]}
    return {"deploy": {"resources": {"reservations": {"devices": [device]}}}}


def in_memory(size, **host):
    """A container with a mount in memory, by the mount's options."""
    mount = {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": size} if size else None}
    details = container(Mounts=[mount])
    return {**details, "Mounts": [{"Type": "tmpfs", "Source": "", "Destination": "/tmp", "RW": True}]}


MOUNT = {"type": "tmpfs", "target": "/tmp"}
CASES = {
    "nothing": ({}, container(), []),
    "both lists as Docker fills them": ({}, container(MaskedPaths=["/proc/kcore"], ReadonlyPaths=["/proc/bus"]), []),
    "nothing masked": ({}, container(MaskedPaths=[], ReadonlyPaths=[]), ["security_opt"]),
    "nothing masked, privileged": ({"privileged": True}, container(Privileged=True, MaskedPaths=[]), []),
    "the host's control groups": ({}, container(CgroupnsMode="host"), ["CgroupnsMode"]),
    "control groups of its own": ({}, container(CgroupnsMode="private"), []),
    "a tmpfs": ({"tmpfs": ["/tmp"]}, container(Tmpfs={"/tmp": ""}), []),
    "a tmpfs with Docker's options": ({"tmpfs": ["/tmp"]}, container(Tmpfs={"/tmp": "rw,noexec"}), []),
    "a tmpfs of a size": ({"tmpfs": ["/tmp"]}, container(Tmpfs={"/tmp": "size=64m"}), ["tmpfs"]),
    "a tmpfs of the same size": ({"tmpfs": ["/tmp:size=1m"]}, container(Tmpfs={"/tmp": "size=1024k"}), []),
    "a mount in memory": ({"volumes": [{**MOUNT, "tmpfs": {"size": 1024}}]}, in_memory(1024), []),
    "a mount in memory of another size": ({"volumes": [{**MOUNT, "tmpfs": {"size": 1024}}]}, in_memory(5), ["volumes"]),
    "a mount in memory without an end": ({"volumes": [{**MOUNT, "tmpfs": {"size": 1024}}]}, in_memory(0), ["volumes"]),
    "all GPUs": (gpus(-1), container(DeviceRequests=[{"Count": -1, "DeviceIDs": None}]), []),
    "no GPU": (gpus(1), container(), ["gpus"]),
    "a GPU by its number": (gpus(1), container(DeviceRequests=[{"Count": 0, "DeviceIDs": ["1"]}]), ["gpus"]),
    "a GPU that the release does not have": ({}, container(DeviceRequests=[{"DeviceIDs": ["0"]}]), ["gpus"]),
    "a terminal": ({"tty": True}, {**container(), "Config": {"Image": "web:1", "Tty": True}}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_a_difference(case):
    body, details, expected = CASES[case]
    assert differing(body, details) == expected
