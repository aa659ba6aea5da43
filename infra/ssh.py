"""SSH to a host whose key is known beforehand, and the agent on it: a command in, JSON lines out."""

import base64
import hashlib
import io
import json
import logging
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.ssh_exception import IncompatiblePeer

from infra.answers import checked, checked_job_event
from infra.errors import InfraError
from infra.foreign import cleaned
from infra.limits import ended_after

# What it would log is raised too, and said in a line
logging.getLogger("paramiko").addHandler(logging.NullHandler())
AGENT = "python3 -I -B /var/lib/infra/bin"
PROGRAM = (
    "python3 -I -B -c 'import json, sys; said = json.load(sys.stdin); "
    'payload = said["payload"]; exec(said["program"])\''
)
RSA = ("rsa-sha2-512", "rsa-sha2-256")  # signatures by an RSA key
HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
SILENCE = 30.0  # seconds; the agent gives a sign of life every 5
LONGEST = 64 * 1024**2  # bytes of a line of an answer: every file of a host can be in one
MOST = 2 * LONGEST  # bytes of an answer
DEEPEST = 50  # levels of an answer
SCRIPT_LINE = 64 * 1024  # bytes of a script's line that are kept


CONTENTS = "contents"  # the agent's answer that is compared, byte by byte


class ConnectionLost(InfraError):
    """The connection ended before the agent did."""


class WrongHostKey(InfraError):
    """Another key than the pinned one: nothing was sent, and asking again changes nothing."""


class AccessDenied(InfraError):
    """The host knows neither the user nor the key; one that is starting may not know them yet."""


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
    """A connection for as many commands as wanted; each step until it is there takes `timeout` seconds at most. Only
    the stack's key is used, and nothing of the user's own SSH agent. Raises InfraError, saying what to do."""
    pinned, key = _pinned(target), private_key(target)
    try:
        plain = socket.create_connection((target.address, target.port), timeout)
    except OSError as error:
        raise InfraError(
            f"{target} does not answer: {error}; is it up, and are you in infra:adminCidrs? Whether a machine is gone "
            "in AWS, pulumi preview says"
        ) from None
    transport = paramiko.Transport(plain)
    try:
        _handshake(transport, target, pinned, timeout)
        transport.auth_publickey(target.user, key)
        yield transport
    except paramiko.AuthenticationException:
        raise AccessDenied(f"{target} does not take the stack's key (infra:sshPublicKey)") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        reason = str(error) or "the connection was closed"
        raise ConnectionLost(f"{target}: {reason}; a host that is starting answers in a moment") from None
    finally:
        transport.close()


def _handshake(transport: paramiko.Transport, target: Target, pinned: tuple[str, bytes], timeout: float) -> None:
    """Raises InfraError where something answers that is not the host, or is no SSH server."""
    kind, data = pinned
    end = time.monotonic() + timeout
    # A key of type ssh-rsa signs with SHA-2
    transport.get_security_options().key_types = RSA if kind == "ssh-rsa" else (kind,)
    transport.banner_timeout = transport.auth_timeout = timeout
    try:
        transport.start_client(timeout=timeout)
        found = transport.get_remote_server_key()
    except IncompatiblePeer as error:
        raise WrongHostKey(
            f"{target} has no host key of type {kind}, and {fingerprint(data)} of that type is pinned ({error}); "
            "nothing was sent. If the host was recreated, pin its key in the configuration"
        ) from None
    except paramiko.SSHException:
        # Without an answer in time the library complains about the step that it had reached
        if time.monotonic() < end:
            raise
        raise ConnectionLost(f"{target} takes connections, but spoke no SSH within {timeout:.0f} s") from None
    if found.asbytes() != data:
        raise WrongHostKey(
            f"{target} has the host key {fingerprint(found.asbytes())}, and {fingerprint(data)} is pinned: another "
            "machine may answer there; nothing was sent. If the host was recreated, pin its key in the configuration"
        )


def _pinned(target: Target) -> tuple[str, bytes]:
    """(type, key) of a line `ssh-ed25519 AAAA…`. Raises InfraError."""
    kind, _, rest = target.host_key.strip().partition(" ")
    try:
        data = base64.b64decode(rest.split()[0], validate=True)
    except (IndexError, ValueError):
        data = b""
    if not data or kind not in HOST_KEYS:
        raise InfraError(
            f"{target}: its host key in the configuration is no public key of these types: {', '.join(HOST_KEYS)}"
        )
    return kind, data


