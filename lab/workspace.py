"""Pulumi as a user of stack `lab` has it: its home with plugins, its state, its configuration, `.lab/env`."""

import hashlib
import json
import os
import secrets
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import certifi
import yaml

from catalogue.loading import load
from catalogue.stack import read_stack
from infra.writing import put
from lab import plugins, ports
from lab.run import find_program, run
from lab.services import credentials
from lab.settings import PROJECT, ROOT, Lab
from lab.tools import ensure_pulumi


def environment(lab: Lab) -> dict[str, str]:
    """What `.lab/env` exports."""
    return {
        **credentials(lab),
        "AWS_ENDPOINT_URL": lab.endpoint,
        "CLOUDFLARE_BASE_URL": f"{lab.endpoint}/client/v4",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PULUMI_HOME": str(lab.path("pulumi")),
        "PULUMI_BACKEND_URL": f"file://{lab.path('state')}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(lab.path("passphrase")),
        "PULUMI_OPTION_CONFIG_FILE": str(lab.config_file),
        "PULUMI_STACK": "lab",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "LAB_CA": str(lab.path("ca.pem")),
        "LAB_DNS": lab.dns,
    }


def path_entries(lab: Lab) -> list[str]:
    own_uv = [str(Path(os.environ["UV"]).parent)] if "UV" in os.environ else []
    return [str(lab.path("bin")), str(Path(sys.executable).parent), str(ensure_pulumi()), *own_uv]


def process_environment(lab: Lab) -> dict[str, str]:
    return {**environment(lab), "PATH": ":".join([*path_entries(lab), os.environ["PATH"]])}


def full_environment(lab: Lab) -> dict[str, str]:
    """This process's environment, as after `. .lab/env`."""
    return {**os.environ, **process_environment(lab)}


def write_skopeo(lab: Lab) -> None:
    """`skopeo` as a user of the lab has it: ECR's names lead to the lab's registries (lab/cloud/proxy.py)."""
    real = find_program("skopeo")
    bundle = lab.path("tls", "all.pem")
    put(bundle, Path(certifi.where()).read_text() + lab.path("tls", "root.crt").read_text())
    proxy = f"http://{lab.services}:{ports.PROXY}"
    target = lab.path("bin", "skopeo")
    target.parent.mkdir(exist_ok=True)
    put(target, f'#!/bin/sh\nHTTPS_PROXY={proxy} SSL_CERT_FILE={shlex.quote(str(bundle))} exec {real} "$@"\n', 0o755)


def write_env(lab: Lab) -> None:
    """`. .lab/env` makes a shell a user's of stack lab."""
    write_skopeo(lab)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment(lab).items()]
    lines.append(f'export PATH={":".join(path_entries(lab))}:"$PATH"')
    text = "\n".join([f"# Made by the lab. Use it: . {lab.directory.name}/env", *lines, ""])
    put(lab.path("env"), text, 0o600)


def install_plugins(lab: Lab) -> dict[str, str]:
    """Plugin → "real" or "stand-in": see lab.plugins."""
    return plugins.install(lab.path("pulumi"))


def prepare(lab: Lab, project: Path = ROOT) -> None:
    """State, passphrase, and the stack's configuration with its keys and the roots of the ACME directory."""
    lab.path("state").mkdir(parents=True, exist_ok=True)
    passphrase = lab.path("passphrase")
    if not passphrase.exists():
        put(passphrase, secrets.token_urlsafe(24), 0o600)
    env = process_environment(lab)
    if not lab.config_file.exists():
        _make_stack(lab, project, env)
    run("infra", "init", "--stack", "lab", cwd=project, env=env)
    set_secrets(lab, project)
    end = "-----END CERTIFICATE-----\n"
    roots = [f"{root}{end}" for root in lab.path("ca.pem").read_text().split(end) if root.strip()]
    for number, root in enumerate(roots):
        run("pulumi", "config", "set", "--path", f"infra:trustedRoots[{number}]", "--", root, cwd=project, env=env)
    # By address: the lab's names are known to its hosts, and not to the machine that asks before a move
    directory = f"https://{lab.gateway}:{ports.ACME}/dir"
    name_server = f"{lab.gateway}:{ports.DNS}"
    for key, value in {"infra:nameServers[0]": name_server, "infra:acmeDirectory": directory}.items():
        run("pulumi", "config", "set", "--path", key, "--", value, cwd=project, env=env)


