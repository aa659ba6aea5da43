"""SSH to a host whose key is known beforehand. What is run over it: infra.remote."""

import base64
import hashlib
import io
import logging
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.ssh_exception import IncompatiblePeer

from infra.errors import InfraError
from infra.foreign import one_line

# What it would log is raised too, and said in a line
logging.getLogger("paramiko").addHandler(logging.NullHandler())
RSA = ("rsa-sha2-512", "rsa-sha2-256")  # signatures by an RSA key
HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
UNKNOWN_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
WORDS = 300  # characters of a server's words in a reason


class ConnectionLost(InfraError):
    """The connection ended before the agent did."""


class NeverConnects(InfraError):
    """Nothing was sent, and asking again changes nothing."""


class WrongHostKey(NeverConnects):
    """Another key than the pinned one."""


class NothingInCommon(NeverConnects):
    """The host and this program know no algorithm of some kind both, or speak another version of SSH."""


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
def connect(target: Target, timeout: float = 15) -> Generator[paramiko.Transport]:
    """A connection for as many commands as wanted; each step until it is there takes `timeout` seconds at most. Only
    the stack's key is used, and nothing of the user's own SSH agent. Raises InfraError, saying what to do."""
    pinned, key = _parse_host_key(target), private_key(target)
    try:
        plain = socket.create_connection((target.address, target.port), timeout)
    except (OSError, UnicodeError) as error:
        # A resolver that does not answer now is another fault
        if isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno in UNKNOWN_NAME):
            raise NeverConnects(
                f"{target}: {target.address} does not resolve to an address; nothing was sent. Correct the host's "
                "address in the configuration, or its record in the zone"
            ) from None
        raise InfraError(
            f"{target} does not answer: {error}. Check that it is running, and that infra:adminCidrs has your "
            "network; pulumi preview shows whether its machine still exists in AWS"
        ) from None
    greeting = _Greeting(plain)
    transport = paramiko.Transport(greeting)  # type: ignore[arg-type]  # it is asked as a socket, and answers as one
    try:
        _handshake(transport, target, pinned, timeout)
        _log_in(transport, target, key)
        yield transport
    except (paramiko.SSHException, EOFError, OSError) as error:
        reason = greeting.other_words() or str(error) or "the connection was closed"
        raise ConnectionLost(f"{target}: {reason}; if the host is starting, try again in a moment") from None
    finally:
        transport.close()


class _Greeting:
    """A socket that remembers how its peer began: the library keeps nothing of what is no SSH."""

    def __init__(self, plain: socket.socket) -> None:
        self.plain, self.began = plain, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def recv(self, size: int) -> bytes:
        data = self.plain.recv(size)
        self.began = (self.began + data)[:1024] if len(self.began) < 1024 else self.began
        return data

    def other_words(self) -> str:
        """What a server said that speaks no SSH, or does not now (`Exceeded MaxStartups`); empty where it does."""
        if not self.began.strip() or b"SSH-" in self.began:
            return ""
        return f"it answered {last_words(self.began)!r} instead of SSH"


def last_words(output: bytes | str | None) -> str:
    """The last line of what a host says that has text; on one line, and not all of one that is long."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return one_line(lines[-1])[:WORDS] if lines else ""


def _log_in(transport: paramiko.Transport, target: Target, key: paramiko.PKey) -> None:
    """Raises AccessDenied with the server's reason, where it gives one."""
    try:
        more = transport.auth_publickey(target.user, key)
    except paramiko.AuthenticationException as error:
        reason = "" if str(error) == "Authentication failed." else f": {str(error).rstrip('.')}"
        words = last_words(transport.get_banner())
        raise AccessDenied(
            f"{target} rejects the stack's key (infra:sshPublicKey){reason}"
            f"{f'; the server says: {words}' if words else ''}"
        ) from None
    if more:
        raise AccessDenied(f"{target} accepts the stack's key, but also requires {' or '.join(more)}")


def _handshake(transport: paramiko.Transport, target: Target, pinned: tuple[str, bytes], timeout: float) -> None:
    """Raises InfraError where something answers that is not the host, or is no SSH server."""
    kind, data = pinned
    end = time.monotonic() + timeout
    # A key of type ssh-rsa signs with SHA-2
    transport.get_security_options().key_types = RSA if kind == "ssh-rsa" else (kind,)
    transport.banner_timeout = transport.auth_timeout = timeout
    try:
        transport.start_client(timeout=timeout)
        server_key = transport.get_remote_server_key()
    except IncompatiblePeer as error:
        if "host key" not in str(error):
            options = transport.get_security_options()
            raise NothingInCommon(
                f"{target}: {error}; nothing was sent. infra supports: "
                f"{', '.join([*options.kex, *options.ciphers, *options.digests])}. KexAlgorithms, Ciphers and MACs "
                "are set in the host's sshd_config"
            ) from None
        raise WrongHostKey(
            f"{target} has no host key of type {kind}, but {fingerprint(data)} of that type is pinned ({error}); "
            "nothing was sent. If the host was recreated, pin its key in the configuration"
        ) from None
    except paramiko.SSHException:
        # Without an answer in time the library complains about the step that it had reached
        if time.monotonic() < end:
            raise
        raise ConnectionLost(
            f"{target} accepts connections, but did not finish the SSH handshake within {timeout:.0f} s"
        ) from None
    if server_key.asbytes() != data:
        raise WrongHostKey(
            f"{target} has the host key {fingerprint(server_key.asbytes())}, but {fingerprint(data)} is pinned: "
            "another machine may have its address; nothing was sent. If the host was recreated, pin its key in the "
            "configuration"
        )


def _parse_host_key(target: Target) -> tuple[str, bytes]:
    """(type, key) of a line `ssh-ed25519 AAAA…`. Raises NeverConnects."""
    kind, _, rest = target.host_key.strip().partition(" ")
    try:
        data = base64.b64decode(rest.split()[0], validate=True)
    except (IndexError, ValueError):
        data = b""
    if not data or kind not in HOST_KEYS:
        raise NeverConnects(
            f"{target}: its host key in the configuration is not a public key of a supported type: "
            f"{', '.join(HOST_KEYS)}"
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
        raise NeverConnects("infra:sshPrivateKey has a passphrase: the stack's key must have none") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    kinds = ((ed25519.Ed25519PrivateKey, paramiko.Ed25519Key), (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
             (rsa.RSAPrivateKey, paramiko.RSAKey))  # fmt: skip
    for kind, key_type in kinds:
        if isinstance(key, kind):
            text = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
            return key_type.from_private_key(io.StringIO(text.decode()))
    raise NeverConnects("infra:sshPrivateKey is not a private key of type Ed25519, ECDSA or RSA (OpenSSH or PEM)")


def fingerprint(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
