"""The list of messages, `docs/reference/messages.md`: `infra/messages.yaml` says where each module's are listed."""

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

import yaml

from infra.markdown import table
from infra.message_texts import constants_of, texts_of


@dataclass(frozen=True)
class Place:
    """Where messages of a module are listed, and the page to read, below docs/."""

    heading: str
    page: str


SOURCES = Path(__file__).parent.parent
PACKAGES = ["agent", "catalogue", "components", "infra", "policy", "rendering"]
FURTHER = Place("Further", "troubleshooting.md")  # of a module that a project added to the program
NOT_LISTED = "Not listed"
# What a text begins with that people may see in another form: a value in its place, quotes, brackets
FILLED_IN = re.compile(r"^(?:[^\w]|…|\b[A-Z][A-Z_0-9]+\b)+")
HEAD = """\
What the programs say, grouped by when it appears and sorted by what a message begins with. What differs stands in
capitals or as `…`, and does not count for the order: `HOST does not answer` is listed under *does*. Search for words
that are no name, number or address. The last column is the page to read; causes and remedies of the most frequent
messages are in [troubleshooting](../troubleshooting.md). A finding about a file is shown as
`FILE: PLACE: FAULT; WHAT IS ALLOWED`, and is listed by its fault.

The list has each text of at least three words that the sources raise as an error, report as a finding, return, yield or
collect as a reason, or show as progress. Not listed: errors of programming (`AssertionError`, `TypeError` and the like;
`infra` shows them as `internal error` and asks to report them), words of other programs that a message quotes, help
texts ([commands](commands.md)), alerts ([alert conditions](alerts.md)), the preparation of a host
(`files/static/prepare-host.sh`), and what other packages say that does not end a command."""


@dataclass(frozen=True)
class Message:
    """`text` as people read it, with NAMES in capitals or … for what differs; `module` is the file that has it."""

    text: str
    module: str


class _AnyTable(TypedDict):
    headings: dict[str, dict[str, list[str]]]


class Table(_AnyTable, total=False):
    """A package's table: heading → page → modules, and of a package beside the program's the `errors` that people
    read."""

    errors: list[str]


@cache
def tables() -> dict[str, Table]:
    """Package → its table."""
    own = SOURCES / "infra/messages.yaml"
    others = sorted(path for path in SOURCES.glob("*/messages.yaml") if path != own)
    return {path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (own, *others)}


def errors_of(package: str) -> list[str] | None:
    """The exceptions of a package that people read, where those of others are answers of stand-ins."""
    table = tables().get(package)
    return table.get("errors") if table else None


@cache
def places() -> dict[str, Place]:
    """Module, or folder with a / at its end → where its messages are listed, in the order of the headings."""
    return {
        module: Place(heading, page)
        for table in tables().values()
        for heading, pages in table["headings"].items()
        for page, modules in pages.items()
        for module in modules
    }


def place_of(module: str) -> Place | None:
    """By its own line of the table, or that of the nearest folder that has one."""
    folders = [f"{folder}/" for folder in Path(module).parents]
    return next((places()[name] for name in (module, *folders) if name in places()), None)


@cache
def messages() -> tuple[Message, ...]:
    """Every message of the programs, each once a module."""
    packages = dict.fromkeys([*PACKAGES, *tables()])
    paths = sorted(path for package in packages for path in (SOURCES / package).rglob("*.py"))
    trees = {path.relative_to(SOURCES): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    constants = constants_of(trees.values())
    return tuple(
        Message(text, str(module))
        for module, tree in trees.items()
        for text in texts_of(tree, constants, errors_of(module.parts[0]))
    )


def first_words(text: str) -> str:
    """What a message is sorted by: what is filled in before them is another word each time."""
    return FILLED_IN.sub("", text).casefold() or text.casefold()


def body() -> str:
    """The page's sections."""
    sections: dict[str, dict[str, set[str]]] = {place.heading: defaultdict(set) for place in places().values()}
    for message in messages():
        place = place_of(message.module) or FURTHER
        sections.setdefault(place.heading, defaultdict(set))[message.text].add(place.page)
    sections.pop(NOT_LISTED, None)
    parts: list[str] = []
    for heading, texts in sections.items():
        rows = [
            (_in_code(text), ", ".join(f"[{page.removesuffix('.md')}](../{page})" for page in sorted(texts[text])))
            for text in sorted(texts, key=lambda text: (first_words(text), text))
        ]
        parts.append(f"## {heading}\n\n{table(('message', 'read'), rows)}")
    return "\n\n".join(parts)


def _in_code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
