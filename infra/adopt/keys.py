"""A hand-made machine gets the stack's keys, over its owner's own connection."""

import base64
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko
import typer
from paramiko.ssh_exception import IncompatiblePeer

from catalogue.stack import PROJECT, Stack
from infra.errors import InfraError
from infra.pulumi import pulumi
from infra.remote import run_program
from infra.ssh import Target
from infra.ssh import fingerprint as key_fingerprint

# Its `payload` comes over standard input, so that no list of processes shows a key
SCRIPT = """
import os, pwd, subprocess, sys
said = payload
entry = pwd.getpwnam(said["user"])
folder = os.path.join(entry.pw_dir, ".ssh")
# By the account itself: where it laid a link, root writes nothing
child = os.fork()
if child == 0:
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.umask(0o077)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor = os.open(os.path.join(folder, "authorized_keys"), os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        lines = file.read().splitlines()
        if said["public"] not in lines:
            file.seek(0)
            file.write("\\n".join([*lines, said["public"], ""]))
            file.truncate()
        os.fchmod(file.fileno(), 0o600)
    os._exit(0)
if os.waitpid(child, 0)[1]:
    sys.exit("the key could not be added to " + folder + "/authorized_keys as " + said["user"])
own = "/etc/ssh/ssh_host_ed25519_key"
for path, text, mode in ((own, said["host_private"], 0o600), (own + ".pub", said["host_public"], 0o644)):
    part = path + ".infra"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text if text.endswith("\\n") else text + "\\n")
    os.rename(part, path)
subprocess.run(["systemctl", "restart", "ssh"], check=True)
"""


@dataclass(frozen=True)
class Machine:
    """Where a host's owner reaches it, with the private key in the file `identity`; `host_key` is the fingerprint that
    it must have."""

    address: str
    port: int
    user: str
    identity: Path
    host_key: str

    def __str__(self) -> str:
        return f"{self.user}@{self.address}"


def fingerprint(address: str, port: int = 22) -> str:
    """Of the key that the machine has now. Raises InfraError."""
    return key_fingerprint(_key(address, port).asbytes())


def confirmed_host_key(address: str, port: int, pinned: str | None, yes: bool) -> str:
    """The fingerprint that the machine must have: the pinned one, or the one that a person confirms. Raises
    InfraError."""
    if pinned:
        return pinned
    current_key = fingerprint(address, port)
    typer.echo(f"{address} has the host key {current_key}; compare it on its console (ssh-keygen -lf)", err=True)
    if not yes and not typer.confirm("Is this the right machine?", err=True):
        raise InfraError("nothing was touched; --host-key SHA256:… says which key is right")
    return current_key


def _key(address: str, port: int) -> paramiko.PKey:
    try:
        with socket.create_connection((address, port), 15) as plain:
            transport = paramiko.Transport(plain)
            try:
                transport.start_client(timeout=15)
                return transport.get_remote_server_key()
            finally:
                transport.close()
    except IncompatiblePeer as error:
        raise InfraError(f"{address}: {error}: check KexAlgorithms, Ciphers and MACs in its sshd_config") from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise InfraError(f"{address} does not answer SSH: {error}; check that its port {port} is open to you") from None


@contextmanager
def owners(address: str, port: int, owner: str, identity: Path, expected: list[str]) -> Generator[paramiko.Transport]:
    """Its owner's own connection to a machine whose host key has one of the `expected` fingerprints. Raises
    InfraError."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    key = _key(address, port)
    if key_fingerprint(key.asbytes()) not in expected:
        raise InfraError(
            f"{address} has the host key {key_fingerprint(key.asbytes())} instead of {' or '.join(expected)}"
        )
    if not identity.is_file():
        raise InfraError(f"{identity} does not exist: --identity names the file with the private key of {owner}")
    client.get_host_keys().add(address if port == 22 else f"[{address}]:{port}", key.get_name(), key)
    try:
        client.connect(
            address, port, owner, key_filename=str(identity), timeout=15, allow_agent=False, look_for_keys=False
        )
        yield client.get_transport()  # type: ignore[misc]
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise InfraError(f"{owner}@{address}: {error}; check that {identity} is its owner's key") from None
    finally:
        client.close()


def install(stack: Stack, host: str, machine: Machine) -> None:
    """Lets the stack's key in, and gives the machine the host key that the stack knows. Raises InfraError."""

    def secret(key: str) -> str:
        return pulumi("config", "get", "--stack", stack.name, "--path", f"{PROJECT}:{key}")

    payload = {
        "user": stack.sshUser, "public": stack.sshPublicKey, "host_private": secret(f"hostPrivateKeys.{host}"),
        "host_public": stack.hostPublicKeys[host],
    }  # fmt: skip
    own = key_fingerprint(base64.b64decode(stack.hostPublicKeys[host].split()[1]))
    expected = [machine.host_key, own]
    with owners(machine.address, machine.port, machine.user, machine.identity, expected) as transport:
        target = Target(host, machine.address, machine.port, machine.user, machine.host_key, "")
        for _ in run_program(transport, target, SCRIPT, payload):
            pass
