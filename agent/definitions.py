"""Is a container that runs what a release would create: what Docker says of it against the release's compose file.
Pure; `infra preview` asks the same. What Docker, Compose or the image add by themselves is no difference. Nor is what
a release takes over without another container: the restart policy, the log, and a health check beside the release's
own way of asking."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from agent.documents.manifest import Container, Manifest
from agent.shapes import ComposeBody, DockerDetails, JsonObject

UNIT = "object_systemd_unit"  # the label by which a log has its unit
OF_COMPOSE = ("com.docker.compose.", "desktop.docker.io/")
LENGTHS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZES = {"k": 1024, "m": 1024**2, "g": 1024**3}
OF_SIZE = re.compile(r"size=[0-9]+[kmgKMG]?")
SHARED_MEMORY = 64 * 1024**2
# What a compose file of a release cannot say, and what it is of a container that says nothing
UNSAID = (
    "CgroupParent", "CpuShares", "CpusetCpus", "CpusetMems", "BlkioWeight", "OomScoreAdj", "OomKillDisable",
    "UsernsMode", "UTSMode", "VolumesFrom", "Links", "DnsOptions", "DnsSearch", "DeviceCgroupRules", "StorageOpt",
    "PublishAllPorts",
)  # fmt: skip


class Wanted(NamedTuple):
    """A container that a release would create: its entry in the manifest, its body in the compose file under `key`, and
    the variables of its environment."""

    entry: Container
    key: str
    body: ComposeBody
    environment: dict[str, str]


class Image(NamedTuple):
    """What Docker says of an image: its id, the digests that registries have it by, and its configuration."""

    id: str
    digests: frozenset[str]
    config: DockerDetails

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Image:
        names = [str(name) for name in _list(answer, "RepoDigests")]
        return cls(str(answer["Id"]), frozenset(name.rpartition("@")[2] for name in names), _mapping(answer, "Config"))


def containers_to_create(
    manifest: Manifest, documents: Mapping[str, Any], environments: Mapping[str, str]
) -> list[Wanted]:
    """The containers of compose files, by their content. `environments` are the environment files' texts by path."""
    entries = {entry["name"]: entry for entry in manifest["containers"]}
    containers: list[Wanted] = []
    for path, document in documents.items():
        for key, body in document["services"].items():
            if body.get("container_name") not in entries:
                continue
            variables: dict[str, str] = {}
            for file in _list(body, "env_file"):
                variables |= assignments(environments[posixpath.normpath(f"{posixpath.dirname(path)}/{file}")])
            variables |= {name: _text(value) for name, value in _mapping(body, "environment").items()}
            containers.append(Wanted(entries[body["container_name"]], key, body, variables))
    return containers


def assignments(text: str) -> dict[str, str]:
    """The variables of an environment file, as Compose reads one that agent/desired_state.py wrote."""
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value[1:-1] if value[:1] == "'" and value[-1:] == "'" else value for name, value in pairs}


def differences(container: Wanted, details: Mapping[str, Any], target: Image | None, image: Image) -> list[str]:
    """In what a container (its `details`, from `image`) is not what would be created from `target`, which is None where
    the host does not have that one: by the names of the compose file. Raises what a misshapen answer makes."""
    host = _mapping(details, "HostConfig")
    body, digest = container.body, str(container.body["image"]).partition("@")[2]
    is_same = details["Image"] in (target.id, *target.digests) if target else bool(digest) and digest in image.digests
    if target is None and not digest:
        # No registry was asked what its tag points to
        is_same = details["Config"].get("Image") == body["image"]
    ours = _of_body(container, image.config)
    theirs = _of_container(details, image.config)
    if "healthcheck" not in body:
        ours["healthcheck"] = theirs["healthcheck"]
    return [
        *([] if is_same else ["image"]),
        *(name for name in ours if ours[name] != theirs[name]),
        *(["CgroupnsMode"] if host.get("CgroupnsMode") == "host" else []),
        *(name for name in UNSAID if host.get(name) not in (None, "", 0, -1, False, [], {})),
    ]


