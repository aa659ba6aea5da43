"""The peers: what each needs in a folder of its own, and the command that an operator runs there."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.peers import programs
from benchmarks.peers.work import UNITS, Tree, changed_files, changed_units
from infra.writing import put


@dataclass(frozen=True)
class Login:
    """How a peer reaches the host: at 127.0.0.1, through the line that is measured."""

    port: int
    user: str
    key: Path
    known_hosts: Path

    @property
    def ssh_options(self) -> str:
        return f"-o UserKnownHostsFile={self.known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"


@dataclass(frozen=True)
class Step:
    """A command with its folder and its environment beside ours; None for `argv` where there is nothing to do."""

    argv: list[str] | None
    folder: Path
    env: dict[str, str]


class Peer(Protocol):
    @property
    def name(self) -> str: ...

    def prepare(self, folder: Path, login: Login, before: Tree | None, after: Tree) -> Step: ...


def write_tree(folder: Path, tree: Tree) -> Path:
    """The peer's files, below `files` as they lie on the host."""
    root = folder / "files"
    shutil.rmtree(root, ignore_errors=True)
    for path, text in tree.files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def description(tree: Tree) -> dict[str, object]:
    """What playbook, deploy and program are given: where each file goes, and which unit is restarted for which."""
    units = [path for path in tree.files if path.startswith(UNITS)]
    return {
        "files": list(tree.files),
        "folders": sorted({os.path.dirname(path) for path in tree.files if path.startswith(tree.folder)}),
        "units": units,
        "site": tree.site,
        "services": [{"unit": service.unit, "files": service.files} for service in tree.services],
    }


@dataclass(frozen=True)
class Ansible:
    """One role, pipelining, SSH connections that persist; with Mitogen's strategy where `mitogen` is its folder."""

    name: str
    venv: Path
    mitogen: Path | None = None

    def prepare(self, folder: Path, login: Login, before: Tree | None, after: Tree) -> Step:
        write_tree(folder, after)
        (folder / "roles/watchme/tasks").mkdir(parents=True, exist_ok=True)
        (folder / "roles/watchme/handlers").mkdir(parents=True, exist_ok=True)
        put(folder / "roles/watchme/tasks/main.yml", programs.TASKS)
        put(folder / "roles/watchme/handlers/main.yml", programs.HANDLERS)
        put(folder / "site.yml", programs.PLAYBOOK)
        put(folder / "vars.json", json.dumps({**description(after), "tree": str(folder / "files")}))
        strategy = f"strategy_plugins = {self.mitogen}\nstrategy = mitogen_linear\n" if self.mitogen else ""
        put(folder / "ansible.cfg", programs.ANSIBLE_CFG.format(options=login.ssh_options, strategy=strategy))
        put(folder / "inventory.ini", programs.INVENTORY.format(port=login.port, user=login.user, key=login.key))
        argv = [str(self.venv / "bin/ansible-playbook"), "-i", "inventory.ini", "-e", "@vars.json", "site.yml"]
        return Step(
            argv, folder, {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_HOME": str(folder / ".ansible")}
        )


@dataclass(frozen=True)
class Pyinfra:
    venv: Path
    name: str = "pyinfra"

    def prepare(self, folder: Path, login: Login, before: Tree | None, after: Tree) -> Step:
        write_tree(folder, after)
        put(folder / "work.json", json.dumps(description(after)))
        put(folder / "deploy.py", programs.PYINFRA_DEPLOY)
        data = {
            "ssh_port": login.port, "ssh_user": login.user, "ssh_key": str(login.key),
            "ssh_known_hosts_file": str(login.known_hosts), "ssh_strict_host_key_checking": "yes", "_sudo": True,
        }  # fmt: skip
        put(folder / "inventory.py", f"hosts = [('127.0.0.1', {data!r})]\n")
        return Step([str(self.venv / "bin/pyinfra"), "-y", "inventory.py", "deploy.py"], folder, {})


@dataclass(frozen=True)
class PlainPulumi:
    """One CopyToRemote and one Command for each file, by the plugin `command` that the lab has."""

    env: dict[str, str]
    name: str = "pulumi"

    def prepare(self, folder: Path, login: Login, before: Tree | None, after: Tree) -> Step:
        write_tree(folder, after)
        is_new = not (folder / "Pulumi.yaml").exists()
        put(folder / "Pulumi.yaml", "name: peers\nruntime: python\n")
        put(folder / "Pulumi.peers.yaml", "")
        put(folder / "__main__.py", programs.PULUMI_PROGRAM)
        connection = {"host": "127.0.0.1", "port": login.port, "user": login.user, "private_key": login.key.read_text()}
        put(folder / "work.json", json.dumps({**description(after), "connection": connection}), 0o600)
        (folder / "state").mkdir(exist_ok=True)
        env = {
            **self.env, "PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "PULUMI_CONFIG_PASSPHRASE": "peers",
            "PULUMI_STACK": "peers",
        }  # fmt: skip
        for name in ("PULUMI_OPTION_CONFIG_FILE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
            env[name] = ""
        up = "exec pulumi up --yes --skip-preview --non-interactive --stack peers"
        first = "pulumi stack init peers --non-interactive >/dev/null && " if is_new else ""
        return Step(["sh", "-c", first + up], folder, env)


@dataclass(frozen=True)
class Limit:
    """What knows beforehand which files have changed, and asks for nothing else: less is not possible."""

    name: str = "tar over SSH"

    def prepare(self, folder: Path, login: Login, before: Tree | None, after: Tree) -> Step:
        write_tree(folder, after)
        changed = [path.lstrip("/") for path in changed_files(before, after)]
        if not changed:
            return Step(None, folder, {})
        units = " ".join(changed_units(before, after))
        remote = ["sudo tar -x --no-same-owner -C /"]
        if before is None or any(f"/{path}".startswith(UNITS) for path in changed):
            remote.append("sudo systemctl daemon-reload")
        remote += [f"sudo systemctl enable -q --now {units}"] if before is None else []
        remote += [f"sudo systemctl restart {units}"] if units and before is not None else []
        remote.append("sudo nginx -t -q && sudo systemctl reload nginx")
        put(folder / "changed", "\n".join(changed) + "\n")
        ssh = f"ssh {login.ssh_options} -o ControlMaster=no -i {login.key} -p {login.port} {login.user}@127.0.0.1"
        script = f"tar -c --numeric-owner --owner=0 --group=0 -C files -T changed | {ssh} '{' && '.join(remote)}'"
        return Step(["bash", "-o", "pipefail", "-c", script], folder, {})


def mitogen_folder(venv: Path) -> Path | None:
    """Where Mitogen keeps its strategies for Ansible."""
    return next(iter(sorted(venv.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy"))), None)


def all_peers(venv: Path, env: dict[str, str]) -> list[Peer]:
    """Every peer, in the order in which they are measured."""
    peers: list[Peer] = [Limit(), Pyinfra(venv), Ansible("ansible", venv)]
    if strategy := mitogen_folder(venv):
        peers.append(Ansible("ansible+mitogen", venv, strategy))
    return [*peers, PlainPulumi({**env, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"})]
