"""Environment files: plain values, and secrets by name and version, without their values."""

import hmac
from collections.abc import Mapping
from dataclasses import replace

from catalogue.stack import Stack
from rendering.files import EnvironmentFile

# Service → name → value
Secrets = Mapping[str, Mapping[str, str]]


def secret_file(
    path: str, group: str, names: list[str] | dict[str, str], secrets: Secrets, stack: Stack
) -> EnvironmentFile:
    """A file of secrets of one group (a service's name), whose values come along with a release; no plain values yet.
    `names` are those of the secrets, or name in the file → name of the secret."""
    values = secrets.get(group, {})
    by_name = names if isinstance(names, dict) else dict(zip(names, names, strict=True))
    places = {name: f"{group}/{secret}" for name, secret in by_name.items()}
    versions = {f"{group}/{s}": _version(stack, f"{group}/{s}", values[s]) for s in by_name.values() if s in values}
    return EnvironmentFile(path, {}, places, versions)


# Between a name and its value: nothing, of a file that is one secret and nothing else, whose name is none
ALONE = ""


def whole_secret(path: str, group: str, name: str, secrets: Secrets, stack: Stack) -> EnvironmentFile:
    """A file that holds one secret of a group, to its last sign."""
    return replace(secret_file(path, group, {"": name}, secrets, stack), between=ALONE, mode=0o444)


def _version(stack: Stack, place: str, value: str) -> str:
    """A keyed hash that changes with a secret's value; without the stack's key no one can test guesses against it."""
    return hmac.new((stack.sshPrivateKey or "").encode(), f"{place}\0{value}".encode(), "sha256").hexdigest()[:16]
