"""What a service is made of: images and environment, and what takes a retired one's place."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from posixpath import normpath

from catalogue.encrypted_values import ENCRYPTED, is_sealed
from catalogue.environment import control, unwritable
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.parts import parts, wholes
from catalogue.problems import Problem, nearest
from catalogue.rules.each import services
from catalogue.rules.hosts_own import STARTED_BY_NAME, elsewhere, is_anothers, is_the_hosts
from catalogue.secret_groups import shared_names
from catalogue.service import RetiredService, Service
from catalogue.services import ComposeService, repositories_of
from catalogue.stack import BACKUP, DNS, LOGS, MONITOR, MONITOR_SECRETS, REGISTRIES, SHARED, Stack

REPOSITORY = re.compile(r"[a-z0-9]+(?:[_-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[_-]+[a-z0-9]+)*)*")
FOREIGN_REPOSITORY = re.compile(
    r"(?=.{1,256}$)(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)+"
)
# A region's own: a name of it in the catalogue would survive a region move
ECR = re.compile(r".*\.amazonaws\.com(?:\.cn)?")
ADDRESS = re.compile(r"https?://[!-~]+")
# What a host empties by itself, and what its own programs read as a whole
OF_NO_ARTEFACT = re.compile(r"/(?:tmp|var/tmp|var/cache)(?:/|$)|/etc/[^/]+\.d(?:/|$)")
# Directories that are there on every host: a release that names one would take it over
ROOTS = re.compile(
    r"/|/(?:etc|usr|var|root|home|tmp|opt|srv|mnt|media)|/var/(?:lib|log|tmp|cache|spool|www)"
    r"|/usr/(?:local|share|src|include)|/usr/local/(?:bin|sbin|lib|share|etc)|/etc/(?:systemd|default)"
)


def open_questions(catalogue: Catalogue) -> Iterator[Problem]:
    """What was read off a machine and is not said yet: a release without it would lose it."""
    rule = "must be written in the catalogue's words, or the line deleted to go without it"
    for system in catalogue.running.values():
        for line in system.unresolved:
            yield Problem(catalogue.file_of(system), "unresolved", f"{line!r} was found on the machine", rule)
    for file, _, service in services(catalogue):
        for line in service.unresolved:
            yield Problem(file, f"service {service.name}", f"{line!r} was found on the machine", rule)


def images(catalogue: Catalogue) -> Iterator[Problem]:
    """An image of the stack's own is of its account and region, wherever that is; one of another registry is named with
    its registry, and by what means the same image tomorrow."""
    rule = (
        "must be the name of an own repository, such as watchme-api-ast, or a full name with its registry, such as "
        "docker.io/library/postgres or ghcr.io/OWNER/NAME"
    )
    for system in catalogue.running.values():
        for service in system.services:
            for repository in repositories_of(service):
                if not _is_repository(repository):
                    where = f"service {service.name}"
                    yield Problem(catalogue.file_of(system), where, f"image repository {repository!r}", rule)
    images = [(file, service, image) for file, _, service in services(catalogue) for image in service.images]
    for file, service, image in images:
        where = f"service {service.name}"
        if image.tag and image.digest:
            yield Problem(file, where, f"{image.repository} has a tag and a digest", "must have one of the two")
        if image.is_foreign and image.suffix == ":latest" and not isinstance(service, ComposeService):
            fault = f"image {image.repository} of another registry has the tag latest"
            yield Problem(file, where, fault, 'must have a tag that names a version, such as tag: "16.4", or a digest')
        if image.repository.startswith("docker.io/") and image.repository.count("/") == 1:
            name = image.repository.removeprefix("docker.io/")
            yield Problem(file, where, f"image {image.repository}", f"must be its full name: docker.io/library/{name}")


def _is_repository(name: str) -> bool:
    if ECR.fullmatch(name.partition("/")[0]):
        return False
    return bool(REPOSITORY.fullmatch(name) or FOREIGN_REPOSITORY.fullmatch(name))


def own_paths(catalogue: Catalogue) -> Iterator[Problem]:
    """What the host itself, its accounts, SSH or the agent have is no release's."""
    for system in catalogue.running.values():
        places = [("directories", item.path) for item in system.directories]
        places += [("data", path) for path in system.data]
        places += [(f"account {account.name}", account.home) for account in system.accounts]
        paths = [*files_of(system), *places, *(("monitor_names", path) for path in system.monitor_names)]
        paths += [(f"service {service.name}", service.directory) for service in system.compose_services]
        artefacts = [(f"service {s.name}", path) for s in system.native_services for path in s.links]
        refused = [item for item in paths if is_the_hosts(plain(item[1]))]
        refused += [item for item in paths if STARTED_BY_NAME.fullmatch(plain(item[1])) and item[0] != "monitor_names"]
        refused += [item for item in artefacts if item not in refused and OF_NO_ARTEFACT.match(plain(item[1]))]
        # A file may lie in one of these; as a whole they are no product's
        places += artefacts
        refused += [item for item in places if item not in refused and ROOTS.fullmatch(plain(item[1]))]
        for where, path in refused:
            place = plain(path)
            below = f"{place.rstrip('/')}/NAME"
            rule = (
                f"must be a directory of the product, such as {below}" if ROOTS.fullmatch(place) else elsewhere(place)
            )
            if (where, path) in artefacts and OF_NO_ARTEFACT.match(place) and not is_the_hosts(place):
                rule = "must be a path of the product, such as /opt/NAME/app: the host itself empties or reads this one"
            yield Problem(catalogue.file_of(system), where, f"path {path} belongs to the host or the agent", rule)
        for where, path, owner in [item for item in _ownerships(system) if (item[0], item[1]) not in refused]:
            if is_anothers(plain(path), *owner):
                fault = f"path {path} is read or run by the host as root, but others may write it"
                yield Problem(
                    catalogue.file_of(system),
                    where,
                    fault,
                    'must have owner: root, and a mode such as "0644" or "0755"',
                )


