"""The user data of a new host: its identity, its administrator, and the script that prepares it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from catalogue.sizes import MiB, to_bytes

PREPARE = Path(__file__).parent.parent / "files" / "static" / "prepare-host.sh"
PREPARED = "/usr/local/sbin/prepare-host"


@dataclass(frozen=True)
class Administrator:
    """The account of a host's administrator, and the public key that logs into it."""

    name: str
    public_key: str


@dataclass(frozen=True)
class HostKey:
    """The SSH key that a host identifies itself with, both halves in OpenSSH's text form."""

    private: str
    public: str


def user_data(name: str, administrator: Administrator, host_key: HostKey, swap: str, needs: list[str]) -> str:
    """cloud-config text. `swap` is a size such as 2g; `needs` are what the script brings."""
    config = {
        "hostname": name,
        "manage_etc_hosts": "localhost",
        "users": [
            {
                "name": administrator.name,
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": [administrator.public_key],
            }
        ],
        "ssh_pwauth": False,
        "disable_root": True,
        "ssh_deletekeys": True,
        # OpenSSH takes no key without its last line break, and configuration loses it
        "ssh_keys": {"ed25519_private": host_key.private.strip() + "\n", "ed25519_public": host_key.public},
    }
    commands = {"runcmd": [[PREPARED, str(to_bytes(swap) // MiB), *needs]]}
    return f"#cloud-config\n{_text(config)}{_script(PREPARE.read_text(encoding='utf-8'))}{_text(commands)}"


# All hosts have the same one, and it is most of the text
@lru_cache(maxsize=1)
def _script(content: str) -> str:
    return _text({"write_files": [{"path": PREPARED, "permissions": "0755", "content": content}]})


def _text(config: dict[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False, width=1000)
