"""Secrets of a stack: which its services name, which have a value, and how one is set. Values come from a prompt or
standard input and go to Pulumi over standard input: no history and no list of processes has one."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from catalogue.compose.environment import of_file
from catalogue.environment import control, unwritable
from catalogue.loading import Catalogue
from catalogue.pem import chain_fault, key_fault
from catalogue.problems import nearest
from catalogue.rules.sites import LONGEST_PASSWORD
from catalogue.secret_groups import group_of, groups_of
from catalogue.stack import (
    API_TOKEN,
    BACKUP,
    BACKUP_SECRETS,
    DNS,
    DNS_SECRETS,
    LOG_TOKEN,
    LOGS,
    MONITOR,
    MONITOR_SECRETS,
    PROJECT,
    PROOF_TOKEN,
    REGISTRIES,
    Stack,
)
from infra import blame
from infra.errors import InfraError
from infra.foreign import visible
from infra.paths import config_file, project_root
from infra.pulumi import pulumi
from rendering.proofs import has_token


@dataclass(frozen=True)
class Secret:
    """One value; `group` is a service, a system (for all of its services), `shared` (for all systems that list it), or
    one of the stack's own."""

    group: str
    name: str
    used_by: tuple[str, ...]
    is_set: bool
    source: str = ""

    @property
    def path(self) -> str:
        return f"{self.group}.{self.name}"

    @property
    def state(self) -> str:
        if not self.is_set:
            return "missing"
        if self.source and self.used_by:
            return f"from {self.source}"
        return "set" if self.used_by else "used by nothing"


def stack_secrets(catalogue: Catalogue) -> list[Secret]:
    """Every secret that something names or that has a value, by path."""
    paths = {(group, name) for group, values in catalogue.stack.secrets.items() for name in values}
    used: dict[tuple[str, str], list[str]] = {}
    for system in catalogue.running.values():
        for service in system.active:
            for name in service.secret_names:
                group = group_of(catalogue.stack, system, service.name, name)
                used.setdefault((group, name), []).append(service.name)
        for name in system.passwords:
            used.setdefault((system.system, name), []).append(f"{system.system}'s sites")
        for name in system.certificate_secrets:
            used.setdefault((system.system, name), []).append(f"{system.system}'s certificates")
    if catalogue.stack.dns.provider == "cloudflare":
        used[DNS, API_TOKEN] = ["records"]
        if any(has_token(catalogue, host) for host in catalogue.stack.hosts):
            used[DNS, PROOF_TOKEN] = ["proofs of names"]
    if catalogue.stack.backupRegion:
        used[BACKUP, BACKUP_SECRETS[0]] = ["backups"]
    if catalogue.stack.logs.form and ((LOGS, LOG_TOKEN) in paths or catalogue.stack.logs.user):
        used[LOGS, LOG_TOKEN] = ["logs elsewhere"]
    for group, name in paths:
        if group == REGISTRIES or (group == MONITOR and name in MONITOR_SECRETS):
            used[group, name] = ["images"] if group == REGISTRIES else ["notices"]
    return [
        Secret(
            group,
            name,
            tuple(used.get((group, name), ())),
            (group, name) in paths,
            str(catalogue.stack.secretsFrom.get(group, {}).get(name, "")),
        )
        for group, name in sorted(paths | set(used))
    ]


def settable_paths(catalogue: Catalogue) -> set[str]:
    """Every path that a value may be set for, but for logins of registries, which may have any name."""
    paths = {entry.path for entry in stack_secrets(catalogue) if entry.used_by}
    for system in catalogue.running.values():
        pairs = [(service.name, name) for service in system.active for name in service.secret_names]
        paths |= {f"{group}.{name}" for own, name in pairs for group in groups_of(catalogue.stack, system, own, name)}
        paths |= {f"{system.system}.{name}" for name in system.passwords | system.certificate_secrets}
    paths |= {f"{MONITOR}.{name}" for name in MONITOR_SECRETS}
    paths |= {f"{LOGS}.{LOG_TOKEN}"} if catalogue.stack.logs.form else set[str]()
    return paths | (
        {f"{DNS}.{name}" for name in DNS_SECRETS} if catalogue.stack.dns.provider == "cloudflare" else set()
    )


def settable(catalogue: Catalogue, path: str) -> tuple[str, str]:
    """Group and name of what may be set. Raises InfraError where nothing names it."""
    if of := {entry.path: entry.source for entry in stack_secrets(catalogue) if entry.source}.get(path):
        raise InfraError(
            f"{path} comes from {of} (infra:secretsFrom): change it there, or take it out of the stack first"
        )
    group, _, name = path.partition(".") if path.startswith(f"{REGISTRIES}.") else path.rpartition(".")
    secret_paths = settable_paths(catalogue)
    if path not in secret_paths and not (group == REGISTRIES and name):
        raise InfraError(f"{path}: nothing names this secret: {nearest(path, sorted(secret_paths), 'secrets')}")
    return group, name


Form = Literal["variable", "password", "pem"]


