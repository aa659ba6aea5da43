"""Containers that no compose file describes, such as those of `docker run`, as a compose file would say them. Runs on
the host beside on_host.py: standard library only. What its image says by itself is left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalogue.shapes import ComposeBody, ComposeDocument
    from infra.adopt.host.documents import Bindings, ContainerInspection, Device, Health, ImageConfig

# Where the compose file of such a container would lie: there is none there
FOLDER = "/opt"
FILE = "docker-compose.prod.yml"
SHM = 64 * 1024 * 1024  # bytes, where no other size is said
# Options of Docker's that a compose file has under another name, as they are
SAME = {
    "Privileged": "privileged", "ReadonlyRootfs": "read_only", "CapAdd": "cap_add", "CapDrop": "cap_drop", "Dns": "dns",
    "ExtraHosts": "extra_hosts", "SecurityOpt": "security_opt", "GroupAdd": "group_add", "Sysctls": "sysctls",
    "Init": "init", "PidsLimit": "pids_limit", "CpuShares": "cpu_shares", "CpusetCpus": "cpuset",
    "CpuQuota": "cpu_quota",
    "MemoryReservation": "mem_reservation", "Links": "links", "VolumesFrom": "volumes_from", "DnsSearch": "dns_search",
    "DnsOptions": "dns_opt", "CgroupParent": "cgroup_parent", "OomKillDisable": "oom_kill_disable",
    "DeviceRequests": "gpus", "DeviceCgroupRules": "device_cgroup_rules", "OomScoreAdj": "oom_score_adj",
}  # fmt: skip
NONE = ("NetworkMode", "none")
DOCKERS = ("bridge", "host", "none")  # networks of Docker's own
MODES = {
    "NetworkMode": "network_mode",
    "PidMode": "pid",
    "IpcMode": "ipc",
    "UTSMode": "uts",
    "UsernsMode": "userns_mode",
}


def path_of(name: str) -> str:
    """The path that a container's description has."""
    return f"{FOLDER}/{name}/{FILE}"


def compose_document(entry: ContainerInspection, image: ImageConfig) -> ComposeDocument:
    """A container as `docker inspect` has it, as a compose file; `image` is its image's own configuration."""
    config, host = entry["Config"], entry["HostConfig"]
    name = entry["Name"].lstrip("/")
    body: ComposeBody = {"image": config["Image"], "container_name": name}
    own = set(image.get("Env") or [])
    environment = dict(_variable(assignment) for assignment in config.get("Env") or [] if assignment not in own)
    shared_memory, stop_timeout, runtime = host.get("ShmSize"), config.get("StopTimeout"), host.get("Runtime")
    settings: ComposeBody = {
        "environment": environment,
        "ports": _ports(host.get("PortBindings") or {}),
        "volumes": _volumes(entry),
        "mem_limit": host.get("Memory") or None,
        "cpus": (host.get("NanoCpus") or 0) / 1e9 or None,
        "tmpfs": [f"{path}:{how}".rstrip(":") for path, how in (host.get("Tmpfs") or {}).items()],
        "devices": [_device(device) for device in host.get("Devices") or []],
        "ulimits": {one["Name"]: {"soft": one["Soft"], "hard": one["Hard"]} for one in host.get("Ulimits") or []},
        "shm_size": shared_memory if shared_memory not in (0, SHM) else None,
        "hostname": _hostname(entry),
        "labels": {k: v for k, v in (config.get("Labels") or {}).items() if (image.get("Labels") or {}).get(k) != v},
        "networks": [net for net in entry["NetworkSettings"]["Networks"] or {} if net not in DOCKERS],
        "stop_signal": _unlike(config, image, "StopSignal"),
        "stop_grace_period": f"{stop_timeout}s" if stop_timeout else None,
        "user": _unlike(config, image, "User"),
        "working_dir": _unlike(config, image, "WorkingDir"),
        "entrypoint": _unlike(config, image, "Entrypoint"),
        "command": _unlike(config, image, "Cmd"),
        "healthcheck": _health(config.get("Healthcheck"), image.get("Healthcheck")),
    }  # fmt: skip
    options: Mapping[str, object] = host
    settings.update({name: options.get(key) or None for key, name in SAME.items()})
    settings.update({name: "host" for key, name in MODES.items() if options.get(key) == "host"})
    alone = [key for key in MODES if str(options.get(key)).startswith("container:") or (key, options.get(key)) == NONE]
    settings.update({MODES[key]: options[key] for key in alone})
    if runtime not in (None, "", "runc"):
        settings["runtime"] = runtime
    body.update({key: value for key, value in settings.items() if value not in (None, [], {}, "", False)})
    return {"services": {name: body}}