def variables(entries: Iterable[str]) -> dict[str, str]:
    """An environment as Docker lists it."""
    pairs = [entry.partition("=") for entry in entries]
    return {name: value for name, _, value in pairs}


def _of_body(container: Wanted, image: Mapping[str, Any]) -> JsonObject:
    body, entry = {name: _whole(value) for name, value in container.body.items()}, container.entry
    entrypoint = _words(body.get("entrypoint"))
    is_on_host = body.get("network_mode") == "host"
    mounts: list[ComposeBody] = _list(body, "volumes")
    return {
        "command": _words(body.get("command")) or ([] if entrypoint else _words(image.get("Cmd"))),
        "entrypoint": entrypoint or _words(image.get("Entrypoint")),
        "user": str(body.get("user") or image.get("User") or ""),
        "working_dir": body.get("working_dir") or image.get("WorkingDir") or "/",
        "environment": {**variables(_list(image, "Env")), **container.environment},
        "healthcheck": _check_of_body(_mapping(body, "healthcheck")),
        "stop_signal": body.get("stop_signal") or image.get("StopSignal") or "SIGTERM",
        "stop_grace_period": _seconds(body.get("stop_grace_period") or "10s"),
        "hostname": body.get("hostname") or "",
        "labels": {
            name: _text(value)
            for name, value in {**_mapping(image, "Labels"), **_mapping(body, "labels")}.items()
            if name != UNIT
        },
        "ports": sorted(port for mapping in _list(body, "ports") for port in _port_bindings(str(mapping))),
        "volumes": sorted(
            (mount["type"], str(mount.get("source") or ""), mount["target"], not mount.get("read_only"),
             _size(_mapping(mount, "tmpfs").get("size")), 0)
            for mount in mounts
        ),
        "tmpfs": sorted(_in_memory(*str(text).partition(":")[::2]) for text in _list(body, "tmpfs")),
        "networks": ["host"] if is_on_host else sorted(_mapping(body, "networks")),
        "ipv4_address": entry["address"],
        "aliases": [] if is_on_host else sorted({*entry["aliases"], container.key} - {entry["name"]}),
        "mem_limit": _size(body.get("mem_limit")),
        "mem_reservation": _size(body.get("mem_reservation")),
        "cpus": float(body.get("cpus") or 0),
        "pids_limit": int(body.get("pids_limit") or 0),
        "shm_size": _size(body.get("shm_size")) or SHARED_MEMORY,
        "ulimits": sorted((name, one["soft"], one["hard"]) for name, one in _mapping(body, "ulimits").items()),
        "init": bool(body.get("init")),
        "read_only": bool(body.get("read_only")),
        "cap_add": sorted(_list(body, "cap_add")),
        "cap_drop": sorted(_list(body, "cap_drop")),
        "security_opt": sorted(option.replace(":true", "") for option in _list(body, "security_opt")),
        "devices": sorted(_device(str(device)) for device in _list(body, "devices")),
        "gpus": _gpus(body),
        "sysctls": {name: _text(value) for name, value in _mapping(body, "sysctls").items()},
        "extra_hosts": sorted(re.sub("[:=]", ":", str(line), count=1) for line in _list(body, "extra_hosts")),
        "dns": [str(address) for address in _list(body, "dns")],
        "group_add": sorted(str(group) for group in _list(body, "group_add")),
        "privileged": bool(body.get("privileged")),
        "pid": body.get("pid") or "",
        "ipc": body.get("ipc") or "",
        "runtime": "",
        "tty": bool(body.get("tty")),
        "stdin_open": bool(body.get("stdin_open")),
    }  # fmt: skip


