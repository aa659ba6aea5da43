"""Hosts that say what a rendered host would, and how two systems differ, field by field."""

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from catalogue.loading import Catalogue
from catalogue.masking import mask_secrets
from catalogue.models import System
from infra.adopt.host import understanding
from infra.adopt.host.bodies import inner
from infra.adopt.host.documents import Entries, Facts
from infra.adopt.host.on_host import _compose_files
from rendering.files import HostFiles
from rendering.host import render
from tests.support import ROOT, whole

USER_UNITS = ".config/systemd/user"
NGINX = {
    "/etc/nginx/nginx.conf": "events {}\nhttp { include mime.types; include /etc/nginx/conf.d/*.conf; include /etc/nginx/sites-enabled/*; }\n"
}
MADE = whole()


def alone(system: str, host: str, made: Catalogue = MADE) -> tuple[Catalogue, HostFiles]:
    """One system on a host of its own, without what the program brings to every host."""
    spec = made.stack.hosts[host].model_copy(update={"systems": [system]})
    stack = made.stack.model_copy(update={"hosts": {host: spec}})
    made = replace(made, stack=stack)
    files = render(made, host)
    ours = [f for f in files.files if not f.path.rsplit("/", 1)[1].startswith(("infra-", "00-infra"))]
    ours = [f for f in ours if not f.path.startswith(("/etc/infra/", "/root/")) and b"infra-monitor" not in f.content]
    return made, replace(files, files=ours)


def facts_of(made: Catalogue, files: HostFiles) -> Facts:
    """What on_host.py would say of a host with these files, all of it running."""
    texts = {file.path: file.content.decode() for file in files.files}
    compose = {path: mask_secrets(path, text) for path, text in texts.items() if path.endswith((".yml", ".yaml"))}
    networks = [{"name": n.name, "subnet": n.subnet, "gateway": n.gateway} for n in files.networks]
    sites = {f"/etc/nginx/sites-enabled/{p.rsplit('/', 1)[1]}": t for p, t in texts.items() if "/sites-available/" in p}
    sites |= {link.path: texts[link.target] for link in files.links if link.path.startswith("/etc/nginx/conf.d/")}
    return {
        "hostname": "old-server", "memory": 8 * 1024**3, "adopted": False,
        "accounts": [_account(a.name, a.home, a.login, a.lingering, a.groups) for a in files.accounts],
        "units": [_unit(path, text, texts, made, files) for path, text in texts.items() if _is_unit(path)],
        "containers": [container for path, text in compose.items() for container in containers_of(path, text)],
        "networks": networks, "compose": compose, "nginx": {**NGINX, **sites}, "caddy": None,
        "certificates": {certificate.name: "standalone" for certificate in files.certificates},
        "journald": {path: text for path, text in texts.items() if path.startswith("/etc/systemd/journald.conf.d/")},
        "unread": {}, "crontabs": {}, "rivals": [], "search_ended": "",
    }  # fmt: skip


def _account(name: str, home: str, login: bool, lingering: bool, groups: list[str]) -> dict[str, Any]:
    return {
        "name": name, "uid": 1001, "home": home, "group": name, "login": login, "lingering": lingering, "groups": groups,
    }  # fmt: skip


def _is_unit(path: str) -> bool:
    folder, name = path.rsplit("/", 1)
    return folder.endswith(("/etc/systemd/system", USER_UNITS)) and name.endswith((".service", ".timer", ".socket"))


def _unit(path: str, text: str, texts: dict[str, str], made: Catalogue, files: HostFiles) -> dict[str, Any]:
    name = path.rsplit("/", 1)[1]
    account = next((a.name for a in files.accounts if path.startswith(f"{a.home}/{USER_UNITS}")), "")
    stem = name.rsplit(".", 1)[0]
    native = [s for system in made.running.values() for s in system.native_services if s.unit == name]
    return {
        "path": path, "name": name, "account": account, "text": mask_secrets(path, text), "enabled": "[Install]" in text,
        "active": True, "drop_ins": {p: mask_secrets(p, t) for p, t in texts.items() if p.startswith(f"{path}.d/")},
        "instances": sorted(i for service in native for i in service.instances) if stem.endswith("@") else [],
        "ports": [service.listens for service in native if service.listens], "compose": _compose_files(text),
    }  # fmt: skip


