"""Keys of a stack: made here, kept as encrypted configuration, never on a command line."""

import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from catalogue.stack import BACKUP, BACKUP_SECRETS, PROJECT, Stack
from infra.pulumi import attempt, pulumi


def key_pair(comment: str) -> tuple[str, str]:
    """Private key (OpenSSH) and public line of a new Ed25519 key."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return private, f"{public} {comment}"


def initialise(stack: Stack) -> Iterator[str]:
    """Makes what is missing, and says so line by line. Raises InfraError when Pulumi refuses."""
    if attempt("stack", "select", stack.name).returncode:
        pulumi("stack", "init", stack.name, "--no-select")
        yield f"made the stack {stack.name}"
    if not (stack.sshPrivateKey and stack.sshPublicKey):
        _store(stack, "sshPrivateKey", "sshPublicKey", f"{stack.name}-releases")
        yield "made the key that releases are sent with"
    for host in stack.ec2_hosts:
        if host not in stack.hostPrivateKeys or host not in stack.hostPublicKeys:
            _store(stack, f"hostPrivateKeys.{host}", f"hostPublicKeys.{host}", f"{stack.name}-{host}")
            yield f"made the key that {host} identifies itself with"
    if stack.backupRegion and not stack.secrets.get(BACKUP, {}).get(BACKUP_SECRETS[0]):
        # Nothing that a list of processes, a history or a file without encryption would show
        value = secrets.token_urlsafe(32)
        path = f"{PROJECT}:secrets.{BACKUP}.{BACKUP_SECRETS[0]}"
        pulumi("config", "set", "--stack", stack.name, "--path", "--secret", path, value=value)
        yield (
            "made the password that backups are encrypted with: keep a copy of it elsewhere, since no backup can be "
            f"read without it (pulumi config get --stack {stack.name} --path {path})"
        )


def _store(stack: Stack, private_path: str, public_path: str, comment: str) -> None:
    private, public = key_pair(comment)
    for path, value, kind in ((private_path, private, "--secret"), (public_path, public, "--plaintext")):
        pulumi("config", "set", "--stack", stack.name, "--path", kind, f"{PROJECT}:{path}", value=value)
