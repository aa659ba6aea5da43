"""Secrets as GitHub Actions secrets, by GitHub's own program, which takes each by its standard input."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent import times
from catalogue.loading import Catalogue
from catalogue.problems import nearest
from catalogue.stack import Stack
from infra import secret, sources
from infra.errors import InfraError
from infra.foreign import one_line
from infra.pulumi import pulumi

# https://docs.github.com/en/actions/reference/security/secrets#naming-your-secrets
NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]*")
LARGEST = 48 * 1024  # bytes of one secret
# The stack's own: what decrypts its file, and is in no file
PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"
LIMIT = 60  # seconds


@dataclass(frozen=True)
class Place:
    """A repository (OWNER/NAME), or an environment of it ("" for none)."""

    repository: str
    environment: str = ""

    @property
    def words(self) -> list[str]:
        return ["--repo", self.repository, *(["--env", self.environment] if self.environment else [])]

    def __str__(self) -> str:
        return self.repository + (f", environment {self.environment}" if self.environment else "")


@dataclass(frozen=True)
class SecretTarget:
    """A GitHub secret `name`, and the stack's secret that it gets; None for the stack's passphrase."""

    name: str
    of: secret.Secret | None

    @property
    def origin(self) -> str:
        return self.of.path if self.of else "the variable of this name here"


def place_of(repository: str, environment: str) -> Place:
    """Raises InfraError for what cannot be one."""
    if not REPOSITORY.fullmatch(repository):
        raise InfraError(f"--repo {repository}: is no OWNER/NAME of GitHub's")
    if environment and not ENVIRONMENT.fullmatch(environment):
        raise InfraError(f"--environment {environment}: is no name of an environment")
    return Place(repository, environment)


def secret_targets(catalogue: Catalogue, texts: Iterable[str]) -> list[SecretTarget]:
    """Of words as a person gives them: SERVICE.NAME, OTHER=SERVICE.NAME, or the passphrase's name. Raises InfraError
    for a secret without a value, and for a name that GitHub does not take."""
    secrets = {entry.path: entry for entry in secret.stack_secrets(catalogue)}
    targets: dict[str, SecretTarget] = {}
    for word in texts:
        other, has_other, path = word.rpartition("=")
        if path != PASSPHRASE and path not in secrets:
            raise InfraError(f"{path}: {nearest(path, sorted(secrets), 'secrets')}")
        entry = secrets.get(path)
        if entry and not entry.is_set:
            raise InfraError(f"{path} has no value: infra secret set {path} --stack {catalogue.stack.name}")
        name = other if has_other else path.removeprefix(f"{entry.group}.") if entry else path
        if not NAME.fullmatch(name):
            rule = "capital letters, digits and _, and not GITHUB_ at the beginning"
            raise InfraError(f"{name}: GitHub takes {rule}: give it another name (NAME={path})")
        if name in targets:
            raise InfraError(
                f"{name} is listed twice: {targets[name].origin} and {path}; give one another name (NAME=…)"
            )
        targets[name] = SecretTarget(name, entry)
    return list(targets.values())


def is_name(text: str) -> bool:
    """Does GitHub take it as the name of a secret."""
    return bool(NAME.fullmatch(text))


def names_there(place: Place, kind: str = "secret") -> Mapping[str, str]:
    """Name → since when, of the secrets that are there, whose values GitHub does not show; or of variables (`kind`).
    Raises InfraError."""
    text = _gh(kind, "list", *place.words, "--json", "name,updatedAt")
    try:
        return {
            str(entry["name"]): times.show_text(str(entry["updatedAt"]), form=times.DATE) for entry in json.loads(text)
        }
    except (ValueError, LookupError, TypeError):
        raise InfraError(f"gh {kind} list: its answer cannot be read: {one_line(text)[:200]}") from None


def lines(targets: Iterable[SecretTarget], there: Mapping[str, str]) -> list[str]:
    """What would be written, a line for each; without values."""
    states = {name: f"replaces that of {one_line(since)}" for name, since in there.items()}
    return [f"{target.name}  from {target.origin}  ({states.get(target.name, 'new')})" for target in targets]


def write(stack: Stack, place: Place, target: SecretTarget) -> None:
    """Raises InfraError."""
    value = _value(stack, target)
    if len(value.encode()) > LARGEST:
        raise InfraError(f"{target.name}: GitHub takes {LARGEST // 1024} KB of a secret; it was not written")
    _gh("secret", "set", target.name, *place.words, value=value)


def _value(stack: Stack, target: SecretTarget) -> str:
    if target.of is None:
        return _passphrase()
    group, name = target.of.group, target.of.name
    if target.of.source:
        alone = stack.model_copy(update={"secretsFrom": {group: {name: stack.secretsFrom[group][name]}}})
        return sources.resolve_values(alone, {})[group][name]
    return pulumi("config", "get", "--stack", stack.name, "--path", secret.key(group, name))


def _passphrase() -> str:
    """As Pulumi itself takes it. Raises InfraError where it is not here."""
    file = os.environ.get(f"{PASSPHRASE}_FILE")
    try:
        value = os.environ.get(PASSPHRASE) or (Path(file).read_text(encoding="utf-8").strip() if file else "")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InfraError(f"{PASSPHRASE}_FILE: {file} cannot be read: {reason}") from None
    if not value:
        raise InfraError(f"{PASSPHRASE} is not set here, nor is {PASSPHRASE}_FILE")
    return value


def _gh(*words: str, value: str | None = None) -> str:
    """What gh prints. Raises InfraError with its last line."""
    # What it says for debugging, it says of requests
    own = {name: text for name, text in os.environ.items() if name not in ("GH_DEBUG", "DEBUG")}
    own["GH_PROMPT_DISABLED"] = "1"
    try:
        ran = subprocess.run(
            ["gh", *words], input=value or "", text=True, capture_output=True, timeout=LIMIT, check=False, env=own
        )
    except FileNotFoundError:
        raise InfraError(
            "gh is not on PATH: install it (https://cli.github.com), gh auth login, and run again"
        ) from None
    except subprocess.TimeoutExpired:
        raise InfraError(f"gh {' '.join(words[:2])}: no answer in {LIMIT} s") from None
    if ran.returncode:
        complaint = (ran.stderr.strip() or f"exit code {ran.returncode}").splitlines()[-1]
        masked = complaint.replace(value, "[secret]") if value else complaint
        raise InfraError(f"gh {' '.join(words[:2])}: {one_line(masked)[:300]}")
    return ran.stdout
