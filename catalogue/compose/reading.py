"""What a service of a compose file says of its container, in the catalogue's words; and what it says that the
catalogue cannot. Pure."""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from catalogue.compose.container import ContainerOptions
from catalogue.compose.fields import Health, HealthFields, MountFields
from catalogue.compose.short_forms import whole_size
from catalogue.compose.values import HealthCommand, Mount
from catalogue.compose.writing import PLAIN
from catalogue.fields import ALLOWED
from catalogue.shapes import MountParts, ServiceFields, is_list, is_mapping, mapping_or_empty

# Said elsewhere in the catalogue, or of no meaning where a unit runs the project
ELSEWHERE = {
    "image", "container_name", "ports", "expose", "environment", "env_file", "networks", "restart", "logging",
    "mem_limit", "healthcheck", "depends_on", "deploy", "volumes", "gpus", "pull_policy", "attach",
}  # fmt: skip
# Said by a field of another form
OTHERWISE = {
    "secrets": "write secret_files: {/run/secrets/NAME: NAME} in the catalogue, with the secret's name",
    "configs": "write files: [{path: …, source: …}] in the catalogue",
    "links": "containers reach each other by name: write other names as aliases of that service",
    "profiles": "write the service into the catalogue, or leave it out",
    "build": "push the image (infra push), and write it as image",
}
# As PLAIN, but written another way
READ = ("labels", "ulimits", "network_mode")
# Lists that may be written as one word, and lists that may be written as mappings
LISTED = ("tmpfs", "dns", "group_add", "devices", "security_opt", "cap_add", "cap_drop")
MAPPED = ("sysctls", "labels")
BYTES = ("shm_size", "mem_reservation")


def memory_limit(body: Mapping[str, Any]) -> Any:
    """What a service of a compose file says of its memory, in either of Compose's ways; None where nothing does."""
    limits: Any = body.get("deploy")
    for part in ("resources", "limits", "memory"):
        limits = limits.get(part) if is_mapping(limits) else None
    return body.get("mem_limit") or limits


def options(
    body: Mapping[str, Any], folder: str, volumes: Mapping[str, str], unsaid: list[tuple[str, str]]
) -> ServiceFields:
    """The fields of `ContainerOptions` that a body fills, but for `depends_on` and `files`; and `replicas`. `folder` is
    the file's, `volumes` are the names of Docker's volumes by their target; to `unsaid` come (key, reason)."""
    fields: ServiceFields = {}
    for name in (*PLAIN, *READ):
        if body.get(name) is not None:
            _take(fields, name, lambda name=name: _plain(name, body[name]), unsaid)
    for name, value in _deploy_options(body, unsaid).items():
        _take(fields, name, lambda value=value: value, unsaid)
    if (replicas := mapping_or_empty(body.get("deploy")).get("replicas", 1)) != 1:
        fields["replicas"] = replicas
    volume_items: object = body.get("volumes") or []
    if is_list(volume_items):
        mounts = [mount for item in volume_items if (mount := _mount(item, folder, volumes, unsaid))]
        fields |= {"volumes": mounts} if mounts else {}
    else:
        unsaid.append(("volumes", "cannot be read: a list of mounts"))
    understood_keys = {*ELSEWHERE, *PLAIN, *READ}
    unsaid += [
        (key, OTHERWISE.get(str(key), "the catalogue has no such option"))
        for key in body
        if key not in understood_keys and not str(key).startswith("x-")
    ]
    return fields


def _take(fields: ServiceFields, name: str, reader: Callable[[], Any], unsaid: list[tuple[str, str]]) -> None:
    """Reads one option; what has another shape than Compose takes is no fault of ours."""
    try:
        value = reader()
    except (TypeError, ValueError, AttributeError):
        unsaid.append((name, "cannot be read"))
        return
    if name == "network_mode" and value in ("bridge", "default"):
        return
    if value in ([], "") and name in ("entrypoint", "command"):
        unsaid.append((name, "is empty, which removes the image's: write the whole command instead"))
    elif value in ([], {}, ""):
        return
    elif why := _refusal(name, value):
        unsaid.append((name, why))
    else:
        fields[name] = value