def _ownerships(system: System) -> Iterator[tuple[str, str, tuple[str, str | None, str]]]:
    """What a system says the owner, group and mode of."""
    for item in system.directories:
        yield "directories", item.path, (item.owner, item.group, item.mode)
    for account in system.accounts:
        yield f"account {account.name}", account.home, (account.name, None, "0755")
    for service in system.native_services:
        for file in service.files:
            yield f"service {service.name}", file.path, (file.owner, file.group, file.mode)


def unique_files(catalogue: Catalogue) -> Iterator[Problem]:
    """Of two files at one path only the second would be there; and below a file there is nothing."""
    for host in catalogue.stack.hosts:
        systems = catalogue.systems_on(host)
        directories = {plain(item.path) for system in systems for item in system.directories}
        # What an artefact or an environment of Python brings may be a directory
        native = [service for system in systems for service in system.native_services]
        links = {plain(path) for service in native for path in service.links}
        entries = [(system, *item) for system in systems for item in files_of(system)]
        files = {plain(path) for _, _, path in entries} - links
        owners: dict[str, str] = {}
        for system, where, path in entries:
            place = plain(path)
            above = [str(parent) for parent in PurePosixPath(place).parents if str(parent) in files]
            if place in owners:
                fault, rule = (
                    f"file {path} is already defined by {owners[place]}",
                    "each file of a host needs a different path",
                )
            elif above:
                fault, rule = f"file {path} is below {above[0]}, which is a file", "must be a path in a directory"
            elif place in directories & files:
                fault, rule = f"{path} is both a file and one of directories", "must be one of the two"
            else:
                owners[place] = where
                continue
            yield Problem(catalogue.file_of(system), where, fault, rule)


def files_of(system: System) -> list[tuple[str, str]]:
    """What a system puts at a path that the catalogue names, each with whose it is."""
    files = [("drop_ins", item.path) for item in system.drop_ins]
    for service in system.native_services:
        paths = [file.path for file in service.files]
        paths += [service.environment_file] if service.environment_file else []
        paths += service.links
        files += [(f"service {service.name}", path) for path in paths]
    return files


ONE_LINE = "an environment file holds text in one line, without ', \\ or ${; encode it, for example as base64"


def plain(path: str) -> str:
    """By whatever way it is written: `/etc//passwd`, `/srv/../etc/passwd`."""
    return "/" + normpath(path).lstrip("/")


