"""SSH to a host whose key is known beforehand, and the agent on it: a command in, JSON lines out."""

import base64
import hashlib
import io
import json
import logging
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paramiko

from infra.errors import InfraError

# What it would log is raised too, and said in a line
logging.getLogger("paramiko").addHandler(logging.NullHandler())
AGENT = "python3 -I -B /var/lib/infra/bin"
PROGRAM = (
    "python3 -I -B -c 'import json, sys; said = json.load(sys.stdin); "
    'payload = said["payload"]; exec(said["program"])\''
)
RSA = ("rsa-sha2-512", "rsa-sha2-256")  # signatures by an RSA key
SILENCE = 30.0  # seconds; the agent gives a sign of life every 5


class ConnectionLost(InfraError):
    """The connection ended before the agent did."""


@dataclass(frozen=True)
class Target:
    """A host: `host` is its name in the stack, `host_key` the public key (`ssh-ed25519 AAAA…`) that it must have."""

    host: str
    address: str
    port: int
    user: str
    host_key: str
    private_key: str

    def __str__(self) -> str:
        return f"{self.host} ({self.user}@{self.address}:{self.port})"


@contextmanager
def connected(target: Target, timeout: float = 15) -> Iterator[paramiko.Transport]:
    """A connection for as many commands as wanted. Raises InfraError, saying what to do."""
    try:
        plain = socket.create_connection((target.address, target.port), timeout)
    except OSError as error:
        raise InfraError(
            f"{target} does not answer: {error}; is it up, and are you in infra:adminCidrs? Whether a machine is gone "
            "in AWS, pulumi preview says"
        ) from None
    transport = paramiko.Transport(plain)
    kind, data = target.host_key.split()[:2]
    try:
        transport.get_security_options().key_types = RSA if kind == "ssh-rsa" else (kind,)
        transport.banner_timeout = transport.auth_timeout = timeout
        transport.start_client(timeout=timeout)
        found = transport.get_remote_server_key()
        if found.asbytes() != base64.b64decode(data):
            pinned = fingerprint(base64.b64decode(data))
            raise InfraError(
                f"{target} has the host key {fingerprint(found.asbytes())}, and {pinned} is pinned: somebody else "
                "may answer there; nothing was sent. If the host was made anew, pin its key in the configuration"
            )
        transport.auth_publickey(target.user, paramiko.Ed25519Key.from_private_key(io.StringIO(target.private_key)))
        yield transport
    except paramiko.AuthenticationException:
        raise InfraError(f"{target} does not take the stack's key (infra:sshPublicKey)") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        said = str(error) or "the connection was closed"
        raise ConnectionLost(f"{target}: {said}; a host that is starting answers in a moment") from None
    finally:
        transport.close()


def fingerprint(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def events(transport: paramiko.Transport, target: Target, command: str, payload: Any) -> Iterator[dict[str, Any]]:
    """What a command on the host says, object by object. The payload goes over its standard input, where no list of
    processes shows it. Raises ConnectionLost, and InfraError when the command itself fails."""
    try:
        channel = transport.open_session(timeout=15)
        channel.settimeout(SILENCE)
        channel.exec_command(command if target.user == "root" else f"sudo -n {command}")
        channel.sendall(json.dumps(payload).encode())
        channel.shutdown_write()
        for line in channel.makefile("r"):
            if (event := _event(line)) is not None:
                yield event
        code = channel.recv_exit_status()
        said = channel.makefile_stderr("r").read()
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise ConnectionLost(f"{target}: {str(error) or 'the connection was closed'}") from None
    if code == -1:
        raise ConnectionLost(f"{target}: the connection was closed")
    if code != 0:
        last = (said if isinstance(said, str) else said.decode(errors="replace")).strip().splitlines()[-1:]
        raise InfraError(f"{target}: {last[0] if last else f'exit code {code}'}{_hint(said)}")


def _event(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _hint(said: str | bytes) -> str:
    text = said if isinstance(said, str) else said.decode(errors="replace")
    if "No such file or directory" in text and "/var/lib/infra/bin" in text:
        return "; no release was brought to this host yet: pulumi up"
    return ""


def run_program(transport: paramiko.Transport, target: Target, program: str, payload: Any) -> Iterator[dict[str, Any]]:
    """What a program says that goes to the host by itself, and leaves nothing there."""
    yield from events(transport, target, PROGRAM, {"program": program, "payload": payload})


def tell(target: Target, verb: str, payload: Any | None = None) -> Iterator[dict[str, Any]]:
    """What the host's agent says, one after the other. Raises InfraError, a refusal of the agent's included."""
    with connected(target) as transport:
        for event in events(transport, target, f"{AGENT} {shlex.quote(verb)}", payload or {}):
            if "result" in event:
                raise InfraError(f"{target.host}: {event['result']['line']}")
            if event:
                yield event


def ask(target: Target, verb: str, payload: Any | None = None) -> dict[str, Any]:
    """The one answer of the host's agent. Raises InfraError."""
    answers = list(tell(target, verb, payload))
    if not answers:
        raise InfraError(f"{target}: the agent said nothing to {verb!r}")
    return answers[-1]