def health(body: Mapping[str, Any], unsaid: list[tuple[str, str]]) -> Health | None:
    """A health check as `health` has it; None where the body has none."""
    check = body.get("healthcheck")
    if not check:
        return None
    if not is_mapping(check):
        unsaid.append(("healthcheck", "cannot be read"))
        return None
    test = check.get("test")
    if check.get("disable") is True or test in (["NONE"], "NONE"):
        return "running"
    names = ("interval", "timeout", "retries", "start_period")
    if more := [str(key) for key in check if key not in (*names, "test", "disable") and not str(key).startswith("x-")]:
        unsaid += [(f"healthcheck.{key}", "the catalogue has no such option") for key in more]
    if not test or not (isinstance(test, str) or is_list(test)):
        unsaid.append(("healthcheck", "has no test: write the image's test as health: {command: …}"))
        return None
    command = test if isinstance(test, str) else _command(test)
    healthcheck: HealthFields = {"command": _literal(command)}
    for name in names:
        if check.get(name) is not None:
            healthcheck[name] = check[name]
    try:
        HealthCommand.model_validate(healthcheck)
    except ValidationError as error:
        unsaid.append(("healthcheck", _reason(error)))
        return None
    return healthcheck


def _command(words: list[Any]) -> Any:
    if words and words[0] == "CMD-SHELL":
        return " ".join(str(word) for word in words[1:])
    return [str(word) for word in (words[1:] if words and words[0] == "CMD" else words)]


def _plain(name: str, value: Any) -> Any:
    """A value in the one way of writing that the catalogue has."""
    if name in LISTED and not is_list(value):
        value = [value]
    if name in (*LISTED, "extra_hosts") and is_list(value):
        value = [str(item) for item in value]
    if name == "extra_hosts" and is_mapping(value):
        value = [f"{host}:{address}" for host, address in value.items()]
    if name in MAPPED:
        value = {
            str(key): _scalar(item) for key, item in _pairs(value) if not (name == "labels" and _is_composes(str(key)))
        }
    if name in BYTES:
        value = whole_size(value)
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


def _pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    """Those of a mapping, or of a list of NAME=VALUE."""
    if not is_list(value):
        return value.items()
    return [(name, text) for name, _, text in (str(item).partition("=") for item in value)]


def _scalar(value: Any) -> str:
    """As Compose writes what is no text."""
    return {True: "true", False: "false", None: ""}[value] if value is None or isinstance(value, bool) else str(value)


def _split(text: str) -> Any:
    try:
        return shlex.split(text)
    except ValueError:
        return text


