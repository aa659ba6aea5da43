"""The rules about the files that hosts get."""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from catalogue.files import parse_yaml
from catalogue.masking import MARK, looks_secret, masked
from catalogue.systemd.parsing import assignments
from policy.facts import Facts, Finding

LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|\[::1\]):")
ASSIGNED = re.compile(r"(?:export )?([\w.-]+)=")
# A preview's mark in place of a secret
HIDDEN = re.compile(rf"\[secret [^\]]*\]|{MARK}\w*")
UNIT_ENDINGS = (".service", ".socket", ".timer", ".conf")


def plain_secrets(facts: Facts) -> Iterator[Finding]:
    """A secret in the catalogue is in git, for good: whatever file it is rendered into."""
    reported: set[tuple[str, str]] = set()
    for place, names in facts.plain.items():
        for name in names:
            if looks_secret(name):
                reported.add((place, name))
                yield _plain_secret(place, name)
    for host, files in facts.files.items():
        for path, text in files.items():
            place = f"{host}:{path}"
            plain = facts.plain.get(place)
            for line in masked(path, text).splitlines():
                if not HIDDEN.search(line):
                    continue
                name = ASSIGNED.match(line)
                # An environment file has the marks of its secrets, whose values come with the release
                if plain is not None and not (name and name[1] in plain):
                    continue
                what = name[1] if name and plain is not None else HIDDEN.sub("…", line.strip())
                if (place, what) not in reported:
                    reported.add((place, what))
                    yield _plain_secret(place, what)


def _plain_secret(place: str, what: str) -> Finding:
    rule = "name it under secrets:, its value with pulumi config set --secret, and replace this one: it is in git"
    return Finding("plain-secret", place, f"{what} stands in plain text in the catalogue", rule)


def ports(facts: Facts) -> Iterator[Finding]:
    """A container answers its host only: the proxy and the firewall stand before it. Docker opens the firewall for any
    other address, and in the host's own network there is nothing between."""
    for host, path, text in _files(facts, (".yml", ".yaml", ".json")):
        services = _mapping(_parsed(text).get("services"))
        for service, body in services.items():
            for found in _exposed(service, _mapping(body)):
                yield Finding("loopback", f"{host}:{path}", found, "127.0.0.1:PORT:PORT, in a network of the project's")
    for host, path, text in _files(facts, UNIT_ENDINGS):
        for section, name, value in assignments(text):
            if section == "Service" and name.startswith("Exec"):
                for found in _exposed_by_command(value):
                    yield Finding("loopback", f"{host}:{path}", found, "-p 127.0.0.1:PORT:PORT")


def _exposed(service: str, body: dict[str, Any]) -> Iterator[str]:
    for port in body.get("ports") or []:
        if not LOOPBACK.match(_published(port)):
            yield f"port {_published(port)} of {service} is bound off loopback"
    mode = str(body.get("network_mode") or "")
    if mode == "host":
        yield f"{service} is in the host's own network (network_mode: host)"


def _exposed_by_command(command: str) -> Iterator[str]:
    """What a `docker run` in a unit opens."""
    try:
        words = shlex.split(command.lstrip("-@:+!|"))
    except ValueError:
        words = command.split()
    if not any(word.rsplit("/", 1)[-1] in ("docker", "podman") for word in words[:3]):
        return
    for number, word in enumerate(words):
        option, _, given = word.partition("=")
        value = given or (words[number + 1] if number + 1 < len(words) else "")
        if option in ("--net", "--network") and value == "host":
            yield "a container is in the host's own network (--network host)"
        if option in ("-P", "--publish-all"):
            yield "all ports of a container are bound off loopback (-P)"
        if option in ("-p", "--publish") and not LOOPBACK.match(value):
            yield f"port {value} is bound off loopback"


def _published(port: Any) -> str:
    """A port as compose's short form has it."""
    if isinstance(port, dict):
        return f"{port.get('host_ip', '')}:{port.get('published', '')}:{port.get('target', '')}".lstrip(":")
    return str(port)


def _parsed(text: str) -> dict[str, Any]:
    with suppress(yaml.YAMLError):
        return _mapping(parse_yaml(text))
    return {}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def hardening(facts: Facts) -> Iterator[Finding]:
    """A unit keeps what its document gives it."""
    for host, path, text in _files(facts, (".service",)):
        name = path.rsplit("/", 1)[1]
        wanted = documented().get(name)
        if wanted is None:
            continue
        texts = [text, *(text for _, text in sorted(_drop_ins(facts, host, path)))]
        in_force = {name: value for text in texts for section, name, value in assignments(text) if section == "Service"}
        held = {f"{name}={value}" for name, value in in_force.items()}
        if missing := [line for line in wanted["directives"] if not _written(line) & held]:
            found = f"without {', '.join(missing)}"
            yield Finding("hardening", f"{host}:{path}", found, f"its document gives it ({wanted['document']})")


def _drop_ins(facts: Facts, host: str, unit_path: str) -> Iterator[tuple[str, str]]:
    """File name and text of every drop-in of a unit; systemd reads them in the order of their names."""
    folder, _, unit = unit_path.rpartition("/")
    manager = _manager(folder)
    names = drop_in_folders(unit)
    for of, path, text in _files(facts, (".conf",)):
        parent, _, name = path.rpartition("/")
        above, _, last = parent.rpartition("/")
        if of == host and last in names and _manager(above) == manager:
            yield name, text


def _manager(folder: str) -> str:
    """Which manager reads a folder: the host's, every user's, or one account's."""
    return "system" if folder.endswith("systemd/system") else "user" if folder.endswith("systemd/user") else folder


def drop_in_folders(unit: str) -> set[str]:
    """`a-b.service` has drop-ins in a-b.service.d, a-.service.d and service.d; `a@1.service` in a@.service.d too."""
    stem, _, kind = unit.rpartition(".")
    parts = stem.split("-")
    prefixes = {"-".join(parts[:count]) + "-" for count in range(1, len(parts))}
    template = {f"{stem.partition('@')[0]}@"} if "@" in stem else set()
    return {f"{kind}.d", *(f"{name}.{kind}.d" for name in {stem, *prefixes, *template})}


def _written(line: str) -> set[str]:
    """systemd takes a boolean in four ways."""
    key, _, value = line.partition("=")
    yes = ("yes", "true", "on", "1")
    return {f"{key}={way}" for way in yes} if value in yes else {line}


def _files(facts: Facts, endings: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for host, files in facts.files.items():
        for path, text in files.items():
            if path.endswith(endings):
                yield host, path, text


@cache
def documented() -> dict[str, Any]:
    return yaml.safe_load((Path(__file__).parent / "hardening.yaml").read_text())
