"""What a catalogue begins with for a compose file that is run already: an entry for each service. Pure."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict

import yaml

from catalogue.compose import once
from catalogue.compose.environment import of_file, pairs
from catalogue.compose.reading import memory_limit
from catalogue.compose.variables import VARIABLE, missing
from catalogue.loading import TO_WRITE
from catalogue.masking.lines import Masker
from catalogue.masking.names import looks_secret
from catalogue.shapes import ServiceFields, is_list, is_mapping

FIRST_PORT = 8040
MEMORY = "256m"
VALUE = "_variable_"  # what stands for a variable's value; no long run of letters, which looks like a secret
OF_SHELL = re.compile(r"\$\$(?:\{[A-Za-z_]\w*\}|[A-Z_][A-Z0-9_]*(?![\w$]))")
COMMENT = re.compile(r"(?:^|\s)#+(.*)$")
ASSIGNED = re.compile(r"(?:=|:\s)\s*(?:\S+|\"[^\"]*\"|'[^']*')\s*$|=\S|//|\s--?\w")
# A variable, and what may be around it: a name before it, an address
AROUND = re.compile(
    r"(?:[\w.-]+[:=])*[\"']?(?:[^A-Za-z0-9]*\0[^A-Za-z0-9]*"
    r"|[a-z][a-z0-9+.]*://(?:[\w.-]*:?\0@)?[\w.,:\0-]+(?:/(?:[A-Za-z._-]+|v?[0-9]+|\0)?)*(?:\?\w+=(?:[A-Za-z]+|[0-9]+|\0))?)[\"']?"
)


class ComposeEntry(TypedDict):
    file: str
    variables: NotRequired[dict[str, str]]


class SystemEntries(TypedDict):
    """What a system has for a compose file."""

    compose: ComposeEntry
    services: list[ServiceFields]


def entries(document: Mapping[str, Any], system: str, beside: str = "") -> SystemEntries:
    """`compose` and `services` of the catalogue. `beside` is the text of the .env file that lies beside the compose
    file: what is no secret in it becomes a value of a variable."""
    values = {name: value for name, value in of_file(beside).items() if value and not looks_secret(name, value)}
    bodies = {str(key): body for key, body in document["services"].items() if is_mapping(body)}
    once_keys = once.owners(bodies)  # release steps of others, without an entry
    services: list[ServiceFields] = []
    names: set[str] = set()
    published = 0
    for key, body in bodies.items():
        if body.get("profiles") or key in once_keys:
            continue
        secrets, variable_names = _variables(body)
        names |= variable_names
        entry: ServiceFields = {"name": key, "purpose": f"{key} of {system}"}
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
        services.append(entry)
    variables = {name: values.get(name, TO_WRITE) for name in sorted(names)}
    compose: ComposeEntry = {"file": f"{system}/compose.yml"}
    if variables:
        compose["variables"] = variables
    return {"compose": compose, "services": services}


def find_secrets(document: Mapping[str, Any], text: str) -> Iterator[str]:
    """Where something that looks like a secret stands in the file itself, whose text this is: in a value, such as
    services.db.environment.PASSWORD, or in a comment."""
    for place, key, item in _leaves(document):
        if _shows_secret(key, item):
            yield place
    for place, words in _lists(document):
        # What an option and its value are together
        if not any(_shows_secret("", word) for word in words) and _shows_secret("", *words):
            yield place
    comments = [
        (number, match[1]) for number, line in enumerate(text.split("\n"), 1) if (match := COMMENT.search(line))
    ]
    # Prose has more than one word where an assignment has its value
    assigned = [(number, comment) for number, comment in comments if ASSIGNED.search(comment)]
    yield from (f"the comment in line {number}" for number, comment in assigned if _shows_secret("", comment))


class _SecretDetector(Masker):
    """Notes whether it would mask anything, a variable whose value is elsewhere not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.has_secret = False

    def _mark(self, value: str) -> str:
        if _is_variable(value):
            return value
        self.has_secret = True
        return super()._mark(value)


