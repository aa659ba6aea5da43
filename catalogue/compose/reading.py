"""What a service of a compose file says of its container, in the catalogue's words; and what it says that the
catalogue cannot. Pure."""

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from catalogue.compose.container import ContainerOptions
from catalogue.compose.values import HealthCommand, Mount
from catalogue.compose.writing import PLAIN
from catalogue.sizes import MiB

# Said elsewhere in the catalogue, or of no meaning where a unit runs the project
ELSEWHERE = {
    "image", "container_name", "ports", "expose", "environment", "env_file", "networks", "restart", "logging",
    "mem_limit", "healthcheck", "depends_on", "deploy", "volumes", "labels", "ulimits", "gpus", "platform",
    "pull_policy", "attach", "stdin_open", "tty",
}  # fmt: skip
# Lists that may be written as one word, and lists that may be written as mappings
LISTED = ("tmpfs", "dns", "group_add", "devices", "security_opt", "cap_add", "cap_drop")
MAPPED = ("sysctls", "labels")
BYTES = ("shm_size", "mem_reservation")


def options(
    body: Mapping[str, Any], folder: str, volumes: Mapping[str, str], unsaid: list[tuple[str, str]]
) -> dict[str, Any]:
    """The fields of `ContainerOptions` that a body fills, but for `depends_on` and `files`. `folder` is the file's,
    `volumes` are the names of Docker's volumes by their target; to `unsaid` come (key, reason)."""
    given = {name: _plain(name, body[name]) for name in PLAIN if body.get(name) is not None}
    if body.get("labels"):
        given["labels"] = {k: v for k, v in _plain("labels", body["labels"]).items() if not _is_composes(k)}
    if body.get("ulimits"):
        given["ulimits"] = body["ulimits"]
    given |= _deployed(body, unsaid)
    given["volumes"] = [made for item in body.get("volumes") or [] if (made := _mount(item, folder, volumes, unsaid))]
    made = {}
    for name, value in given.items():
        if value in ([], {}):
            continue
        if why := _refused(name, value):
            unsaid.append((name, why))
        else:
            made[name] = value
    unsaid += [(key, "the catalogue has no such option") for key in body if key not in {*ELSEWHERE, *PLAIN}]
    return made


def health(body: Mapping[str, Any], unsaid: list[tuple[str, str]]) -> dict[str, Any] | str | None:
    """A health check as `health` has it; None where the body has none."""
    check = body.get("healthcheck")
    if not isinstance(check, Mapping) or not (check.get("test") or check.get("disable")):
        return None
    test = check.get("test")
    if check.get("disable") or test == ["NONE"] or test == "NONE":
        return "running"
    command = test if isinstance(test, str) else _command(list(test) if isinstance(test, list) else [])
    made = {"command": _literal(command)}
    names = ("interval", "timeout", "retries", "start_period")
    made |= {name: check[name] for name in names if check.get(name) is not None}
    try:
        HealthCommand.model_validate(made)
    except ValidationError as error:
        unsaid.append(("healthcheck", _reason(error)))
        return None
    return made


def _command(words: list[Any]) -> Any:
    if words and words[0] == "CMD-SHELL":
        return " ".join(str(word) for word in words[1:])
    return [str(word) for word in (words[1:] if words and words[0] == "CMD" else words)]


def _plain(name: str, value: Any) -> Any:
    """A value in the one way of writing that the catalogue has."""
    if name in LISTED and not isinstance(value, list):
        value = [value]
    if name in (*LISTED, "extra_hosts") and isinstance(value, list):
        value = [str(item) for item in value]
    if name == "extra_hosts" and isinstance(value, Mapping):
        value = [f"{host}:{address}" for host, address in value.items()]
    if name in MAPPED:
        pairs = [str(item).partition("=")[::2] for item in value] if isinstance(value, list) else value.items()
        value = {str(key): str(item) for key, item in pairs}
    if name in BYTES:
        value = _size(value)
    if name == "cpus" and isinstance(value, str):
        value = float(value) if re.fullmatch(r"[0-9.]+", value) else value
    if name in ("user", "stop_signal") and isinstance(value, int):
        value = str(value)
    if name == "command" and isinstance(value, str):
        # Compose splits it into words, and starts no shell
        value = _split(value)
    if name == "entrypoint" and isinstance(value, str):
        value = _split(value)
    return _literal(value)


