"""What a host says of itself. Sent to the host together with what it imports, and run there as root: standard library
only, nothing is written, and every command is one of COMMANDS, which only read."""

from __future__ import annotations

import glob
import grp
import json
import os
import pwd
import re
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from agent.places import read_file
from infra.adopt.host import by_run, crontabs, kernel, plain, rivals

if TYPE_CHECKING:
    from infra.adopt.host.documents import (
        Account,
        Bindings,
        ContainerFacts,
        ContainerInspection,
        Entry,
        Event,
        ImageConfig,
        InspectedNetwork,
        Network,
        PathsQuestion,
        Question,
        State,
        Unit,
    )

COMMANDS = {
    "units": ("systemctl", "show", "--property=Id,UnitFileState,ActiveState,ControlGroup"),
    "containers": ("docker", "container", "ls", "--all", "--quiet", "--no-trunc"),
    "container": ("docker", "container", "inspect"),
    "networks": ("docker", "network", "ls", "--quiet", "--no-trunc", "--filter", "driver=bridge"),
    "network": ("docker", "network", "inspect"),
    "image": ("docker", "image", "inspect"),
}
UNITS = "/etc/systemd/system"
MOST = 1024 * 1024  # bytes; what is larger is no configuration
COMPOSE = re.compile(r"docker[- ]compose\b([^\n;|&]*)")
# Of compose's own options, those with a word behind them
WITH_VALUE = (
    "-f", "--file", "-p", "--project-name", "-c", "--context", "-H", "--host", "-l", "--log-level", "--env-file",
    "--profile", "--project-directory", "--ansi", "--parallel", "--progress", "--tlscacert", "--tlscert", "--tlskey",
)  # fmt: skip
DEFAULTS = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")

Mask = Callable[[str, str], str]


def run(payload: Question, mask: Mask) -> None:
    """Says one object after the other, a line each: steps, and at last what was asked for."""
    for event in facts(mask) if payload["ask"] == "facts" else paths(payload, mask):
        print(json.dumps(event), flush=True)


def facts(mask: Mask) -> Iterator[Event]:
    yield {"step": "units"}
    accounts = _accounts()
    units = [unit for folder, account in _folders(accounts) for unit in _units(folder, account, mask)]
    yield {"step": "containers"}
    unread: dict[str, str] = {}
    containers, networks = _containers(mask, unread), _networks()
    paths = [path for unit in units for path in unit["compose"]]
    paths += [path for container in containers or [] for path in container["files"]]
    # What no file describes is said as one would
    by_hand = {entry["files"][0]: text for entry in containers or [] if (text := entry.pop("said", ""))}
    yield {"step": "crontabs and scripts"}
    scheduled = crontabs.read_all(_raw, mask)
    folders = [os.path.dirname(path) for path in dict.fromkeys(paths) if path not in by_hand]
    homes = [account["home"] for account in accounts if account["login"]]
    hits, bound = rivals.search(folders, homes, _raw, mask)
    of_crontabs, other_bound = rivals.search_texts(scheduled, mask)
    yield {"step": "proxy and certificates"}
    yield {
        "facts": {
            "hostname": socket.gethostname(), "memory": kernel.memory(),
            "adopted": os.path.lexists("/var/lib/infra/current"), "accounts": accounts, "units": units,
            "containers": containers, "networks": networks, "unread": unread,
            "compose": {
                **{path: text for path in dict.fromkeys(paths) if (text := _text(path, mask)) is not None}, **by_hand,
            },
            "nginx": _read_with_includes("/etc/nginx/nginx.conf", "/etc/nginx", mask),
            "caddy": os.path.exists("/etc/caddy/Caddyfile") and _state(["caddy.service"]).get("caddy.service"),
            "certificates": _certificates(),
            "crontabs": scheduled, "rivals": hits + of_crontabs, "search_ended": bound or other_bound,
            "journald": _texts(glob.glob("/etc/systemd/journald.conf.d/*.conf"), mask),
        }
    }  # fmt: skip


