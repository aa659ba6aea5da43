"""Which keys of the catalogue decide what a rendered file says, so that a change by hand can be made there. Pure."""

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.services import ComposeService, NativeService, TimerService
from catalogue.shapes import ComposeBody, is_list, is_mapping
from rendering.places import environment_path, projects
from rendering.proxies import PROXIES
from rendering.units import directory

# What a compose file calls otherwise than the catalogue; a key that is not here has the same name in both
OF_COMPOSE = {
    "mem_limit": "memory.limit", "container_name": "container", "ports": "port, or publish",
    "networks": "address, or aliases", "env_file": "environment, or secrets", "healthcheck": "health",
    "volumes": "volumes, or files",
}  # fmt: skip
DIRECTIVE = re.compile(r"\s*([A-Z]\w*)\s*=\s*(.*)")
MOST_KEYS = 12


def deciding_keys(catalogue: Catalogue, host: str, path: str, before: str, after: str) -> list[str]:
    """What of the catalogue decides the lines that differ, a line each, as far as that is known. `before` and `after`
    are a rendered file's text."""
    return list(dict.fromkeys(_keys(catalogue, host, path, before, after)))[:MOST_KEYS]


def _keys(catalogue: Catalogue, host: str, path: str, before: str, after: str) -> Iterator[str]:
    for system in catalogue.systems_on(host):
        for service in system.native_services:
            if sections := _sections_at(system, service, path):
                yield from (f"service {service.name}: {key}" for key in _of_unit(sections, service, before, after))
        for project in projects(system):
            if project.path == path:
                yield from _of_compose({service.compose_key: service for service in project.services}, before, after)
        for drop_in in system.drop_ins:
            if drop_in.path == path:
                yield from (f"drop_ins: {path}: {key}" for key in _of_unit("sections", None, before, after))
    yield from _of_site(catalogue, host, path, before, after)


def keys_of_variables(catalogue: Catalogue, host: str, path: str, diff: str) -> list[str]:
    """The same for an environment file, by its diff: it shows no value of a secret."""
    names = dict.fromkeys(re.findall(r"^[-+](?!--|\+\+)([A-Za-z_]\w*)=", diff, re.MULTILINE))
    services = [service for system in catalogue.systems_on(host) for service in system.active]
    for service in services:
        own = environment_path(service) if isinstance(service, ComposeService) else None
        if path == (own or getattr(service, "environment_file", None)):
            secret = f"infra secret set {service.name}.%s --stack {catalogue.stack.name}"
            return [
                f"service {service.name}: {secret % name if name in service.secrets else f'environment.{name}'}"
                for name in names
            ]
    return []


def _sections_at(system: System, service: NativeService, path: str) -> str:
    """The field of a service whose sections the unit file at `path` has; "" where it is none of its files."""
    place = directory(system, service)
    if path == f"{place}/{service.unit}":
        return "directives"
    if isinstance(service, TimerService) and path == f"{place}/{service.job_unit}":
        return "job"
    names = {f"{place}/{service.unit}.d/{name}.conf": f"drop_ins.{name}" for name in service.drop_ins}
    return names.get(path, "")


def _directives(text: str) -> Counter[tuple[str, str, str]]:
    section, entries = "", Counter[tuple[str, str, str]]()
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if match := re.fullmatch(r"\s*\[(\w+)\]\s*", line):
            section = match[1]
        elif match := DIRECTIVE.fullmatch(line):
            entries[section, match[1], match[2].strip()] += 1
    return entries


def _of_unit(field: str, service: NativeService | None, before: str, after: str) -> Iterator[str]:
    old, new = _directives(before), _directives(after)
    changed = {(section, name) for section, name, _ in new - old}
    for section, name, value in new - old:
        yield f"{_key_of_directive(field, service, (section, name, value))} ({name}={value})"
    for section, name, value in old - new:
        if (section, name) not in changed:
            yield f"{_key_of_directive(field, service, (section, name, value))} (without {name}={value})"


def _key_of_directive(field: str, service: NativeService | None, directive: tuple[str, str, str]) -> str:
    section, name, value = directive
    variable = re.match(r"\"?(\w+)=", value)
    if service and not field.startswith("drop_ins"):
        if name == "MemoryMax" and service.memory:
            return "memory.limit"
        if name == "Environment" and variable:
            return f"environment.{variable[1]}"
        if name == "EnvironmentFile":
            return "environment_file"
    return f"{field}.{section}.{name}"


def _of_compose(services: dict[str, ComposeService], before: str, after: str) -> Iterator[str]:
    """A compose file that is none any more says nothing of keys."""
    try:
        old, new = (_services_in(yaml.safe_load(text)) for text in (before, after))
    except yaml.YAMLError:
        return
    for key, service in services.items():
        had, has = old.get(key, {}), new.get(key, {})
        for name in [name for name in {**had, **has} if had.get(name) != has.get(name)]:
            where = f"service {service.name}: {OF_COMPOSE.get(name, name)}"
            if name == "environment":
                was, is_ = _variables(had.get(name)), _variables(has.get(name))
                changed = [variable for variable in {**was, **is_} if was.get(variable) != is_.get(variable)]
                yield from (f"service {service.name}: environment.{variable}" for variable in changed)
            elif name not in has:
                yield f"{where} (without {name})"
            else:
                value = f"{name}: {has[name]}" if isinstance(has[name], str | int | float) else name
                yield f"{where} ({value})"
    yield from (f"another service: {key}" for key in new if key not in old)


def _services_in(document: Any) -> dict[str, ComposeBody]:
    services = document.get("services") if is_mapping(document) else None
    return {str(key): body for key, body in services.items() if is_mapping(body)} if is_mapping(services) else {}


def _variables(value: Any) -> dict[str, str]:
    """Of either of Compose's two forms."""
    if is_list(value):
        return {name: text for name, _, text in (str(item).partition("=") for item in value)}
    return {str(name): str(item) for name, item in value.items()} if is_mapping(value) else {}


def _of_site(catalogue: Catalogue, host: str, path: str, before: str, after: str) -> Iterator[str]:
    text = PROXIES[catalogue.stack.hosts[host].proxy].site_text
    names = {catalogue.stack.public_name(site.name): site.name for s in catalogue.systems_on(host) for site in s.sites}
    name = path.removeprefix(text.place).removesuffix(text.suffix)
    if not path.startswith(text.place) or name not in names:
        return
    old, new = before.splitlines(), after.splitlines()
    for _, first, last, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        changed = [(new, number) for number in range(start, end)] if old[first:last] != new[start:end] else []
        changed = changed or ([(old, n) for n in range(first, last)] if old[first:last] != new[start:end] else [])
        for lines, number in changed:
            blocks = [match[1] for line in lines[: number + 1] if (match := text.block.match(line))]
            where = f"site {names[name]}" + (f", path {blocks[-1]}" if blocks else "")
            line = lines[number].strip()
            for pattern, field in text.fields.items():
                if re.match(pattern, line):
                    yield f"{where}: {field} ({'' if lines is new else 'without '}{line})"
                    break
