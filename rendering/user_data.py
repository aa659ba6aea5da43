"""The user data of a new host: its identity, its administrator, and the script that prepares it."""

from pathlib import Path

import yaml

from catalogue.sizes import MiB, to_bytes

PREPARE = Path(__file__).parent.parent / "files" / "static" / "prepare-host.sh"
PREPARED = "/usr/local/sbin/prepare-host"


def user_data(
    name: str, user: str, user_key: str, host_key: str, host_public_key: str, swap: str, needs: list[str]
) -> str:
    """cloud-config text. `user_key` is the public key that may log in; `host_key`, the host's own, is private; `needs`
    are what the script brings."""
    config = {
        "hostname": name,
        "manage_etc_hosts": "localhost",
        "users": [
            {
                "name": user,
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": [user_key],
            }
        ],
        "ssh_pwauth": False,
        "disable_root": True,
        "ssh_deletekeys": True,
        # OpenSSH takes no key without its last line break, and configuration loses it
        "ssh_keys": {"ed25519_private": host_key.strip() + "\n", "ed25519_public": host_public_key},
        "write_files": [{"path": PREPARED, "permissions": "0755", "content": PREPARE.read_text(encoding="utf-8")}],
        "runcmd": [[PREPARED, str(to_bytes(swap) // MiB), *needs]],
    }
    return "#cloud-config\n" + yaml.safe_dump(config, sort_keys=False, width=1000)