def paths(payload: PathsQuestion, mask: Mask) -> Iterator[Event]:
    """Of paths: what they are, and of those under `text` what they hold, of those under `names` which variables,
    and of these the values that are no secret by their form."""
    entries_by_path: dict[str, Entry] = {}
    for path in sorted({*payload["text"], *payload["names"], *payload["stat"]}):
        entry = _entry(path)
        if path in payload["names"] or _is_environment(path):
            raw = _raw(path)
            entry.update(cast("Entry", {"names": None} if raw is None else plain.describe(raw, mask)))
        elif path in payload["text"] and entry["kind"] == "file":
            entry["text"] = _text(path, mask)
        entries_by_path[path] = entry
    yield {"paths": entries_by_path}


def _ask(command: str, *words: str) -> str | None:
    try:
        ran = subprocess.run([*COMMANDS[command], *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=25)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # What one of several things is missing for is still said of the others
    return ran.stdout.decode(errors="replace") if ran.returncode == 0 or ran.stdout.strip(b" \n[]") else None


def _raw(path: str) -> str | None:
    try:
        if os.stat(path).st_size > MOST:
            return None
        # By no link that an account laid: it could lead to what only root may read
        content = read_file(path)
        return None if content is None or len(content) > MOST else content.decode()
    except (OSError, UnicodeDecodeError):
        return None


def _text(path: str, mask: Mask) -> str | None:
    raw = _raw(path)
    return None if raw is None else mask(path, raw)


def _texts(file_paths: list[str], mask: Mask) -> dict[str, str]:
    return {path: text for path in sorted(file_paths) if (text := _text(path, mask)) is not None}


def _is_environment(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith(".env") or name.endswith(".env") or path.startswith("/root/.aws/")


def _entry(path: str) -> Entry:
    try:
        about = os.lstat(path)
    except OSError:
        return {"kind": "none"}
    if stat.S_ISLNK(about.st_mode):
        return {"kind": "link", "target": os.readlink(path)}
    kind = "directory" if stat.S_ISDIR(about.st_mode) else "file"
    owner, group = _name_by_id(pwd.getpwuid, about.st_uid), _name_by_id(grp.getgrgid, about.st_gid)
    return {"kind": kind, "owner": owner, "group": group, "mode": f"{stat.S_IMODE(about.st_mode):04o}"}


def _name_by_id(look_up: Callable[[int], Any], number: int) -> str:
    try:
        return look_up(number)[0]
    except KeyError:
        return str(number)


def _accounts() -> list[Account]:
    return [
        {
            "name": entry.pw_name, "uid": entry.pw_uid, "home": entry.pw_dir,
            "group": _name_by_id(grp.getgrgid, entry.pw_gid),
            "login": not entry.pw_shell.endswith(("/nologin", "/false")),
            "lingering": os.path.exists(f"/var/lib/systemd/linger/{entry.pw_name}"),
            "groups": sorted(group.gr_name for group in grp.getgrall() if entry.pw_name in group.gr_mem),
        }
        for entry in pwd.getpwall()
    ]  # fmt: skip


def _folders(accounts: list[Account]) -> list[tuple[str, Account | None]]:
    homes = [a for a in accounts if a["lingering"] or os.path.exists(f"/run/user/{a['uid']}/systemd/private")]
    return [(UNITS, None), *((f"{account['home']}/.config/systemd/user", account) for account in homes)]


def _units(folder: str, account: Account | None, mask: Mask) -> Iterator[Unit]:
    """The units that a person put there: links are of packages, or of other units."""
    kinds = ("service", "timer", "socket")
    files = [path for kind in kinds for path in glob.glob(f"{folder}/*.{kind}") if not os.path.islink(path)]
    names = [os.path.basename(path) for path in sorted(files)]
    states = {} if account else _state([name for name in names if "@." not in name])
    for name in names:
        text = _text(f"{folder}/{name}", mask) or ""
        stem, kind = name.rsplit(".", 1)
        dependents = glob.glob(f"{folder}/*.wants/{name}") + glob.glob(f"{folder}/*.requires/{name}")
        links = glob.glob(f"{folder}/*.wants/{stem}*.{kind}") if stem.endswith("@") else []
        cgroup = _cgroup_of(account, name)
        state = states.get(name) or {"enabled": bool(dependents), "active": os.path.isdir(cgroup), "cgroup": cgroup}
        yield {
            "path": f"{folder}/{name}", "name": name, "account": account["name"] if account else "", "text": text,
            "drop_ins": _texts(glob.glob(f"{folder}/{name}.d/*.conf"), mask),
            "enabled": state["enabled"] or bool(dependents),
            "active": state["active"],
            "instances": sorted({os.path.basename(link)[len(stem) : -len(kind) - 1] for link in links}),
            "ports": kernel.ports(state["cgroup"]),
            "compose": _compose_files(text),
        }  # fmt: skip


def _cgroup_of(account: Account | None, unit: str) -> str:
    if account is None:
        return ""
    slice = f"user.slice/user-{account['uid']}.slice/user@{account['uid']}.service/app.slice"
    return f"/sys/fs/cgroup/{slice}/{unit}"


def _state(names: list[str]) -> dict[str, State]:
    states: dict[str, State] = {}
    for block in (_ask("units", *names) or "").split("\n\n") if names else []:
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        place = properties.get("ControlGroup", "")
        roots = [f"{root}{place}" for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd") if place]
        states[properties.get("Id", "")] = {
            "enabled": properties.get("UnitFileState") in ("enabled", "enabled-runtime"),
            "active": properties.get("ActiveState") in ("active", "activating", "reloading"),
            "cgroup": next((root for root in roots if os.path.isdir(root)), ""),
        }
    return states


def _compose_files(text: str) -> list[str]:
    """The compose files that a unit's commands name, or those that compose finds by itself."""
    where = re.search(r"^WorkingDirectory=-?(\S+)", text, re.MULTILINE)
    folder = where[1] if where else "/"
    compose_files: list[str] = []
    for call in COMPOSE.finditer(re.sub(r"^\s*[#;].*$", "", text, flags=re.MULTILINE)):
        file_names = list(_named_files(re.findall(r"[^\s'\"]+", call[1])))
        likely = [f"{folder}/{name}" for name in DEFAULTS if os.path.exists(f"{folder}/{name}")]
        compose_files += [os.path.join(folder, name) for name in file_names] or likely[:1]
    return list(dict.fromkeys(compose_files))


def _named_files(words: list[str]) -> Iterator[str]:
    """Of the words behind `docker compose`, those before its command: behind it, -f means something else."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return
        option, _, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:].lstrip("="))
        if option in WITH_VALUE and not value:
            value = next(rest, "")
        if option in ("-f", "--file") and value not in ("", "-"):
            yield value


def _containers(mask: Mask, unread: dict[str, str]) -> list[ContainerFacts] | None:
    """None where there is no Docker, or it does not answer. Variables are not looked at. What of a container cannot be
    read is added to `unread`, by its name."""
    ids = _ask("containers")
    if ids is None:
        return None
    inspected = json.loads((_ask("container", *ids.split()) if ids.split() else None) or "[]")
    containers: list[ContainerFacts] = []
    for number, entry in enumerate(inspected, 1):
        try:
            containers.append(_container(entry, mask, unread))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # Whatever its values are, the keys of what Docker writes are texts
            name = cast("dict[str, object]", entry).get("Name") if isinstance(entry, dict) else None
            reason = f"what Docker says of it cannot be read ({type(error).__name__}): left out"
            unread[str(name or f"container {number}").lstrip("/")] = reason
    return containers


def _container(entry: ContainerInspection, mask: Mask, unread: dict[str, str]) -> ContainerFacts:
    config, host, labels = entry["Config"], entry["HostConfig"], entry["Config"].get("Labels") or {}
    networks = entry["NetworkSettings"]["Networks"] or {}
    digests: list[str] = json.loads(_ask("image", "--format", "{{json .RepoDigests}}", entry["Image"]) or "[]") or []
    health = (config.get("Healthcheck") or {}).get("Test") or []
    files = labels.get("com.docker.compose.project.config_files", "")
    name, document = entry["Name"].lstrip("/"), ""
    if not files:
        image: ImageConfig = json.loads(_ask("image", "--format", "{{json .Config}}", entry["Image"]) or "{}") or {}
        files, document = by_run.path_of(name), by_run.yaml_text(by_run.compose_document(entry, image))
    folder = labels.get("com.docker.compose.project.working_dir", "")
    return {
        "name": name, "image": mask("", config["Image"]), "digests": digests,
        "running": entry["State"]["Running"], "memory": kernel.memory_of(entry["State"].get("Pid") or 0),
        "limit": host.get("Memory") or 0,
        "networks": {name: network.get("IPAddress", "") for name, network in networks.items()},
        "ports": list(_published_ports(host.get("PortBindings") or {}, name, unread)),
        "health": [mask("", path) for path in re.findall(r"https?://[^\s/\"']+(/[^\s\"'?#]*)", " ".join(health))[:1]],
        "key": labels.get("com.docker.compose.service", "") if not document else name,
        "said": mask(files, document) if document else "",
        "volumes": {
            mount["Destination"]: volume for mount in entry.get("Mounts") or [] if (volume := mount.get("Name"))
        },
        "files": [os.path.join(folder, name) for name in files.split(",") if name],
    }  # fmt: skip


def _published_ports(bindings: Bindings, name: str, unread: dict[str, str]) -> Iterator[list[str | int]]:
    """Address, port of the host (0 where Docker chooses it), port of the container, protocol."""
    for inside, places in bindings.items():
        for place in places or []:
            outside = place["HostPort"] or "0"
            if outside.isdigit():
                yield [place.get("HostIp", ""), int(outside), int(inside.split("/")[0]), inside.split("/")[-1]]
            else:
                # Docker chooses one of them
                unread[name] = f"publishes {inside} at {outside}, which is not one port: left out"


def _networks() -> list[Network]:
    ids = (_ask("networks") or "").split()
    inspected: list[InspectedNetwork] = json.loads((_ask("network", *ids) if ids else None) or "[]")
    return [
        {"name": entry["Name"], "subnet": place.get("Subnet", ""), "gateway": place.get("Gateway", "")}
        for entry in inspected
        for place in [p for p in entry["IPAM"].get("Config") or [] if "." in p.get("Subnet", "")][:1]
        if entry["Name"] != "bridge"
    ]


def _read_with_includes(path: str, root: str, mask: Mask, including: tuple[str, ...] = ()) -> dict[str, str]:
    """A file of Nginx and all that it includes; what does not run is not read."""
    text = _text(path, mask)
    if text is None or path in including:
        return {}
    contents = {path: text}
    # A # in quotes begins no comment; one that is looked for in vain changes nothing
    for pattern in re.findall(r"(?:^|[\s;{}])include\s+[\"']?([^;\"'{}]+)", text):
        for other in sorted(glob.glob(os.path.join(root, pattern.strip()))):
            if other not in contents:
                contents |= _read_with_includes(other, root, mask, (*including, path))
    return contents


def _certificates() -> dict[str, str]:
    """Name → how its owner is proved."""
    authenticators: dict[str, str] = {}
    for path in glob.glob("/etc/letsencrypt/renewal/*.conf"):
        match = re.search(r"^authenticator\s*=\s*(\S+)", _raw(path) or "", re.MULTILINE)
        authenticators[os.path.basename(path)[: -len(".conf")]] = match[1] if match else ""
    return authenticators