def _shows_secret(key: str, *items: str) -> bool:
    """Whether a value has a secret in it, whatever its variables are; of a list all items."""
    detector = _SecretDetector()
    plain_items = [_without_variables(item, detector) for item in items]
    if any("\n" in item.strip() for item in plain_items):
        detector.has_secret |= looks_secret(key) and not _is_variable(" ".join(plain_items))
        detector.mask_secrets("", "\n".join(plain_items))
    else:
        fields = {key: plain_items[0]} if key not in ("", "environment", "args") else {"command": plain_items}
        # An option of one letter is understood in one line alone, any other in words below each other
        for in_one_line in (False, None) if len(plain_items) > 1 else (False,):
            detector.mask_secrets("compose.yml", yaml.safe_dump(fields, width=2**20, default_flow_style=in_one_line))
    return detector.has_secret


def _without_variables(text: str, detector: _SecretDetector) -> str:
    """A text with what its variables are by default, from the inner to the outer; a mark for one that has no default.
    A default that is a secret by the variable's name is seen."""

    def other(match: re.Match[str]) -> str:
        if match["escaped"]:
            return match[0]
        default = (match["other"] or "") if (match["how"] or "?")[-1] in "-+" else ""
        if default and looks_secret(match["name"] or "", default) and not _is_variable(default):
            detector.has_secret = True
        return default or VALUE

    text, before = OF_SHELL.sub(VALUE, text), ""
    while text != before:
        text, before = VARIABLE.sub(other, text), text
    return text


def _is_variable(value: str) -> bool:
    """Whether nothing but a variable is secret in what has a secret's name: the rest is an address, a login's name,
    settings or a command."""
    words = re.split(r"[\s;&]+", value.strip(" \"'").replace(VALUE, "\0"))
    had = False
    for before, word in itertools.pairwise(["", *words]):
        pair = re.fullmatch(r"(\w[\w.-]*)=([^\0]*)", word)
        is_setting = pair and not looks_secret(pair[1], pair[2])
        goes_on = had and (before.startswith("-") or word.startswith("-") or not re.search("[0-9]", word))
        if not (AROUND.fullmatch(word) or is_setting or goes_on or word in ("Bearer", "Basic")):
            return False
        had = had or "\0" in word
    return had


def _leaves(value: Any, place: str = "", key: str = "") -> Iterator[tuple[str, str, str]]:
    """Each text of a document: where it stands, its key ("" in a list) and the text."""
    if is_mapping(value):
        for name, item in value.items():
            yield from _leaves(item, f"{place}.{name}" if place else str(name), str(name))
    elif is_list(value):
        for number, item in enumerate(value):
            yield from _leaves(item, _entry(place, number, item))
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield place, key, str(value)


def _lists(value: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each list of texts of a document, such as a command's words, and where it stands."""
    if is_list(value) and all(isinstance(item, str) for item in value):
        yield place, value
    if is_mapping(value):
        for name, item in value.items():
            yield from _lists(item, f"{place}.{name}" if place else str(name))
    elif is_list(value):
        for number, item in enumerate(value):
            yield from _lists(item, _entry(place, number, item))


def _entry(place: str, number: int, item: Any) -> str:
    """One of a list as people find it: by its name where it has a secret's, else by which one it is."""
    option = re.match(r"-{0,2}([A-Za-z_][\w-]*)=[^=]", item) if isinstance(item, str) else None
    return f"{place}.{option[1]}" if option and looks_secret(option[1]) else f"{place}, entry {number + 1}"


def _variables(body: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Variables of the container that are secrets, and those of the file that need a value."""
    secrets: set[str] = set()
    variables: set[str] = set()
    for name, value in pairs(body.get("environment")).items():
        lacking = [str(name)] if value is None else missing(str(value), {})
        if lacking and any(looks_secret(one) for one in [str(name), *lacking]):
            secrets.add(str(name))
        else:
            variables |= {*lacking}
    for key, value in body.items():
        if key != "environment":
            variables |= {name for _, _, text in _leaves(value) for name in missing(text, {})}
    return secrets, {name for name in variables if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)}