def _of_container(details: Mapping[str, Any], image: Mapping[str, Any]) -> JsonObject:
    config, host = details["Config"], details["HostConfig"]
    networks = _mapping(details["NetworkSettings"], "Networks")
    is_on_host = host.get("NetworkMode") == "host"
    nowhere: DockerDetails = {}
    place = nowhere if is_on_host else next(iter(networks.values()), nowhere)
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or 100_000
    ipc = host.get("IpcMode") or ""
    hostname = str(config.get("Hostname") or "")
    runtime = host.get("Runtime") or ""
    return {
        "command": _words(config.get("Cmd")),
        "entrypoint": _words(config.get("Entrypoint")),
        "user": config.get("User") or "",
        "working_dir": config.get("WorkingDir") or "/",
        "environment": variables(_list(config, "Env")),
        "healthcheck": _check_of_container(_mapping(config, "Healthcheck")),
        "stop_signal": config.get("StopSignal") or image.get("StopSignal") or "SIGTERM",
        "stop_grace_period": float(10 if config.get("StopTimeout") is None else config["StopTimeout"]),
        "hostname": "" if is_on_host or str(details["Id"]).startswith(hostname) else hostname,
        "labels": {
            name: value
            for name, value in _mapping(config, "Labels").items()
            if name != UNIT and not name.startswith(OF_COMPOSE)
        },
        "ports": sorted(
            (port, binding.get("HostIp") or "0.0.0.0", str(binding["HostPort"]))
            for port in _mapping(host, "PortBindings")
            for binding in _list(host["PortBindings"], port)
        ),
        "volumes": sorted(
            (mount["Type"], str(mount.get("Name" if mount["Type"] == "volume" else "Source") or ""),
             mount["Destination"], bool(mount.get("RW", True)), *_limits_of_mount(host, mount["Destination"]))
            for mount in _list(details, "Mounts")
            if mount["Destination"] not in _mapping(host, "Tmpfs")
        ),
        "tmpfs": sorted(_in_memory(path, options or "") for path, options in _mapping(host, "Tmpfs").items()),
        "networks": sorted(networks),
        "ipv4_address": _mapping(place, "IPAMConfig").get("IPv4Address") or "",
        "aliases": sorted({*_list(place, "Aliases")} - {details["Name"].lstrip("/"), str(details["Id"])[:12]}),
        "mem_limit": host.get("Memory") or 0,
        "mem_reservation": host.get("MemoryReservation") or 0,
        "cpus": (host.get("NanoCpus") or 0) / 1e9 or (quota / period if quota > 0 else 0.0),
        "pids_limit": max(host.get("PidsLimit") or 0, 0),
        "shm_size": host.get("ShmSize") or SHARED_MEMORY,
        "ulimits": sorted((one["Name"], one["Soft"], one["Hard"]) for one in _list(host, "Ulimits")),
        "init": bool(host.get("Init")),
        "read_only": bool(host.get("ReadonlyRootfs")),
        "cap_add": sorted(name.replace("CAP_", "", 1) for name in _list(host, "CapAdd")),
        "cap_drop": sorted(name.replace("CAP_", "", 1) for name in _list(host, "CapDrop")),
        "security_opt": sorted(
            option.replace(":true", "")
            for option in [*_list(host, "SecurityOpt"), *_open_paths(host)]
            if not (host.get("Privileged") and option.startswith("label"))
        ),
        "devices": sorted(
            (one["PathOnHost"], one["PathInContainer"], one["CgroupPermissions"]) for one in _list(host, "Devices")
        ),
        "gpus": sorted(
            (int(one.get("Count") or 0), *sorted(map(str, _list(one, "DeviceIDs"))))
            for one in _list(host, "DeviceRequests")
        ),
        "sysctls": _mapping(host, "Sysctls"),
        "extra_hosts": sorted(_list(host, "ExtraHosts")),
        "dns": _list(host, "Dns"),
        "group_add": sorted(_list(host, "GroupAdd")),
        "privileged": bool(host.get("Privileged")),
        "pid": host.get("PidMode") or "",
        "ipc": "" if ipc in ("private", "shareable") else ipc,
        "runtime": "" if "runc" in runtime else runtime,
        "tty": bool(config.get("Tty")),
        "stdin_open": bool(config.get("OpenStdin")),
    }  # fmt: skip


def _list(of: Mapping[str, Any], name: str) -> list[Any]:
    return of.get(name) or []