def _split(text: str) -> Any:
    try:
        return shlex.split(text)
    except ValueError:
        return text


def _literal(value: Any) -> Any:
    """With `$$` as the `$` that it stands for."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return {key: _literal(item) for key, item in value.items()} if isinstance(value, dict) else value


def _size(value: Any) -> Any:
    found = re.fullmatch(r"([0-9]+)([kmg]?)b?", str(value).lower())
    if not found:
        return value
    if found[2]:
        return f"{found[1]}{found[2]}"
    return f"{-(-int(found[1]) // MiB)}m"


def _is_composes(label: str) -> bool:
    return label.startswith(("com.docker.compose.", "object_systemd_unit"))


def _deployed(body: Mapping[str, Any], unsaid: list[tuple[str, str]]) -> dict[str, Any]:
    """What stands under `deploy` and means something on one host."""
    deploy = body.get("deploy")
    if not isinstance(deploy, Mapping):
        return {"gpus": body["gpus"]} if body.get("gpus") else {}
    resources = _mapping(deploy.get("resources"))
    limits, reserved = _mapping(resources.get("limits")), _mapping(resources.get("reservations"))
    made: dict[str, Any] = {}
    if limits.get("cpus"):
        made["cpus"] = _plain("cpus", limits["cpus"])
    if limits.get("pids"):
        made["pids_limit"] = limits["pids"]
    if reserved.get("memory"):
        made["mem_reservation"] = _size(reserved["memory"])
    for device in map(_mapping, reserved.get("devices") or []):
        if "gpu" in (device.get("capabilities") or []):
            count = device.get("count", "all")
            made["gpus"] = "all" if count in ("all", -1) else count
        else:
            unsaid.append(
                ("deploy.resources.reservations.devices", "only GPUs can be said: give devices by their path")
            )
    if deploy.get("replicas", 1) != 1:
        unsaid.append(("deploy.replicas", f"{deploy['replicas']} of it run, and the catalogue has one of each service"))
    return made


def _mapping(value: Any) -> Mapping[str, Any]:
    """A mapping; nothing where a person wrote something else."""
    return value if isinstance(value, Mapping) else {}


def _mount(
    item: Any, folder: str, volumes: Mapping[str, str], unsaid: list[tuple[str, str]]
) -> dict[str, Any] | str | None:
    """A mount with the host's own names: paths from the root, and volumes as Docker calls them."""
    given = dict(item) if isinstance(item, Mapping) else _parts(str(item))
    target, source = str(given.get("target") or "").rstrip("/") or "/", given.get("source")
    if given.get("type") == "tmpfs":
        return {"type": "tmpfs", "target": target}
    if isinstance(source, str) and source.startswith((".", "/")):
        made: dict[str, Any] = {
            "type": "bind",
            "source": os.path.normpath(os.path.join(folder, source)),
            "target": target,
        }
    elif isinstance(source, str) and source.startswith("~"):
        unsaid.append(("volumes", f"{source}: whose home directory that is, the file does not say: write the path"))
        return None
    else:
        name = volumes.get(target) or source
        if not name:
            unsaid.append(("volumes", f"{target} is a volume without a name: copy its content into one that has one"))
            return None
        made = {"type": "volume", "source": str(name), "target": target}
    if given.get("read_only"):
        made["read_only"] = True
    if why := _refused_mount(made):
        unsaid.append(("volumes", f"{target}: {why}"))
        return None
    return f"{made['source']}:{target}{':ro' if made.get('read_only') else ''}"


def _parts(text: str) -> dict[str, Any]:
    parts = text.split(":")
    if len(parts) == 1:
        return {"target": parts[0]}
    return {"source": parts[0], "target": parts[1], "read_only": len(parts) > 2 and "ro" in parts[2].split(",")}


def _refused_mount(made: dict[str, Any]) -> str:
    try:
        Mount.model_validate(made)
    except ValidationError as error:
        return _reason(error)
    return ""


def _refused(name: str, value: Any) -> str:
    """Why the catalogue does not take a value; "" where it does."""
    try:
        ContainerOptions.model_validate({name: value})
    except ValidationError as error:
        return _reason(error)
    return ""


def _reason(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return str(found.get("ctx", {}).get("error", found["msg"]))