def _literal(value: Any) -> Any:
    """With `$$` as the `$` that it stands for."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if is_list(value):
        return [_literal(item) for item in value]
    return {key: _literal(item) for key, item in value.items()} if is_mapping(value) else value


def _is_composes(label: str) -> bool:
    return label.startswith(("com.docker.compose.", "object_systemd_unit"))


def _deploy_options(body: Mapping[str, Any], unsaid: list[tuple[str, str]]) -> ServiceFields:
    """What stands under `deploy` and means something on one host."""
    fields: ServiceFields = {"gpus": body["gpus"]} if body.get("gpus") else {}
    deploy = mapping_or_empty(body.get("deploy"))
    resources = mapping_or_empty(deploy.get("resources"))
    limits, reserved = mapping_or_empty(resources.get("limits")), mapping_or_empty(resources.get("reservations"))
    levels = (
        ("deploy", deploy, {"resources", "replicas", "restart_policy"}),
        ("deploy.resources", resources, {"limits", "reservations"}),
        ("deploy.resources.limits", limits, {"cpus", "memory", "pids"}),
        ("deploy.resources.reservations", reserved, {"memory", "devices"}),
    )
    for place, options, names in levels:
        more = [str(key) for key in options if key not in names and not str(key).startswith("x-")]
        unsaid += [(f"{place}.{key}", "the catalogue has no such option") for key in more]
    if limits.get("cpus"):
        _take(fields, "cpus", lambda: _plain("cpus", limits["cpus"]), unsaid)
    if limits.get("pids"):
        fields["pids_limit"] = limits["pids"]
    if reserved.get("memory"):
        fields["mem_reservation"] = whole_size(reserved["memory"])
    devices: object = reserved.get("devices") or []
    for device in devices if is_list(devices) else [devices]:
        request = mapping_or_empty(device)
        plain = set(request) <= {"driver", "count", "capabilities"} and request.get("driver", "nvidia") == "nvidia"
        if plain and request.get("capabilities") == ["gpu"]:
            fields["gpus"] = "all" if request.get("count", "all") in ("all", -1) else request["count"]
        else:
            unsaid.append(("deploy.resources.reservations.devices", "only a count of NVIDIA GPUs, or all"))
    return fields


def _mount(item: Any, folder: str, volumes: Mapping[str, str], unsaid: list[tuple[str, str]]) -> MountFields | None:
    """A mount with the host's own names: paths from the root, and volumes as Docker calls them."""
    parts = mount_parts(item)
    target, source = str(parts.get("target") or "").rstrip("/") or "/", parts.get("source")
    kind = parts.get("type") or ("bind" if str(source or "").startswith((".", "/", "~")) else "volume")
    memory = parts.pop("tmpfs", None)
    size = mapping_or_empty(memory)
    more = [str(key) for key in parts if key not in ("type", "source", "target", "read_only")]
    if more or not isinstance(parts.get("read_only", False), bool) or (memory and {*size} != {"size"}):
        unsaid.append(("volumes", f"{target}: {', '.join(more) or 'its options'}: the catalogue has no such option"))
        return None
    if kind == "tmpfs":
        in_memory: MountFields = {"type": "tmpfs", "target": target}
        if size:
            in_memory["size"] = whole_size(size["size"])
        return _fitting(in_memory, target, unsaid)
    if str(source or "").startswith("~"):
        unsaid.append(
            ("volumes", f"{source}: the file does not define whose home directory ~ is: write the absolute path")
        )
        return None
    if kind == "bind":
        path = str(source or "")
        if ".." in path.split("/"):
            unsaid.append(("volumes", f"{path} points outside the file's directory: write the absolute path"))
            return None
        source = os.path.normpath(os.path.join(folder, path))
    else:
        source = volumes.get(target) or source
        if not source:
            unsaid.append(("volumes", f"{target} is an anonymous volume: copy its content into a named one"))
            return None
    fields: MountFields = {"type": kind, "source": str(source), "target": target}
    if parts.get("read_only"):
        fields["read_only"] = True
    return _fitting(fields, target, unsaid)


def mount_parts(item: object) -> MountParts:
    """A mount in the long form, however it is written; options that it has beyond that by their names."""
    if is_mapping(item):
        return dict(item)
    parts = str(item).split(":")
    if len(parts) == 1:
        return {"target": parts[0]}
    # What SELinux or Docker for other systems ask for means nothing here
    options = [
        word for word in ",".join(parts[2:]).split(",") if word not in ("", "rw", "z", "Z", "cached", "delegated")
    ]
    read_only = "ro" in options
    rest = {word: True for word in options if word != "ro"}
    return {"source": parts[0], "target": parts[1], "read_only": read_only, **rest}


def _fitting(fields: MountFields, target: str, unsaid: list[tuple[str, str]]) -> MountFields | None:
    if why := _refused_mount(fields):
        unsaid.append(("volumes", f"{target}: {why}"))
        return None
    return fields


def _refused_mount(fields: MountFields) -> str:
    try:
        Mount.model_validate(fields)
    except ValidationError as error:
        return _reason(error)
    return ""


def _refusal(name: str, value: Any) -> str:
    """Why the catalogue does not take a value; "" where it does."""
    try:
        ContainerOptions.model_validate({name: value})
    except ValidationError as error:
        return _reason(error)
    return ""


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    if first["type"] == "string_pattern_mismatch":
        rule = ALLOWED.get(str(context.get("pattern")), first["msg"])
        return f"found {first['input']!r}"[:80] + f": {rule}"
    return str(context.get("error", first["msg"]))
