"""What a catalogue begins with for a compose file that is run already: an entry for each service. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from catalogue.compose import once
from catalogue.compose.environment import of_file, pairs
from catalogue.compose.reading import memory_limit
from catalogue.compose.variables import filled, missing
from catalogue.loading import TO_WRITE
from catalogue.masking.lines import Masker
from catalogue.masking.names import MARK, looks_secret

FIRST_PORT = 8040
MEMORY = "256m"


def entries(document: Mapping[str, Any], system: str, beside: str = "") -> dict[str, Any]:
    """`compose` and `services` of the catalogue. `beside` is the text of the .env file that lies beside the compose
    file: what is no secret in it becomes a value of a variable."""
    known = {name: value for name, value in of_file(beside).items() if value and not looks_secret(name, value)}
    bodies = {str(key): body for key, body in document["services"].items() if isinstance(body, dict)}
    ended = once.owners(bodies)  # release steps of others, without an entry
    made, wanted, published = [], set(), 0
    for key, body in bodies.items():
        if body.get("profiles") or key in ended:
            continue
        secrets, named = _variables(body)
        wanted |= named
        entry: dict[str, Any] = {"name": key, "purpose": f"{key} of {system}"}
        if body.get("build") is not None:
            entry |= {"without": ["build"], "image": {"repository": f"{system}-{key}"}}
        if body.get("ports"):
            entry["port"] = FIRST_PORT + published
            if not published:
                entry["routes"] = [{"public": "/"}]
            published += 1
        if not memory_limit(body):
            entry["memory"] = {"limit": MEMORY}
        if secrets:
            entry["secrets"] = sorted(secrets)
        made.append(entry)
    variables = {name: known.get(name, TO_WRITE) for name in sorted(wanted)}
    compose = {"file": f"{system}/compose.yml"} | ({"variables": variables} if variables else {})
    return {"compose": compose, "services": made}


def exposed(document: Mapping[str, Any]) -> Iterator[str]:
    """Where something that looks like a secret stands in the file itself, such as services.db.environment.PASSWORD."""
    masker = Masker()
    for place, key, item in _leaves(document):
        # A secret of a variable stands elsewhere, its default here
        if not missing(item, {}):
            text = yaml.safe_dump({key: filled(item, {})} if key else {"command": [filled(item, {})]}, width=2**20)
            if MARK in masker.masked("compose.yml", text):
                yield place


def _leaves(value: Any, place: str = "", key: str = "") -> Iterator[tuple[str, str, str]]:
    """Each text of a document: where it stands, its key ("" in a list) and the text."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{place}.{name}" if place else str(name), str(name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{place}.{number}")
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield place, key, str(value)


def _variables(body: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Variables of the container that are secrets, and those of the file that need a value."""
    secrets, wanted = set(), set()
    for name, value in pairs(body.get("environment")).items():
        lacking = [str(name)] if value is None else missing(str(value), {})
        if lacking and any(looks_secret(one) for one in [str(name), *lacking]):
            secrets.add(str(name))
        else:
            wanted |= {*lacking}
    for key, value in body.items():
        if key != "environment":
            wanted |= {name for _, _, text in _leaves(value) for name in missing(text, {})}
    return secrets, {name for name in wanted if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)}