def private_key(target: Target) -> paramiko.PKey:
    """The stack's key, in OpenSSH's form or in PEM. Raises InfraError, which holds nothing of it."""
    data = target.private_key.strip().encode() + b"\n"
    openssh = b"OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = load(data, password=None)
    except TypeError:
        raise InfraError("infra:sshPrivateKey has a passphrase: the stack's key must have none") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    kinds = ((ed25519.Ed25519PrivateKey, paramiko.Ed25519Key), (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
             (rsa.RSAPrivateKey, paramiko.RSAKey))  # fmt: skip
    for kind, known in kinds:
        if isinstance(key, kind):
            text = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
            return known.from_private_key(io.StringIO(text.decode()))
    raise InfraError("infra:sshPrivateKey is no private key of type Ed25519, ECDSA or RSA (OpenSSH or PEM)")


def fingerprint(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def events(
    transport: paramiko.Transport, target: Target, command: str, payload: Any, total: int | None = MOST
) -> Iterator[dict[str, Any]]:
    """What a command on the host says, object by object, and at most `total` bytes of it. The payload goes over its
    standard input, where no list of processes shows it. Raises ConnectionLost, and InfraError when the command itself
    fails, or says more than it may."""
    try:
        channel = transport.open_session(timeout=15)
        channel.settimeout(SILENCE)
        # The library waits for the answer to this without a limit
        with ended_after(SILENCE, transport.close):
            channel.exec_command(command if target.user == "root" else f"sudo -n {command}")
        is_read = _sent(channel, json.dumps(payload).encode())
        for line in _lines(channel, target, total):
            if (event := _event(line)) is not None:
                yield event
        # Nor does it limit how long the end of a command is waited for
        with ended_after(SILENCE, transport.close):
            code = channel.recv_exit_status()
        said = channel.makefile_stderr("r").read(LONGEST)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise ConnectionLost(f"{target}: {str(error) or 'the connection was closed'}") from None
    if code == -1:
        raise ConnectionLost(f"{target}: the connection was closed")
    if code == 0 and not is_read:
        raise ConnectionLost(f"{target}: the command ended before it had read what it was sent")
    if code != 0:
        last = (said if isinstance(said, str) else said.decode(errors="replace")).strip().splitlines()[-1:]
        raise InfraError(f"{target}: {last[0] if last else f'exit code {code}'}{_hint(said)}")


def _sent(channel: paramiko.Channel, data: bytes) -> bool:
    """Has a command taken all of its standard input. One that ends before that, such as a sudo that refuses, says
    itself why. Raises OSError where the connection is at fault."""
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except TimeoutError:
        raise
    except OSError:
        if not channel.get_transport().is_active():
            raise
        return False
    return True


def _lines(channel: paramiko.Channel, target: Target, total: int | None) -> Iterator[str]:
    """Lines as they come. A host that never ends its line, or goes on and on, fills no memory. Raises InfraError."""
    rest, received = bytearray(), 0
    while data := channel.recv(65536):
        received += len(data)
        if total is not None and received > total:
            raise InfraError(f"{target} says more than {total // 1024**2} MiB: the connection is closed")
        *lines, last = data.split(b"\n")
        for part in lines:
            yield (bytes(rest) + part).decode(errors="replace")
            rest.clear()
        rest += last
        if len(rest) > LONGEST:
            raise InfraError(f"{target} says a line of more than {LONGEST // 1024**2} MiB: the connection is closed")
    if rest:
        yield rest.decode(errors="replace")


def _event(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _depth(value) <= DEEPEST else None


def _depth(value: Any) -> int:
    """Levels of lists and mappings in each other, as far as DEEPEST and one more."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        inner = (list(item.values()) if isinstance(item, dict) else item for item in level)
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
        depth += 1
    return depth


def _hint(said: str | bytes) -> str:
    text = said if isinstance(said, str) else said.decode(errors="replace")
    if "No such file or directory" in text and "/var/lib/infra/bin" in text:
        return "; no release was brought to this host yet: pulumi up"
    return ""


def run_script(
    transport: paramiko.Transport, target: Target, command: str, script: str, say: Callable[[str], None], limit: float
) -> tuple[int, str]:
    """Runs a command with a script on its standard input for `limit` seconds at most, saying what it says; its exit
    code and last line. Raises ConnectionLost, and TimeoutError at the end of the time."""
    line = rest = b""
    with ended_after(limit, transport.close) as is_late:
        try:
            channel = transport.open_session(timeout=min(limit, 15))
            channel.set_combine_stderr(True)
            channel.exec_command(command)
            is_read = _sent(channel, script.encode())
            while data := channel.recv(65536):
                *lines, rest = (rest + data).split(b"\n")
                # What never ends its line is no reason to keep all of it
                rest = rest[:SCRIPT_LINE]
                for line in filter(bytes.strip, lines):
                    say(line.decode(errors="replace"))
            if rest.strip():
                line = rest
                say(line.decode(errors="replace"))
            code = channel.recv_exit_status()
        except (paramiko.SSHException, EOFError, OSError) as error:
            if is_late.is_set():
                raise TimeoutError from None
            raise ConnectionLost(f"{target}: {str(error) or 'the connection was closed'}") from None
    if is_late.is_set():
        raise TimeoutError
    if code == -1:
        raise ConnectionLost(f"{target}: the connection was closed")
    if code == 0 and not is_read:
        raise ConnectionLost(f"{target}: the command ended before it had read what it was sent")
    return code, line.decode(errors="replace").strip()


def run_program(transport: paramiko.Transport, target: Target, program: str, payload: Any) -> Iterator[dict[str, Any]]:
    """What a program says that goes to the host by itself, and leaves nothing there."""
    yield from events(transport, target, PROGRAM, {"program": program, "payload": payload})


def tell(target: Target, verb: str, payload: Any | None = None) -> Iterator[dict[str, Any]]:
    """What the host's agent says, one after the other. Raises InfraError, a refusal of the agent's included."""
    with connected(target) as transport:
        # Logs can be followed for days
        total = None if verb == "logs" else MOST
        for said in events(transport, target, f"{AGENT} {shlex.quote(verb)}", payload or {}, total):
            if "result" in said:
                refused = checked_job_event(cleaned(said), str(target))
                raise InfraError(f"{target.host}: {refused['result']['line']}")
            # What the host's files hold is compared with what they are to hold, and is made visible where it is shown
            event = said if verb == CONTENTS else cleaned(said)
            if event:
                yield checked(verb, event, str(target))


def ask(target: Target, verb: str, payload: Any | None = None) -> dict[str, Any]:
    """The one answer of the host's agent. Raises InfraError."""
    # What is said on the way to it is for people, and not kept
    answer: dict[str, Any] = {}
    for event in tell(target, verb, payload):
        answer = {} if set(event) == {"say"} else event
    if not answer:
        raise InfraError(f"{target}: the agent said nothing to {verb!r}")
    return answer