def form_of(catalogue: Catalogue, group: str, name: str) -> Form:
    """What a secret is: a variable, or of a site and of nothing else a user's password, or a certificate or its key."""
    system = catalogue.running.get(group)
    if system is None or any(name in service.secret_names for service in system.active):
        return "variable"
    return "password" if name in system.passwords else "pem" if name in system.certificate_secrets else "variable"


def put(stack: Stack, group: str, name: str, value: str, form: Form = "variable") -> None:
    """Raises InfraError as `check`."""
    check(group, name, value, form)
    pulumi("config", "set", "--stack", stack.name, "--secret", "--path", key(group, name), value=value)


def check(group: str, name: str, value: str, form: Form = "variable") -> None:
    """Raises InfraError for a value that no environment file can hold, without showing it; a password of a site's user
    is in none, and a certificate or a key is a text of several lines."""
    if not value:
        raise InfraError(f"{group}.{name}: no value was given; nothing was set")
    if form == "pem":
        if chain_fault(value) and key_fault(value):
            raise InfraError(
                f"{group}.{name}: the value is neither certificates nor a private key without a passphrase, "
                "in PEM; nothing was set"
            )
        return
    if form == "password" and len(value.encode()) > LONGEST_PASSWORD:
        raise InfraError(f"{group}.{name}: a proxy reads {LONGEST_PASSWORD} bytes of a password; nothing was set")
    if fault := control(value) if form == "password" else unwritable(value):
        raise InfraError(
            f"{group}.{name}: the value has {fault}, which an environment file cannot hold; nothing was set"
        )
    for sign, where in ((value[0], "begins"), (value[-1], "ends")):
        # Copied along with it from a page or a document
        if sign != "\t" and (not sign.isprintable() or visible(sign) != sign):
            what = unicodedata.name(sign, "a character without a name")
            raise InfraError(
                f"{group}.{name}: the value {where} with U+{ord(sign):04X} ({what}), an invisible character: give it "
                "without that character; nothing was set"
            )


def remove(catalogue: Catalogue, path: str) -> None:
    """Raises InfraError where it has no value."""
    with_value = {entry.path: entry for entry in stack_secrets(catalogue) if entry.is_set}
    if path not in with_value:
        raise InfraError(f"{path} has no value: {nearest(path, sorted(with_value), 'secrets with one')}")
    entry = with_value[path]
    if entry.source:
        raise InfraError(
            f"{path} comes from {entry.source}: take it out of infra:secretsFrom in {catalogue.stack.file}"
        )
    pulumi("config", "rm", "--stack", catalogue.stack.name, "--path", key(entry.group, entry.name))


def of_environment(catalogue: Catalogue, service: str, text: str) -> tuple[dict[str, str], list[str]]:
    """Of a file with variables: the secrets of a service with their values, and the names of all that are none.
    Raises InfraError."""
    services = {entry.name: entry for system in catalogue.running.values() for entry in system.active}
    if service not in services:
        raise InfraError(
            f"{service}: no running service has this name: {nearest(service, sorted(services), 'services')}"
        )
    try:
        values = {name: value for name, value in of_file(text, "$").items() if value}
    except ValueError as error:
        raise InfraError(f"{error}; nothing was set") from None
    own = catalogue.stack.secretsFrom.get(service, {})
    # A file of one service decides nothing for others
    (system,) = [system for system in catalogue.running.values() if services[service] in system.active]
    own_names = {*services[service].secret_names} - {*own} - {*system.shared_secrets}
    settable = {name: value for name, value in values.items() if name in own_names}
    return settable, sorted({*values} - {*settable})


def lines(secrets: list[Secret], changes: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """One for each: its path, its state, who uses it, and of those in `changes` (path → words) the last change."""
    width = max((len(entry.path) for entry in secrets), default=0)
    states = max((len(entry.state) for entry in secrets), default=0)
    for entry in secrets:
        words = [", ".join(entry.used_by), changes.get(entry.path, "")]
        yield f"{entry.path:{width}}  {entry.state:{max(states, 15)}}  {'; '.join(filter(None, words))}".rstrip()


def last_changes(catalogue: Catalogue, secrets: list[Secret], now: float) -> dict[str, str]:
    """Path → when it was changed last and by whom, of each secret with a value, as git says of the stack's file. Of one
    that another manager holds only that is known where it comes from, and no more is said."""
    stack = catalogue.stack
    file = config_file(stack.name) or project_root() / f"Pulumi.{stack.name}.yaml"
    by_path = blame.changes(file, [f"{PROJECT}:secrets"])
    words = {f"{group}.{name}": change.words(now) for (group, name), change in by_path.items()}
    return {entry.path: words.get(entry.path, blame.UNKNOWN) for entry in secrets if entry.is_set and not entry.source}


def key(group: str, name: str) -> str:
    """Where it stands in the stack's configuration, as Pulumi's `--path` takes it."""
    return f'{PROJECT}:secrets["{group}"]["{name}"]'


def counts(secrets: list[Secret]) -> Mapping[str, int]:
    return {state: sum(entry.state == state for entry in secrets) for state in ("missing", "used by nothing")}