def set_secrets(lab: Lab, project: Path) -> None:
    """What lab.yaml gives, unless it was set already, and then a text of its own for each secret that a service still
    lacks."""
    env = process_environment(lab)

    def set_all(values: dict[str, str]) -> None:
        for path, value in values.items():
            key = f"infra:secrets.{path}"
            run("pulumi", "config", "set", "--secret", "--path", key, cwd=project, env=env, stdin=value)

    own_secrets, record = PROJECT.extras.secrets, lab.path("given.json")
    marks = {path: hashlib.sha256(f"{path} {value}".encode()).hexdigest() for path, value in own_secrets.items()}
    before = json.loads(record.read_text()) if record.exists() else {}
    set_all({path: value for path, value in own_secrets.items() if before.get(path) != marks[path]})
    for path in sorted({*before} - {*own_secrets}):
        run("pulumi", "config", "rm", "--path", f"infra:secrets.{path}", cwd=project, env=env)
    put(record, json.dumps(marks))
    catalogue = load(project, read_stack(project, "lab", lab.config_file))
    services = [service for system in catalogue.running.values() for service in system.active]
    given_secrets = catalogue.secrets
    lacking = [
        (one.name, name) for one in services for name in one.secrets if name not in given_secrets.get(one.name, {})
    ]
    systems = catalogue.running.values()
    lacking += [(s.system, n) for s in systems for n in sorted(s.passwords) if n not in given_secrets.get(s.system, {})]
    set_all({f"{service}.{name}": secrets.token_urlsafe(16) for service, name in lacking})


def take_over_edits(lab: Lab, project: Path) -> None:
    """What was edited in the project's Pulumi.lab.yaml since the lab was made, into the lab's own, which keeps the
    rest."""
    edited = project / "Pulumi.lab.yaml"
    before, after, here = (yaml.safe_load(path.read_text()) for path in (_origin(lab), edited, lab.config_file))
    put(lab.config_file, yaml.safe_dump(merge_changes(before, after, here), sort_keys=False))
    shutil.copy(edited, _origin(lab))
    run("infra", "init", "--stack", "lab", cwd=project, env=process_environment(lab))


def merge_changes(before: Any, after: Any, here: Any) -> Any:
    """`here` with what differs between `before` and `after`, key by key. Pure."""
    if not all(isinstance(value, dict) for value in (before, after, here)):
        return here if before == after else after
    merged = {key: value for key, value in here.items() if key not in before or key in after}
    for key in after:
        if key not in before or before[key] != after[key]:
            merged[key] = merge_changes(before.get(key), after[key], here.get(key))
    return merged


def hosts(lab: Lab) -> set[str]:
    """Those that the lab's own configuration has."""
    return set(yaml.safe_load(lab.config_file.read_text())["config"].get("infra:hosts") or {})


def public_key(lab: Lab) -> str:
    """The key that releases are sent with."""
    return yaml.safe_load(lab.config_file.read_text())["config"]["infra:sshPublicKey"]


def describe_host(lab: Lab, project: Path, name: str, values: dict[str, str]) -> None:
    """A machine that is there already, written into the stack's configuration."""
    env = process_environment(lab)
    for key, value in values.items():
        path = f"infra:hosts.{name}.{key}"
        run("pulumi", "config", "set", "--path", path, "--", value, cwd=project, env=env)


def clear_dead_locks(lab: Lab) -> None:
    """A killed `pulumi up` leaves its lock on the stack; one whose process is gone is removed."""
    for lock in lab.path("state", ".pulumi", "locks").rglob("*.json"):
        if not Path(f"/proc/{json.loads(lock.read_text())['pid']}").exists():
            lock.unlink()


def has_interrupted(lab: Lab) -> bool:
    """Has the stack's state operations of an update that was killed."""
    state = lab.path("state", ".pulumi", "stacks", "infra", "lab.json")
    try:
        latest = json.loads(state.read_text())["checkpoint"]["latest"]
    except (OSError, ValueError, KeyError):
        return False
    return bool((latest or {}).get("pending_operations"))


def _origin(lab: Lab) -> Path:
    """What the lab's configuration was made from, as it was then."""
    return lab.path("Pulumi.lab.origin.yaml")


def is_outdated(lab: Lab, project: Path = ROOT) -> bool:
    """Has the project's Pulumi.lab.yaml been edited since this lab was made: it has a configuration of its own."""
    origin = _origin(lab)
    return origin.exists() and origin.read_bytes() != (project / "Pulumi.lab.yaml").read_bytes()


def _make_stack(lab: Lab, project: Path, env: dict[str, str]) -> None:
    """`pulumi stack init` writes beside Pulumi.yaml, whatever its options, so it gets a Pulumi.yaml of its own."""
    # Without a configuration nothing was ever put on the stack that a killed run may have left
    shutil.rmtree(lab.path("state"), ignore_errors=True)
    lab.path("state").mkdir()
    scratch = lab.path("new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.lab.yaml"):
        shutil.copy(project / name, scratch)
    run("pulumi", "stack", "init", "lab", "--non-interactive", cwd=scratch, env=env)
    shutil.copy(project / "Pulumi.lab.yaml", _origin(lab))
    (scratch / "Pulumi.lab.yaml").rename(lab.config_file)
    shutil.rmtree(scratch)
