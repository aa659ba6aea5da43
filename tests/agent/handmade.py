"""Containers that were made by hand and are what a release would create, as Docker describes them."""

from __future__ import annotations

import posixpath
from typing import Any

import yaml

from agent.apply import unpack_release
from agent.archive import members
from catalogue.compose.durations import seconds
from catalogue.sizes import to_bytes
from tests.agent.fake import FakeWorld

NANOSECONDS = 1_000_000_000
IMAGE = {"Env": ["PATH=/usr/bin"], "Cmd": ["serve"], "WorkingDir": "/app", "Labels": {"maker": "us"}}


def described(made: Any, name: str, number: int = 0) -> dict[str, Any]:
    """What `docker inspect` would say of a container of a release's, made by `docker compose` by hand."""
    release = unpack_release(made.id, members(made.archive), {})
    files = {file.path: file.content.decode() for file in release.files}
    for path, text in files.items():
        if not path.endswith(".yml") or "\nservices:" not in text:
            continue
        for key, body in yaml.safe_load(text)["services"].items():
            if body["container_name"] == name:
                return _details(made, files, path, key, body, f"{number:x}".rjust(2, "e") * 32)
    raise LookupError(name)


def _details(made: Any, files: dict[str, str], path: str, key: str, body: dict[str, Any], id: str) -> dict[str, Any]:
    variables = {"PATH": "/usr/bin"}
    for file in body.get("env_file", ()):
        text = files[posixpath.normpath(posixpath.join(posixpath.dirname(path), file))]
        variables |= dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    ports = {}
    for mapping in body.get("ports", ()):
        address, outside, inside = mapping.rsplit(":", 2)
        ports[f"{inside}/tcp"] = [{"HostIp": address, "HostPort": outside}]
    check = body.get("healthcheck")
    (network, settings), *_ = body["networks"].items()
    return {
        "Id": id, "Name": f"/{body['container_name']}", "Image": f"id of {body['image']}",
        "State": {"Running": True, "Paused": False, "Restarting": False, "StartedAt": f"2026-01-01T00:00:{id[0]}Z"},
        "Config": {
            "Hostname": id[:12], "User": body.get("user", ""), "Cmd": body.get("command", ["serve"]),
            "Env": [f"{name}={value}" for name, value in variables.items()], "WorkingDir": "/app",
            "Labels": {"maker": "us", "com.docker.compose.project": "byhand", "com.docker.compose.config-hash": "1"},
            **({"Healthcheck": {
                "Test": check["test"], "Interval": int(seconds(check["interval"]) * NANOSECONDS),
                "Timeout": int(seconds(check["timeout"]) * NANOSECONDS), "Retries": check["retries"],
            }} if check else {}),
        },
        "HostConfig": {
            "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}, "NetworkMode": network, "PortBindings": ports,
            "Memory": to_bytes(body["mem_limit"]), "MemorySwap": -1, "ShmSize": 67108864, "IpcMode": "private",
            "Runtime": "runc", "LogConfig": {"Type": "json-file", "Config": {}}, "CapAdd": None, "Init": None,
        },
        "NetworkSettings": {"Networks": {network: {
            "IPAddress": settings.get("ipv4_address", "172.27.0.99"),
            "IPAMConfig": {"IPv4Address": settings["ipv4_address"]} if "ipv4_address" in settings else None,
            "Aliases": [body["container_name"], key, id[:12], *settings.get("aliases", [])],
        }}},
        "Mounts": [
            {"Type": mount["type"], "Source": mount["source"], "Name": mount["source"], "Destination": mount["target"],
             "RW": not mount.get("read_only")}
            for mount in body.get("volumes", ())
        ],
    }  # fmt: skip


def adopt_ready(world: FakeWorld, made: Any, *names: str) -> dict[str, str]:
    """Runs these containers on a host by hand; name → id."""
    world.docker.image_config = IMAGE
    for number, name in enumerate(names):
        details = described(made, name, number)
        world.docker.foreign[details["Id"]] = details
    return {entry["Name"].lstrip("/"): id for id, entry in world.docker.foreign.items()}