def both_plain_and_secret(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in services(catalogue):
        for name in sorted(set(service.environment) & set(service.secrets)):
            fault = f"{name} is both under environment and under secrets"
            yield Problem(
                file, f"service {service.name}", fault, "must be under one of them: under secrets if it is secret"
            )


def _usable_secrets(catalogue: Catalogue, system: str) -> set[str]:
    """What a system's group of secrets may hold: those that its services name, also on another host, and its sites'
    passwords and certificates."""
    own_parts = [part for part, whole in wholes(catalogue.stack).items() if whole == system]
    running = [catalogue.running[name] for name in (system, *own_parts) if name in catalogue.running]
    of_sites = {name for one in running for name in one.passwords | one.certificate_secrets}
    return of_sites | {name for one in running for service in one.active for name in service.secret_names}


def retired_services(catalogue: Catalogue) -> Iterator[Problem]:
    for system in catalogue.running.values():
        names = {service.name for service in system.active}
        # Also one that runs on another host than its system
        names |= {
            name for _, entry in parts(catalogue.stack) if entry.system == system.system for name in entry.services
        }
        for service in system.services:
            if isinstance(service, RetiredService) and service.replaced_by not in names:
                fault = f"replaced_by {service.replaced_by!r}"
                yield Problem(
                    catalogue.file_of(system), f"service {service.name}", fault, "must be a running service's name"
                )


def environment(catalogue: Catalogue) -> Iterator[Problem]:
    """Every secret that a service names is set, and every value can stand in an environment file."""
    secrets = catalogue.secrets
    for file, system, service in services(catalogue):
        yield from _missing_secrets(catalogue.stack, system, service, set(secrets.get(service.name, {})))
        yield from _unwritable_environment(file, service)
        yield from _unused_secrets(catalogue, f"service {service.name}", service.name, set(service.secret_names), file)
    yield from _missing_passwords(catalogue)
    names = {service.name for _, _, service in services(catalogue)}
    for name in sorted(set(catalogue.running) - names):
        file = catalogue.file_of(catalogue.running[name])
        yield from _unused_secrets(catalogue, f"system {name}", name, set(), file)
    groups = names | set(catalogue.running)
    yield from _shared_secrets(catalogue, groups)
    yield from _ambiguous_groups(catalogue)
    yield from _unwritable_secrets(catalogue, groups | {SHARED})
    yield from _monitor_secrets(catalogue.stack)
    yield from _registry_logins(catalogue.stack)
    yield from _groups_without_owner(catalogue.stack, groups)


def _missing_secrets(stack: Stack, system: System, service: Service, present: set[str]) -> Iterator[Problem]:
    for secret in service.secret_names:
        if (secret in service.environment and secret in service.secrets) or secret in present:
            continue
        rule = f"set it: infra secret set {service.name}.{secret} --stack {stack.name}"
        path = f"{service.name}.{secret}"
        if secret in system.shared_secrets:
            path = f"{SHARED}.{secret}"
            rule = f"set it for all that share it: infra secret set {path} --stack {stack.name}"
        elif sum(secret in other.secret_names for other in system.active) > 1:
            rule += f", or once for all of the system: infra secret set {system.system}.{secret}"
        yield Problem(stack.file, f"service {service.name}", f"secret {secret} is missing", rule, unset=path)


def _unwritable_environment(file: str, service: Service) -> Iterator[Problem]:
    for name, value in service.environment.items():
        # Of a container a plain value may stand in its compose file, which holds any text
        fault = control(value) if isinstance(service, ComposeService) else unwritable(value)
        if fault:
            text = f"the value of {name} cannot be written: it has {fault}"
            yield Problem(file, f"service {service.name}", text, ONE_LINE)


def _unused_secrets(catalogue: Catalogue, where: str, group: str, names: set[str], file: str) -> Iterator[Problem]:
    """Secrets set for a service or a system (`group`) that neither `names` nor the system's services ask for."""
    stack = catalogue.stack
    unnamed = set(stack.secrets.get(group, {})) - names
    # What a whole system may use is looked for only where a service leaves a question
    for secret in sorted(unnamed and unnamed - _usable_secrets(catalogue, group)):
        rule = f"list it under secrets: in {file}, or remove it"
        yield Problem(stack.file, where, f"secret {secret} is not used", rule, "warning")


def _missing_passwords(catalogue: Catalogue) -> Iterator[Problem]:
    stack = catalogue.stack
    for system in catalogue.running.values():
        for secret in sorted(system.passwords - set(stack.secrets.get(system.system, {}))):
            rule = f"set it: infra secret set {system.system}.{secret} --stack {stack.name}"
            fault, path = f"secret {secret} of basic_auth is missing", f"{system.system}.{secret}"
            yield Problem(stack.file, f"system {system.system}", fault, rule, unset=path)
        for secret in sorted(system.certificate_secrets - set(stack.secrets.get(system.system, {}))):
            rule = f"set it: infra secret set {system.system}.{secret} --stack {stack.name} < FILE"
            fault, path = f"secret {secret} of a site's certificate is missing", f"{system.system}.{secret}"
            yield Problem(stack.file, f"system {system.system}", fault, rule, unset=path)


def _shared_secrets(catalogue: Catalogue, groups: set[str]) -> Iterator[Problem]:
    """What systems take from the stack's shared secrets is a secret of theirs, and what is set there is taken."""
    stack, whole_of = catalogue.stack, wholes(catalogue.stack)
    for system in catalogue.running.values():
        # A part has the list of its whole system
        if system.system not in whole_of:
            for name in sorted({*system.shared_secrets} - _usable_secrets(catalogue, system.system)):
                fault = f"shared_secrets names {name}, and no service lists it under secrets"
                yield Problem(catalogue.file_of(system), "shared_secrets", fault, "must be a secret of its services")
        if system.shared_secrets and SHARED in groups:
            fault = f"takes shared secrets, and a system or service is called {SHARED}, whose own these would be"
            yield Problem(catalogue.file_of(system), "shared_secrets", fault, "must be another name for that one")
    if SHARED in groups:
        return
    for name in sorted({*stack.secrets.get(SHARED, {})} - shared_names(catalogue.running.values())):
        rule = f"list it under shared_secrets: of systems, or: infra secret unset {SHARED}.{name} --stack {stack.name}"
        yield Problem(stack.file, f"infra:secrets.{SHARED}", f"secret {name} is not used", rule, "warning")


def _ambiguous_groups(catalogue: Catalogue) -> Iterator[Problem]:
    stack = catalogue.stack
    for file, system, service in services(catalogue):
        if service.name in set(catalogue.running) - {system.system} and service.name in stack.secrets:
            fault = f"is the name of a system and of a service in {file}: the owner of these secrets is ambiguous"
            yield Problem(stack.file, f"infra:secrets.{service.name}", fault, "must be another name for one of the two")


def _unwritable_secrets(catalogue: Catalogue, groups: set[str]) -> Iterator[Problem]:
    stack = catalogue.stack
    of_services = {n for other in catalogue.running.values() for s in other.active for n in s.secret_names}
    for group in sorted(groups & set(stack.secrets)):
        system = catalogue.running.get(group)
        words = (system.passwords if system else set[str]()) - of_services
        texts = (system.certificate_secrets if system else set[str]()) - of_services
        for name, value in stack.secrets[group].items():
            # What a text in PEM is to be is a rule of its own
            if name in texts:
                continue
            if fault := control(value) if name in words else unwritable(value):
                text = f"its value cannot be written: it has {fault}"
                yield Problem(stack.file, f"infra:secrets.{group}.{name}", text, ONE_LINE)


def _monitor_secrets(stack: Stack) -> Iterator[Problem]:
    secrets = stack.secrets.get(MONITOR, {})
    for name in sorted(set(secrets) - set(MONITOR_SECRETS)):
        rule = f"secrets of the monitor: {', '.join(MONITOR_SECRETS)}"
        yield Problem(stack.file, f"infra:secrets.{MONITOR}.{name}", "is not known", rule)
    url = secrets.get("webhook", ENCRYPTED)
    if not is_sealed(url) and not ADDRESS.fullmatch(url):
        rule = "must be a URL that begins with https://, in ASCII and without spaces"
        yield Problem(stack.file, f"infra:secrets.{MONITOR}.webhook", "is not a URL", rule)


def _registry_logins(stack: Stack) -> Iterator[Problem]:
    for host, login in stack.secrets.get(REGISTRIES, {}).items():
        if not is_sealed(login) and ":" not in login:
            rule = "must be USER:PASSWORD, or USER:TOKEN"
            yield Problem(stack.file, f"infra:secrets.{REGISTRIES}.{host}", "is not a login", rule)


def _groups_without_owner(stack: Stack, groups: set[str]) -> Iterator[Problem]:
    own = {MONITOR, REGISTRIES, BACKUP, DNS, SHARED} | ({LOGS} if stack.logs.form else set[str]())
    for name in sorted(set(stack.secrets) - groups - own):
        if not stack.secrets[name]:
            # Pulumi leaves the empty mapping of the last one that was removed
            continue
        near = nearest(name, sorted(groups), "a service that runs on this stack's hosts")
        remove = "; ".join(
            f"infra secret unset {name}.{key} --stack {stack.name}" for key in sorted(stack.secrets[name])
        )
        rule = f"{near}; if the service is gone: {remove}"
        yield Problem(stack.file, f"infra:secrets.{name}", "no running service has this name", rule, "warning")