def containers_of(path: str, text: str, memory: int = 0) -> list[dict[str, Any]]:
    """As Docker runs them."""
    return [
        {
            "name": body.get("container_name", f"{key}-1"), "image": body.get("image", ""), "digests": [], "running": True,
            "memory": memory, "limit": 0,
            "networks": {name: inner({"": place}, "").get("ipv4_address", "") for name, place in _networks(body).items()},
            "ports": [], "health": [], "key": key, "files": [path],
        }
        for key, body in (yaml.safe_load(text)["services"] or {}).items()
    ]  # fmt: skip


def _networks(body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("networks") or {}
    return given if isinstance(given, dict) else dict.fromkeys(given)


def entries_of(files: HostFiles, paths: list[str], change: Callable[[Entries], None] = lambda _: None) -> Entries:
    """What there is at these paths: the files, environment files and directories, and nothing else."""
    texts = {file.path: file for file in files.files}
    links = {link.path: link.target for link in files.links}
    variables = {file.path: [*file.values, *file.secrets] for file in files.environment_files}
    folders = {item["path"]: item for item in files.directories}
    needed = {requirement.path for requirement in files.requirements}
    found: Entries = {}
    for path in paths:
        if path in texts:
            file = texts[path]
            about = {"owner": file.owner, "group": file.group, "mode": f"{file.mode:04o}"}
            found[path] = {"kind": "file", **about, "text": mask_secrets(path, file.content.decode())}
        elif path in links:
            found[path] = {"kind": "link", "target": links[path]}
        elif path in variables:
            found[path] = {"kind": "file", "names": variables[path]}
        elif path in folders:
            item = folders[path]
            mode = f"{item['mode']:04o}"
            found[path] = {
                "kind": "directory",
                "owner": item["owner"],
                "group": item["group"] or item["owner"],
                "mode": mode,
            }
        else:
            found[path] = {"kind": "file" if path in needed else "none"}
    change(found)
    return found


def read(made: Catalogue, files: HostFiles, facts: Facts, name: str) -> understanding.DerivedSystem:
    names, stat = understanding.wanted_paths(facts)
    return understanding.derive_system(facts, entries_of(files, [*names, *stat]), made.stack, name)


def ours(name: str) -> System:
    return MADE.systems[name]


def differences(own: System, found: System) -> set[str]:
    """Every field that differs: services by their container or unit, so that a name is a field like any other."""
    before, after = _flat(own), _flat(found)
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def _flat(system: System) -> dict[str, Any]:
    data = system.model_dump(exclude_defaults=True)
    flat = {key: value for key, value in data.items() if key not in ("services", "sites")}
    for site in data.get("sites", []):
        flat |= {f"site {site['name']}: {key}": value for key, value in site.items()}
    for service in data["services"]:
        name = service.get("container") or service.get("unit") or service["name"]
        flat |= dict(_leaves(f"{name}: ", service))
    return flat


def _leaves(place: str, value: dict[str, Any]):
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(f"{place}{key}.", item)
        else:
            yield f"{place}{key}", item if isinstance(item, list | dict) else str(item)


def source(path: str) -> str:
    return (ROOT / path).read_text()


def without_banner(text: str) -> str:
    return re.sub(r"^# Made by .*\n", "", text)


RETIRED = ("name", "port", "purpose", "purpose_ja", "replaced_by", "repository", "retired")


def containers() -> dict[str, bool]:
    """WatchMe's containers, and whether its document says what they use."""
    return {service.container: bool(service.observed_memory) for service in ours("watchme").compose_services}


# What no one writes on a host. `name` of a service is only its own where its container or unit has no other
WATCHME = {
    "document", "monitor_names",
    *(f"{container}: {field}" for container in containers() for field in ("purpose_ja",)),
    *(f"{container}: memory.observed" for container, used in containers().items() if used),
    *(f"{name}: {field}" for name in ("sed-api", "opensmile-api") for field in RETIRED),
    "api-sed-aggregator: stop_priority", "opensmile-aggregator: stop_priority", "watchme-scheduler-prod: single",
    "watchme-web-prod: port_exception",
    *(f"{container}: name" for container in (
        "api_gen_prompt_mood_chart", "api-gpt-v1", "api-sed-aggregator", "watchme-vault-api", "watchme-admin",
        "watchme-web-prod", "watchme-avatar-uploader",
    )),
}  # fmt: skip
# The document has the scheduler in the manager's file
SAME_UNIT = {f"watchme-scheduler-prod: {field}" for field in ("directory", "unit", "compose_file")}


def what_runs(source: Path) -> ast.Module:
    """A module that is sent to a host, without what only a checker of types reads."""
    body = [part for part in ast.parse(source.read_text()).body if not ast.unparse(part).startswith("if TYPE_CHECKING")]
    return ast.Module(body, [])