def _variable(assignment: str) -> tuple[str, str]:
    name, _, value = assignment.partition("=")
    return name, value


def _hostname(entry: ContainerInspection) -> str | None:
    """One that a person gave; else it is the beginning of the container's id."""
    hostname = entry["Config"].get("Hostname") or ""
    return hostname if hostname and not entry["Id"].startswith(hostname) else None


def yaml_text(value: ComposeDocument | list[Any], depth: int = 0) -> str:
    """A mapping or a list as YAML, a line for each value: what is masked in one leaves the others as they are."""
    lines: list[str] = []
    pairs: Iterable[tuple[str | None, Any]] = (
        value.items() if isinstance(value, dict) else [(None, item) for item in value]
    )
    for key, item in pairs:
        begin = "  " * depth + ("- " if key is None else f"{json.dumps(str(key))}: ")
        if _has_lines(item):
            lines.append(f"{begin.rstrip()}\n{yaml_text(item, depth + 1)}")
        else:
            lines.append(f"{begin}{_scalar(item)}\n")
    return "".join(lines)


def _has_lines(value: Any) -> bool:
    return isinstance(value, (dict, list)) and value not in ({}, [])


def _scalar(value: Any) -> str:
    """In single quotes a text stands as it is, so that a secret in it is seen; a $ means itself."""
    if not isinstance(value, str):
        return json.dumps(value)
    text = value.replace("$", "$$")
    plain = all(sign.isprintable() for sign in text)
    return "'" + text.replace("'", "''") + "'" if plain else json.dumps(text)


def _unlike(config: Mapping[str, object], image: Mapping[str, object], key: str) -> object:
    """What a container says, where its image says something else."""
    return config.get(key) if config.get(key) != image.get(key) else None


def _ports(bindings: Bindings) -> list[str]:
    mappings: list[str] = []
    for inside, places in bindings.items():
        for place in places or []:
            at = place.get("HostIp") or ""
            at = f"[{at}]" if ":" in at else at
            if not place.get("HostPort"):
                # Docker chose one, and another one each time
                mappings.append(inside.replace("/tcp", ""))
                continue
            mappings.append(f"{at + ':' if at else ''}{place['HostPort']}:{inside}".replace("/tcp", ""))
    return mappings


def _volumes(entry: ContainerInspection) -> list[str]:
    """Named ones and paths of the host. One without a name of a person's is by its long name: its data is there."""
    mounts: list[str] = []
    for mount in entry.get("Mounts") or []:
        source = mount.get("Name") if mount["Type"] == "volume" else mount.get("Source")
        if mount["Type"] in ("volume", "bind") and source:
            mounts.append(f"{source}:{mount['Destination']}" + ("" if mount.get("RW", True) else ":ro"))
    return mounts


def _device(device: Device) -> str:
    return f"{device['PathOnHost']}:{device['PathInContainer']}:{device.get('CgroupPermissions') or 'rwm'}"


def _health(check: Health | None, of_image: Health | None) -> dict[str, object]:
    """Docker counts in nanoseconds."""
    if check is None or check == of_image or not (test := check.get("Test")):
        return {}
    times = {
        "interval": check.get("Interval"),
        "timeout": check.get("Timeout"),
        "start_period": check.get("StartPeriod"),
    }
    healthcheck: dict[str, object] = {"test": test}
    healthcheck.update({name: f"{time // 10**6}ms" for name, time in times.items() if time})
    retries = check.get("Retries")
    healthcheck.update({"retries": retries} if retries else {})
    return healthcheck