def _mapping(of: Mapping[str, Any], name: str) -> DockerDetails:
    return of.get(name) or {}


def _whole(value: Any) -> Any:
    """A value of a compose file with each $$ as the $ that it means."""
    return json.loads(json.dumps(value, ensure_ascii=False).replace("$$", "$"))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(_whole(value))


def _words(value: str | list[Any] | None) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else [str(word) for word in value or []]


def _seconds(text: str) -> float:
    return sum(float(number) * LENGTHS[unit] for number, unit in re.findall(r"([0-9.]+)(us|ms|s|m|h)", text))


def _size(value: Any) -> int:
    """Bytes of a size such as 512m."""
    text = str(value or 0).lower().rstrip("b")
    return int(text[:-1]) * SIZES[text[-1]] if text[-1:] in SIZES else int(text or 0)


def _check_of_body(check: Mapping[str, Any]) -> tuple[Any, ...]:
    if check.get("disable"):
        return (["NONE"],)
    test: Any = check.get("test") or []
    return (
        ["CMD-SHELL", test] if isinstance(test, str) else test,
        *(_seconds(check.get(name) or "30s") for name in ("interval", "timeout")),
        int(check.get("retries") or 3),
        _seconds(check.get("start_period") or "0s"),
    )


def _check_of_container(check: Mapping[str, Any]) -> tuple[Any, ...]:
    if check.get("Test") == ["NONE"]:
        return (["NONE"],)
    return (
        _list(check, "Test"), *((check.get(name) or 30e9) / 1e9 for name in ("Interval", "Timeout")),
        check.get("Retries") or 3, (check.get("StartPeriod") or 0) / 1e9,
    )  # fmt: skip


def _port_bindings(mapping: str) -> Iterable[tuple[str, str, str]]:
    """Each port of ADDRESS:HOST:INSIDE/PROTOCOL, which may be ranges, as Docker lists it."""
    rest, _, protocol = mapping.partition("/")
    rest, _, inside = rest.rpartition(":")
    address, _, outside = rest.rpartition(":")
    firsts, lasts = zip(*(part.partition("-")[::2] for part in (inside, outside)))
    count = int(lasts[1] or firsts[1]) - int(firsts[1]) + 1
    for number in range(count):
        yield (
            f"{int(firsts[0]) + number}/{protocol or 'tcp'}",
            address.strip("[]") or "0.0.0.0",
            str(int(firsts[1]) + number),
        )


def _device(text: str) -> tuple[str, str, str]:
    outside, inside, rights = (*text.split(":"), "", "")[:3]
    return outside, inside or outside, rights or "rwm"


def _gpus(body: Mapping[str, Any]) -> list[tuple[int, ...]]:
    reservations = _mapping(_mapping(_mapping(body, "deploy"), "resources"), "reservations")
    return sorted((int(one["count"]),) for one in _list(reservations, "devices"))


def _in_memory(path: str, options: str) -> tuple[str, ...]:
    """A directory in memory, with those of its options that are not Docker's own."""
    words = [word for word in options.split(",") if word not in ("", "rw", "noexec", "nosuid", "nodev")]
    return path, *sorted(f"size={_size(word[5:])}" if OF_SIZE.fullmatch(word) else word for word in words)


def _limits_of_mount(host: Mapping[str, Any], target: str) -> tuple[int, int]:
    """Of a mount in memory the bytes that it may hold and its mode, as they were asked for; 0 where nothing was."""
    own = [_mapping(one, "TmpfsOptions") for one in _list(host, "Mounts") if one.get("Target") == target]
    options = own[0] if own else {}
    return int(options.get("SizeBytes") or 0), int(options.get("Mode") or 0)


def _open_paths(host: Mapping[str, Any]) -> list[str]:
    """The option by which a container sees those paths of the kernel that Docker hides; Docker keeps it as two empty
    lists. A privileged one has those anyway."""
    is_open = not host.get("Privileged") and any(host.get(name) == [] for name in ("MaskedPaths", "ReadonlyPaths"))
    return ["systempaths=unconfined"] if is_open else []
